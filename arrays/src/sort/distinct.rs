//! Values without repetition.
//!
//! Each worker keeps the keys that it has not met before in a table that stays in cache, so that an array of few values
//! is read once and sorted hardly at all. What a full table does not hold is taken along, and sorted.
//! Never here: where a value stands, and how often.

use super::by_key;
use super::key::{Key, Order};
use super::{buckets, radix};
use crate::array::Array;
use crate::error::Result;
use crate::exchange::on_workers;
use crate::index::ragged;
use bytemuck::cast_slice;
use std::sync::Arc;

/// Slots of a table, and how many of them are taken at most.
const SLOTS: usize = 1 << 13;
const HELD_MAX: usize = SLOTS / 2;
/// Fewer keys are sorted by one worker.
const SHARED_MIN: usize = 1 << 15;

impl Array {
    /// The values of this rank's elements without repetition, in ascending order, those of all ranks one after the
    /// other. Collective unless the array is small.
    ///
    /// Cost: one pass; where there are more than some thousand values, a sort of this rank's elements.
    ///
    /// # Errors
    /// As [`Array::wait`].
    pub fn distinct_by_rank(&self) -> Result<Array> {
        by_key!(self.dtype(), distinct(self))
    }
}

fn distinct<K: Key>(array: &Array) -> Result<Array> {
    let (world, order) = (array.world(), Order::of(array.dtype()));
    let cells: Vec<_> = array.part()?.tiles().iter().map(|tile| Arc::clone(&tile.cell)).collect();
    let jobs = cells.len().min(4 * world.workers());
    let pieces = on_workers(world, "distinct", jobs, move |job| {
        let mut seen = Seen::new();
        let mut keys = Vec::new();
        for cell in &cells[cells.len() * job / jobs..cells.len() * (job + 1) / jobs] {
            let block = cell.read();
            let met = block.of::<K>().iter().map(|&bits| order.key(bits, true));
            keys.extend(met.filter(|&key| seen.is_new(key)));
        }
        keys
    })?;
    let few = pieces.iter().map(Vec::len).sum::<usize>() < SHARED_MIN;
    let runs = if few {
        let mut keys = pieces.concat();
        radix::sort(&mut keys);
        vec![keys]
    } else {
        buckets::sorted(world, pieces)?
    };
    let mut bits: Vec<K> = Vec::with_capacity(runs.iter().map(Vec::len).sum());
    let mut last = None;
    for &key in runs.iter().flatten() {
        if last != Some(key) {
            bits.push(order.bits(key));
        }
        last = Some(key);
    }
    ragged(array, &[], array.dtype(), cast_slice(&bits))
}

/// Keys that were met, as many as there is room for.
struct Seen<K> {
    slots: Vec<Option<K>>,
    held: usize,
}

impl<K: Key> Seen<K> {
    fn new() -> Seen<K> {
        Seen { slots: vec![None; SLOTS], held: 0 }
    }

    /// False for a key that was met; one that was not may be forgotten.
    fn is_new(&mut self, key: K) -> bool {
        if self.held > HELD_MAX {
            return true;
        }
        let wide = key.wide();
        // The golden ratio's digits, of which the highest bits of a product depend on all of a key's.
        let mixed = (wide as u64 ^ (wide >> 64) as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut slot = (mixed >> (u64::BITS - SLOTS.ilog2())) as usize;
        while let Some(met) = self.slots[slot] {
            if met == key {
                return false;
            }
            slot = (slot + 1) % SLOTS;
        }
        self.slots[slot] = Some(key);
        self.held += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_tells_what_it_has_met_until_it_is_full() {
        let mut seen = Seen::new();
        // Keys that all fall into the same slots.
        let keys: Vec<u64> = (0..HELD_MAX as u64 + 1).map(|key| key << 51).collect();
        assert!(keys.iter().all(|&key| seen.is_new(key)));
        assert_eq!(seen.held, HELD_MAX + 1);
        assert!(keys.iter().all(|&key| seen.is_new(key)), "a full table has met nothing");
        let mut seen = Seen::new();
        assert!((0..1000_u128).all(|key| seen.is_new(key << 64)));
        assert!((0..1000_u128).all(|key| !seen.is_new(key << 64)));
    }
}
