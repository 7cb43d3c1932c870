//! Distributed tiled n-d arrays as task graphs.
//!
//! An [`Array`] is recorded first and computed when its value is asked for. Every rank makes the same calls.
//!
//! ```
//! use girih_arrays::{Array, DType, Scalar};
//!
//! let sums = girih_runtime::local::run(2, 1, 0, |world| {
//!     let x = Array::arange(world, Scalar::Int(0), Scalar::Int(1_000_000), Scalar::Int(1), DType::Float64)?;
//!     x.multiply(&x)?.sum(None, false)?.to_scalar()
//! })?;
//! for sum in sums {
//!     assert_eq!(sum?, Scalar::Float(333_332_833_333_500_000.0));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod array;
pub mod distribution;
pub mod dtype;
pub mod error;
mod evaluate;
mod exchange;
pub mod explain;
mod expr;
pub mod fft;
pub mod index;
mod io;
pub mod kernel;
pub mod linalg;
mod lower;
pub mod random;
pub mod shape;
mod sort;
pub mod spatial;
pub mod storage;
pub mod tile;

pub use array::{Array, Local, Operand};
pub use distribution::{Layout, RowDistribution};
pub use dtype::{Casting, Complex32, Complex64, DType, Element, Kind, Scalar, Truth, f16};
pub use error::{Error, Result};
pub use expr::Index;
pub use io::NpyFile;
pub use kernel::operation::{Binary, Loops, Unary};
pub use shape::Shape;
pub use storage::Handle;
pub use tile::{Part, Tile};
