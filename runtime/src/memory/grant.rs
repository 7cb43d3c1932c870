//! What a task may do with its blocks, by the order of its graph and without a counter that workers share.
//!
//! Invariant: while an epoch runs, its blocks are claimed (`BlockCell::claim`), and a grant is used by one task, on one
//! thread, between the end of whatever the graph puts before the task and the start of whatever it puts behind.
//! Blocks that the comm thread uses too are counted as outside of epochs.
//! Never here: which order that is.

#![allow(unsafe_code, reason = "the order of a graph takes the place of a count, under the invariant above")]

use super::block::{BlockCell, Holder, ReadGuard, WriteGuard};
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, MutexGuard};

/// What makes a task's accesses of a block exclude those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The block's own count: the comm thread uses the block too.
    Counted,
    /// The graph, for a reader: every writer is done before the task begins or begins when the task is done.
    Shared,
    /// The graph, for a writer: every other user is done before the task begins or begins when the task is done.
    Alone,
}

/// A task's permission to use a block.
#[derive(Debug)]
pub struct Grant {
    cell: Arc<BlockCell>,
    order: Order,
    /// For `Alone`, the task's own guards: `OPEN_TO_WRITE`, or the number that read. One thread at a time uses it.
    opened: AtomicU8,
}

const OPEN_TO_WRITE: u8 = u8::MAX;

impl Grant {
    pub(crate) fn new(cell: Arc<BlockCell>, order: Order) -> Grant {
        Grant { cell, order, opened: AtomicU8::new(0) }
    }

    /// The block.
    pub fn cell(&self) -> &Arc<BlockCell> {
        &self.cell
    }
}

/// A grant within its task.
#[derive(Clone, Copy, Debug)]
pub struct Granted<'a> {
    grant: &'a Grant,
    /// As the guard of a mutex, it stays on its thread, which alone uses `opened`.
    _thread: PhantomData<MutexGuard<'a, ()>>,
}

impl<'a> Granted<'a> {
    /// # Safety
    /// While the result lives, an epoch that has claimed the block runs the task of this grant, in the order of the
    /// graph, and no other thread has a `Granted` of it.
    pub(crate) unsafe fn new(grant: &'a Grant) -> Granted<'a> {
        Granted { grant, _thread: PhantomData }
    }

    pub(crate) fn read(self) -> ReadGuard<Granted<'a>> {
        ReadGuard::open(self)
    }

    pub(crate) fn write(self) -> WriteGuard<Granted<'a>> {
        WriteGuard::open(self)
    }
}

impl Deref for Granted<'_> {
    type Target = BlockCell;

    fn deref(&self) -> &BlockCell {
        &self.grant.cell
    }
}

// SAFETY: other tasks are kept out by the order, as `Granted::new` demands, and the task's own guards by `opened`.
// Relaxed throughout: one thread uses `opened` at a time, and what hands the task on orders it.
unsafe impl Holder for Granted<'_> {
    fn begin_read(&self) {
        match self.grant.order {
            Order::Counted => self.count_reader(),
            Order::Shared => {}
            Order::Alone => {
                // Relaxed: one thread.
                let before = self.grant.opened.load(Relaxed);
                assert!(before < OPEN_TO_WRITE - 1, "a block was read while it was written");
                self.grant.opened.store(before + 1, Relaxed); // Relaxed: one thread
            }
        }
    }

    fn end_read(&self) {
        match self.grant.order {
            Order::Counted => self.discount_reader(),
            Order::Shared => {}
            // Relaxed: one thread.
            Order::Alone => self.grant.opened.store(self.grant.opened.load(Relaxed) - 1, Relaxed),
        }
    }

    fn begin_write(&self) {
        match self.grant.order {
            Order::Counted => self.count_writer(),
            Order::Shared => panic!("a task writes a block that it declared to read"),
            Order::Alone => {
                // Relaxed: one thread.
                let before = self.grant.opened.load(Relaxed);
                assert!(before == 0, "a block was written while it was used");
                self.grant.opened.store(OPEN_TO_WRITE, Relaxed); // Relaxed: one thread
            }
        }
    }

    fn end_write(&self) {
        match self.grant.order {
            Order::Counted => self.discount_writer(),
            // Relaxed: one thread.
            Order::Shared | Order::Alone => self.grant.opened.store(0, Relaxed),
        }
    }
}
