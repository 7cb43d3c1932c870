//! K-Means over distributed arrays, or rows in files: exact Lloyd iterations, their seeds, and silhouettes.
//!
//! ```
//! use girih_arrays::Array;
//! use girih_cluster::{Observations, Options};
//!
//! let inertias = girih_runtime::local::run(2, 1, 0, |world| {
//!     let x = Array::from_slice(world, &[6, 1], &[0.0, 1.0, 2.0, 10.0, 11.0, 12.0])?;
//!     let observations = Observations::<f64>::new(&x)?;
//!     let model = observations.lloyd(&[0.0, 10.0], &Options::default(), None)?;
//!     Ok::<_, girih_cluster::Error>((model.centres, model.inertia))
//! })?;
//! for of_rank in inertias {
//!     assert_eq!(of_rank?, (vec![1.0, 11.0], 4.0));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod accumulators;
mod centroids;
mod checkpoint;
mod closest;
mod draw;
mod epoch;
mod error;
mod lloyd;
mod model;
mod observations;
mod oversample;
mod pruning;
mod relocate;
mod scratch;
mod seed;
mod shares;
mod silhouette;
mod sparse;
mod stream;
mod sweep;
mod tile;
mod transform;

pub use checkpoint::Checkpoints;
pub use error::{Error, Result};
pub use girih_arrays::kernel::nearest::Real;
pub use lloyd::{Begin, Hooks, Observer};
pub use model::{Iteration, Model, Options};
pub use observations::Observations;
pub use oversample::Candidates;
pub use seed::Seeds;
pub use sparse::Csr;
pub use stream::{RowSource, Storage};
