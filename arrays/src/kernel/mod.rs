//! Serial arithmetic on slices and tiles.
//!
//! Never here: threads, tasks, ranks, messages.

pub(crate) mod copy;
pub(crate) mod elementwise;
pub(crate) mod fold;
pub mod nearest;
pub(crate) mod operation;
pub(crate) mod product;
mod real;
mod vector;
