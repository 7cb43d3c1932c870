//! Who drives: one thread at a time, under a lock that is only tried for, and nothing queued is left behind.
//!
//! Invariant: whoever queues something counts it and then tries to drive; whoever drives looks at the count once more
//! after letting go. So either the second thread gets the lock, or the first sees what it has queued.
//! Proof: `PROTOCOL.md`, "Nothing queued is left behind". Model: `tests/models/src/handover_model.rs`.
//! Never here: what is driven, and who sleeps.

use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};
use crate::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// Something that one thread at a time drives, with counts of what it has to do.
#[derive(Debug, Default)]
pub(crate) struct Handover<T> {
    held: Mutex<T>,
    queued: AtomicUsize,
    open: AtomicUsize,
}

impl<T> Handover<T> {
    pub(crate) fn new(held: T) -> Handover<T> {
        Handover { held: Mutex::new(held), queued: AtomicUsize::new(0), open: AtomicUsize::new(0) }
    }

    /// Something was queued; called under the lock of the queue, so that nobody takes what was not counted.
    pub(crate) fn count_queued(&self) {
        self.queued.fetch_add(1, SeqCst);
        fence(SeqCst); // before any look at who drives or sleeps
    }

    /// So many were taken from the queue; by whoever drives.
    pub(crate) fn count_taken(&self, taken: usize) {
        self.queued.fetch_sub(taken, SeqCst); // as in `count_queued`
    }

    /// True if something is queued.
    pub(crate) fn has_queued(&self) -> bool {
        self.queued.load(SeqCst) > 0 // after what this thread did before
    }

    /// True if something is queued or was open when somebody drove last.
    pub(crate) fn is_pending(&self) -> bool {
        self.has_queued() || self.open.load(SeqCst) > 0 // as in `has_queued`
    }

    /// As `is_pending`, where who misses something new sees it the next time.
    pub(crate) fn seems_pending(&self) -> bool {
        self.queued.load(Relaxed) + self.open.load(Relaxed) > 0 // Relaxed: a hint
    }

    /// Drives until the queue is empty; whether something moved, or `None` if another thread drives.
    ///
    /// `turn` takes up the queue, tells `count_taken`, and returns whether anything moved and how much is open; or
    /// `None` if there is nothing to be driven.
    pub(crate) fn drive(&self, mut turn: impl FnMut(&mut T) -> Option<(bool, usize)>) -> Option<bool> {
        let mut moved = None;
        loop {
            let Some(mut held) = self.try_hold() else { return moved };
            let Some((it_moved, open)) = turn(&mut held) else { return moved };
            *moved.get_or_insert(false) |= it_moved;
            if !self.let_go(held, open) {
                return moved;
            }
        }
    }

    /// Hands something to what is driven without the queue, if nobody drives and the queue is empty. True if something
    /// was queued meanwhile, for this thread to drive. `give` returns how much is open.
    pub(crate) fn lend(&self, give: impl FnOnce(&mut T) -> usize) -> bool {
        let Some(mut held) = self.try_hold() else { return false };
        if self.has_queued() {
            return true;
        }
        let open = give(&mut held);
        self.let_go(held, open)
    }

    /// Lets go of the lock; true if something was queued before others could have it.
    fn let_go(&self, held: MutexGuard<'_, T>, open: usize) -> bool {
        self.open.store(open, Relaxed); // Relaxed: the fence puts it before the look at who sleeps
        drop(held);
        fence(SeqCst); // the lock is free before the look; who finds it taken has queued before
        self.has_queued()
    }

    /// The lock, if nobody holds it.
    pub(crate) fn try_hold(&self) -> Option<MutexGuard<'_, T>> {
        match self.held.try_lock() {
            Ok(held) => Some(held),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// The lock, when whoever holds it lets go.
    pub(crate) fn hold(&self) -> MutexGuard<'_, T> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
