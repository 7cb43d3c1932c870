//! A replicated task graph, run by pinned workers and one comm thread per rank.
//!
//! Every rank records the same [`graph::Graph`] of tasks with declared accesses to blocks; edges follow from the
//! accesses, messages from edges that cross ranks. A [`world::World`] runs it: ready tasks go to the NUMA domain
//! that holds what they write, everything that crosses ranks goes to the comm thread.
//!
//! ```
//! use girih_runtime::graph::Access::{Read, Write};
//! use girih_runtime::ids::Rank;
//!
//! // Two ranks as threads of this process: rank 0 makes a block, rank 1 doubles it.
//! let doubled = girih_runtime::local::run(2, 1, 0, |world| {
//!     let mut graph = world.graph("double");
//!     let (made, doubled) = (graph.block(Rank(0), 8)?, graph.block(Rank(1), 8)?);
//!     graph.task("make", Rank(0), 0, &[Write(made)], || Box::new(|context| {
//!         context.write(0).of_mut::<i64>()[0] = 21;
//!         Ok(())
//!     }))?;
//!     graph.task("double", Rank(1), 0, &[Read(made), Write(doubled)], || Box::new(|context| {
//!         context.write(1).of_mut::<i64>()[0] = 2 * context.read(0).of::<i64>()[0];
//!         Ok(())
//!     }))?;
//!     let graph = graph.finish()?.into();
//!     world.run(&graph)?;
//!     Ok((world.rank() == Rank(1)).then(|| graph.cell(doubled).read().of::<i64>()[0]))
//! })?;
//! let doubled: Result<Vec<_>, girih_runtime::error::Error> = doubled.into_iter().collect();
//! assert_eq!(doubled?, [None, Some(42)]);
//! # Ok::<(), girih_runtime::error::Error>(())
//! ```

pub mod comm;
pub mod config;
mod control;
pub mod error;
pub mod fingerprint;
pub mod graph;
pub mod ids;
pub mod local;
pub mod mailbox;
pub mod memory;
pub mod mpi;
pub mod pool;
pub mod schedule;
pub mod stepwise;
mod sync;
pub mod topology;
pub mod trace;
mod watch;
pub mod world;
