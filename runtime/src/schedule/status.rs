//! The word that all ranks add up at the end of a graph: how many failed, and whether all ran the same.
//!
//! A rank adds one if it failed, and above the room for such ones what stands for the steps since all ranks agreed
//! last. So the sum of all words, without as many times the latter as there are ranks, is the number of ranks that
//! failed, or, if some rank ran something else, hardly ever a number so small.
//! Never here: what a rank does then.

use super::Run;
use crate::memory::{BlockCell, WriteGuard};
use crate::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::Arc;

/// Room for the number of ranks that failed.
const FAILED_BITS: u32 = 24;

impl Run {
    /// Writes this rank's word.
    pub(super) fn write_status(&self, cell: &Arc<BlockCell>) {
        let failed = self.poisoned.load(Acquire); // pairs with the Release in `poison`
        *status_word(&mut cell.write()) = i64::from(failed) + self.mark();
    }

    /// Leaves of the sum how many ranks failed, and gives that; none if some rank ran something else.
    pub(super) fn read_status(&self, cell: &Arc<BlockCell>) -> Option<i64> {
        let mut data = cell.write();
        let word = status_word(&mut data);
        *word = word.wrapping_sub(self.mark() * self.ranks as i64);
        Some(*word).filter(|failed| (0..=self.ranks as i64).contains(failed))
    }

    /// Stands for the steps since all ranks agreed last; so small that the sum of all ranks' words has room.
    fn mark(&self) -> i64 {
        let bits = 62 - FAILED_BITS - self.ranks.next_power_of_two().trailing_zeros();
        let print = self.print.load(Relaxed) & ((1 << bits) - 1); // Relaxed: handed on by the launch
        (print as i64) << FAILED_BITS
    }
}

fn status_word(data: &mut WriteGuard) -> &mut i64 {
    data.of_mut().last_mut().expect("room for the status")
}
