//! Where data lie: slabs of bytes under one budget, recycled by size, and the blocks cut from them.
//!
//! Invariant: `used` is the sum of the sizes of all slabs alive or kept for reuse, and never exceeds the limit.
//! Never here: who reads or writes a block, and when.

mod block;
mod count;
mod grant;
mod shared;

pub use block::{BlockCell, Holder, ReadGuard, Slab, WriteGuard};
pub(crate) use grant::Order;
pub use grant::{Grant, Granted};
pub use shared::Sharing;

use crate::error::{Error, Result};
use block::Pages;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The memory of one rank: a budget, and slabs kept for reuse.
///
/// Fresh pages cost about ten times a warm block, so freed slabs are kept until the budget needs them.
#[derive(Debug)]
pub struct Memory {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes of slabs alive and kept.
    used: usize,
    /// Bytes of `kept` alone.
    kept_bytes: usize,
    /// By size, and whether they lie in files. Mapped ones stand in the order of their addresses.
    kept: BTreeMap<(usize, bool), Vec<Pages>>,
}

impl Memory {
    /// A memory that hands out at most `bytes_max` bytes at a time.
    pub fn new(bytes_max: usize) -> Arc<Memory> {
        Arc::new(Memory { bytes_max, state: Mutex::default() })
    }

    /// How many bytes of other ranks' blocks a launch may hold at a time, as far as its program order allows: a quarter
    /// of all.
    pub fn bytes_in_flight_max(&self) -> usize {
        self.bytes_max / 4
    }

    /// A slab of at least `bytes` bytes, aligned to a cache line.
    ///
    /// Its contents are unspecified but initialised: zero when fresh, a former slab's when recycled.
    /// Fresh pages belong to the NUMA domain of the thread that touches them first. Of kept ones the last in memory
    /// is given, where the system put what was asked for first: slabs that are asked for again in the same order, as
    /// the tiles of an equal array, come back to the domains that touched them.
    ///
    /// # Errors
    /// Local: `Error::Memory` if the budget does not allow it.
    pub fn slab(self: &Arc<Self>, bytes: usize) -> Result<Arc<Slab>> {
        let class = size_class(bytes);
        let in_file = Sharing::is_wanted(class);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pages) = state.kept.get_mut(&(class, in_file)).and_then(Vec::pop) {
            state.kept_bytes -= class;
            return Ok(Slab::new(pages, bytes, Arc::clone(self)));
        }
        while state.used + class > self.bytes_max {
            if !state.release_one() {
                let bytes_left = self.bytes_max - state.used;
                return Err(Error::Memory { bytes: class, bytes_left });
            }
        }
        state.used += class;
        drop(state);
        let pages = if in_file { Pages::in_file(class) } else { Pages::fresh(class) };
        Ok(Slab::new(pages, bytes, Arc::clone(self)))
    }

    /// One block that is a whole slab.
    ///
    /// # Errors
    /// As [`Memory::slab`].
    pub fn block(self: &Arc<Self>, bytes: usize) -> Result<Arc<BlockCell>> {
        let slab = self.slab(bytes)?;
        Ok(Slab::split(&slab, &[bytes]).pop().expect("one length gives one block"))
    }

    /// Bytes of slabs in use, without those kept for reuse.
    pub fn bytes_in_use(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used - state.kept_bytes
    }

    /// Bytes that may still be asked for.
    pub fn bytes_left(&self) -> usize {
        self.bytes_max - self.bytes_in_use()
    }

    /// Takes back the pages of a slab nobody holds any more; for good, if another process may look at them.
    fn take_back(&self, pages: Pages, lent: bool) {
        let class = pages.bytes();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // A quarter of the budget may lie idle; beyond that the system gets its pages back.
        if !lent && state.kept_bytes + class <= self.bytes_max / 4 {
            state.kept_bytes += class;
            let kept = state.kept.entry((class, pages.is_in_file())).or_default();
            let place = if pages.are_mapped() {
                kept.partition_point(|other| other.address() < pages.address())
            } else {
                kept.len()
            };
            kept.insert(place, pages);
        } else {
            state.used -= class;
        }
    }
}

impl State {
    /// Returns the largest kept slab to the system; false if there is none.
    fn release_one(&mut self) -> bool {
        let Some((&kind, _)) = self.kept.iter().rev().find(|(_, pages)| !pages.is_empty()) else {
            return false;
        };
        self.kept.get_mut(&kind).and_then(Vec::pop).expect("a class found above");
        self.kept_bytes -= kind.0;
        self.used -= kind.0;
        true
    }
}

/// Rounds a size up so that slabs of nearly the same size serve each other: at most an eighth is wasted.
fn size_class(bytes: usize) -> usize {
    let bytes = bytes.max(64);
    let step = (bytes.next_power_of_two() / 16).max(64);
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_refuses_and_then_recovers() {
        let memory = Memory::new(1 << 20);
        let held = memory.slab(900_000).unwrap();
        assert!(matches!(memory.slab(900_000), Err(Error::Memory { .. })));
        drop(held);
        assert_eq!(memory.bytes_in_use(), 0);
        memory.slab(900_000).unwrap();
    }

    #[test]
    fn kept_slabs_give_way_to_another_size() {
        let memory = Memory::new(1 << 20);
        drop(memory.slab(200_000).unwrap());
        memory.slab(900_000).unwrap();
    }

    #[test]
    fn slabs_come_back_in_the_order_of_memory() {
        let memory = Memory::new(1 << 30);
        let mut slabs: Vec<_> = (0..6).map(|_| memory.slab(1 << 20).unwrap()).collect();
        let mut addresses: Vec<_> = slabs.iter().map(|slab| slab.address()).collect();
        [2, 0, 3, 0, 1, 0].into_iter().for_each(|index| drop(slabs.remove(index)));
        let again: Vec<_> = (0..6).map(|_| memory.slab(1 << 20).unwrap()).collect();
        addresses.sort_unstable_by(|one, other| other.cmp(one));
        assert_eq!(again.iter().map(|slab| slab.address()).collect::<Vec<_>>(), addresses);
    }

    #[test]
    fn a_class_wastes_at_most_an_eighth() {
        for bytes in [1, 64, 65, 1000, 4097, 1 << 20, (1 << 20) + 1, 123_456_789] {
            let class = size_class(bytes);
            assert!(class >= bytes && (bytes < 1024 || class - bytes <= bytes / 8), "{bytes} gives {class}");
        }
    }
}
