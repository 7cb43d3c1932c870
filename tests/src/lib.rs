//! Oracles and launchers shared by the tests that need ranks, and the reader of sources for those of the whole tree.

pub mod collectives;
pub mod everywhere;
pub mod mpi;
pub mod random_graph;
pub mod random_worlds;
pub mod source;
