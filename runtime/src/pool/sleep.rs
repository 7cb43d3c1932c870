//! When a worker may sleep, and who must wake it.
//!
//! Invariant: after `wake_one` returns, some worker is awake that has not yet looked for work since the push.
//! Argument: a sleeper first announces itself, then looks once more; a waker first pushes, then looks for
//! sleepers. Both put a sequentially consistent fence between the two steps, so at least one sees the other.
//! Proof: `PROTOCOL.md`, "No lost wake-up". Model: `tests/models/src/sleep_model.rs`.

use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst, fence};
use crate::sync::{Condvar, Mutex, PoisonError};

#[derive(Default)]
pub(super) struct Sleep {
    /// Workers that announced to sleep and have not been called back.
    sleepers: AtomicUsize,
    /// Calls not yet taken by a sleeper.
    calls: Mutex<usize>,
    called: Condvar,
}

impl Sleep {
    /// Sleeps until called, unless `ready` holds after the announcement.
    pub(super) fn sleep_unless(&self, ready: impl Fn() -> bool) {
        self.sleepers.fetch_add(1, Relaxed); // announces; ordered by the fence
        fence(SeqCst); // the look comes after; the fence in `wake_one` stands opposite
        if ready() {
            self.withdraw();
            return;
        }
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        while *calls == 0 {
            calls = self.called.wait(calls).unwrap_or_else(PoisonError::into_inner);
        }
        *calls -= 1;
    }

    /// Takes the announcement back, or, if a waker has already counted it, the call that goes with it.
    fn withdraw(&self) {
        // Relaxed: the count of sleepers carries no data.
        let unclaimed = self.sleepers.fetch_update(Relaxed, Relaxed, |sleepers| sleepers.checked_sub(1));
        if unclaimed.is_err() {
            let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
            while *calls == 0 {
                calls = self.called.wait(calls).unwrap_or_else(PoisonError::into_inner);
            }
            *calls -= 1;
        }
    }

    /// Calls one sleeper back, if there is one. Call after the job was pushed.
    pub(super) fn wake_one(&self) {
        fence(SeqCst); // the push comes before the look; the announcement in `sleep_unless` stands opposite
        // Relaxed: a stale positive count is settled by the update itself.
        if self.sleepers.load(Relaxed) == 0 {
            return;
        }
        // Relaxed: whoever is called takes the lock below.
        if self.sleepers.fetch_update(Relaxed, Relaxed, |sleepers| sleepers.checked_sub(1)).is_ok() {
            *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            self.called.notify_one();
        }
    }

    /// Calls all sleepers back.
    pub(super) fn wake_all(&self) {
        fence(SeqCst); // as in `wake_one`
        let sleepers = self.sleepers.swap(0, Relaxed); // Relaxed: ordered by the fence
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += sleepers;
        self.called.notify_all();
    }
}
