//! Room that a worker keeps between calls, so that a pass allocates nothing.

use super::Real;

/// Bytes of a cache line; tiles start at one, so that a vector never straddles two.
pub(super) const LINE: usize = 64;

/// Buffers of one worker; their size follows from the first calls and then stays.
#[derive(Debug, Default)]
pub struct Scratch<T> {
    pub(super) tiles: Aligned<T>,
    pub(super) partial: Aligned<T>,
    pub(super) best: Aligned<T>,
    pub(super) second: Aligned<T>,
    pub(super) index: Vec<i32>,
    pub(super) fresh: Vec<i32>,
    pub(super) padded: Vec<T>,
    pub(super) gathered: Vec<T>,
    pub(super) survivors: Vec<u32>,
    pub(super) weights: Vec<T>,
    pub(super) before: Vec<f64>,
    pub(super) lowered: Vec<f64>,
    pub(super) origin: Vec<f64>,
    pub(super) quantised: Vec<i64>,
    pub(super) zeros: Vec<T>,
    pub(super) candidates: Vec<f64>,
    pub(super) distances: Aligned<f64>,
    pub(super) sieve: super::sieve::Room,
    pub(super) sketch: super::sketch::Room,
    pub(super) masks: Vec<u8>,
    pub(super) table: Vec<f64>,
}

impl<T: Real> Scratch<T> {
    /// Empty buffers.
    pub fn new() -> Scratch<T>
    where
        T: Default,
    {
        Scratch::default()
    }
}

/// Values that start at a cache line.
#[derive(Debug, Default)]
pub(super) struct Aligned<T> {
    values: Vec<T>,
}

impl<T: Real> Aligned<T> {
    /// `length` values, whatever they were; allocates only if they were never so many.
    pub(super) fn take(&mut self, length: usize) -> &mut [T] {
        let spare = LINE / size_of::<T>();
        if self.values.len() < length + spare {
            self.values.resize(length + spare, T::ZERO);
        }
        let start = self.values.as_ptr().align_offset(LINE).min(spare);
        &mut self.values[start..start + length]
    }

    /// A value of the slice that `take` gave last.
    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> T {
        let start = self.values.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        self.values[start + index]
    }
}
