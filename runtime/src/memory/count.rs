//! Who uses a block: one writer or many readers, never both.
//!
//! Invariant: the word is `WRITING` for one writer, else the number of readers, but for a moment after a refusal.
//! Proof: `PROTOCOL.md`, "One writer or many readers". Model: `tests/models/src/count_model.rs`.
//! Never here: waiting; a graph orders all accesses, so what cannot be had is a mistake of the runtime.

use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

const WRITING: u32 = 1 << 31;

/// The users of a block.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU32);

impl Count {
    /// Counts a reader; false if the block is being written, and then it must not be read or discounted.
    #[inline]
    pub(crate) fn begin_read(&self) -> bool {
        // Acquire pairs with the Release in `end_write`: the writer's bytes are visible here. After a refusal the count
        // is one too high until the writer ends, which sets it to zero.
        self.0.fetch_add(1, Acquire) < WRITING
    }

    /// As `begin_read`, and leaves no trace of a refusal: for epochs, whose mistakes are reported and not fatal.
    pub(crate) fn try_read(&self) -> bool {
        let one_more = |count: u32| (count < WRITING).then_some(count + 1);
        self.0.fetch_update(Acquire, Relaxed, one_more).is_ok() // Acquire: as in `begin_read`
    }

    /// Discounts a reader.
    #[inline]
    pub(crate) fn end_read(&self) {
        self.0.fetch_sub(1, Release); // pairs with the AcqRel of the next writer
    }

    /// Counts the writer; false if the block is used.
    #[inline]
    pub(crate) fn begin_write(&self) -> bool {
        // AcqRel: pairs with the Release of every user before it and keeps later writes behind it.
        self.0.compare_exchange(0, WRITING, AcqRel, Relaxed).is_ok()
    }

    /// Discounts the writer.
    #[inline]
    pub(crate) fn end_write(&self) {
        self.0.store(0, Release); // publishes the bytes; pairs with the Acquire of the next user
    }
}
