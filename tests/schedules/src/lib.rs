//! The whole scheduler under shuttle: random graphs on ranks whose workers, comm threads and callers are shuttle's
//! threads, so that a seed decides at each access of shared memory who goes on.
//!
//! Nothing is copied: each module here is the runtime's own file, compiled with shuttle's primitives in the place of
//! std's, since those files name both as `crate::sync`. Loom tries every interleaving of a protocol (`tests/models`);
//! here all protocols meet, in some interleavings. Shuttle knows no weak memory: that is loom's part.
//! Never here: MPI, worlds and agreements, which `tests/graph.rs` runs with threads of the system.

#![allow(missing_docs, reason = "the files are documented where they belong")]
#![allow(dead_code, reason = "not all that a file has is used here")]
#![allow(unreachable_pub, reason = "what is public in the runtime is private here")]
#![allow(clippy::missing_errors_doc, reason = "as the first")]

// The generator of programs names the runtime's crate.
extern crate self as girih_runtime;

pub mod comm;
#[path = "../../../runtime/src/error.rs"]
pub mod error;
#[path = "../../../runtime/src/fingerprint.rs"]
pub mod fingerprint;
#[path = "../../../runtime/src/graph/mod.rs"]
pub mod graph;
#[path = "../../../runtime/src/ids.rs"]
pub mod ids;
#[path = "../../../runtime/src/memory/mod.rs"]
pub mod memory;
#[path = "../../../runtime/src/pool/mod.rs"]
pub mod pool;
#[path = "../../src/random_graph.rs"]
pub mod random_graph;
pub mod ranks;
#[path = "../../../runtime/src/schedule/mod.rs"]
pub mod schedule;
mod sync;
#[path = "../../../runtime/src/topology/mod.rs"]
pub mod topology;
#[path = "../../../runtime/src/trace/mod.rs"]
pub mod trace;
