//! The serial kernel of exact Lloyd K-Means: nearest centres, sums by cluster, and distances for seeding.
//!
//! A pass reads the data once: a block of rows is assigned to centres and added to the sums while it is in cache;
//! neither an n×k matrix nor a centred copy of the data exists. All coordinates are *centred*: a column's origin
//! (its mean) is subtracted on the fly, because the expansion ‖c‖² − 2x·c loses digits far from zero.
//! Invariant: a row's label and what it adds depend on the row, the origin, the centres and the scales alone;
//! neither on the other rows of the call, nor on block sizes, nor on the vectors used, if they have a fused
//! multiply-add. Sums are integers, so that they can be added in any order and grouping.
//! Never here: threads, ranks, iterations, the choice of seeds.

mod apart;
mod assign;
mod bounded;
mod columns;
mod distance;
mod fixed;
mod hits;
mod near;
mod pack;
mod pass;
#[cfg(test)]
mod reference;
mod scratch;
mod seed;
mod sieve;
mod simd;
mod sketch;
mod sparse;
mod sums;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use apart::add_distances;
pub use bounded::{Moves, UNKNOWN};
pub use columns::{Deviation, add_bounds, add_deviations, add_heads, bounds_of};
pub use distance::distances;
pub use fixed::{FixedPoint, Scale};
pub use hits::{Hits, measure_hits};
pub use near::{NO_CENTRE, Near, lower_and_measure_near};
pub use pack::Centres;
pub use pass::{Pass, assign};
pub use scratch::Scratch;
pub use seed::{all_distances, find, lower_and_measure, lower_closest};
pub use simd::Isa;
pub use sketch::{SKETCH_COLUMNS_MAX, SKETCH_COLUMNS_MIN, Sketch};
pub use sparse::{
    SparseCentres, SparsePass, SparseRows, all_sparse_distances, sparse_distances, sparse_lower_closest,
    sparse_potentials,
};
pub use sums::{Layout, Row};

use simd::Vectorised;

/// The types of data: `f32` and `f64`.
pub trait Real: bytemuck::Pod + PartialOrd + std::fmt::Debug + Send + Sync + Vectorised {
    /// Zero.
    const ZERO: Self;
    /// Above all numbers.
    const INFINITY: Self;
    /// The same number.
    fn widen(self) -> f64;
    /// The nearest number.
    fn narrow(value: f64) -> Self;
}

impl Real for f32 {
    const ZERO: f32 = 0.0;
    const INFINITY: f32 = f32::INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        f64::from(self)
    }
    #[inline(always)]
    fn narrow(value: f64) -> f32 {
        value as f32
    }
}

impl Real for f64 {
    const ZERO: f64 = 0.0;
    const INFINITY: f64 = f64::INFINITY;
    #[inline(always)]
    fn widen(self) -> f64 {
        self
    }
    #[inline(always)]
    fn narrow(value: f64) -> f64 {
        value
    }
}
