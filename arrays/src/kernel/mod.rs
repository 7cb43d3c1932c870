//! Serial arithmetic on slices and tiles.
//!
//! Never here: threads, tasks, ranks, messages.

pub(crate) mod cast;
mod complex;
pub(crate) mod copy;
pub mod custom;
pub(crate) mod dense;
pub(crate) mod elementwise;
mod float;
pub(crate) mod fold;
mod integer;
pub(crate) mod lanes;
pub mod nearest;
pub(crate) mod operation;
pub(crate) mod pairwise;
mod place;
pub(crate) mod product;
mod quotient;
mod real;
pub(crate) mod scan;
mod steps;
mod vector;
mod vector_math;
