//! A flag that opens, and those who wait for it.
//!
//! Who opened it may still be inside `open` when others have seen it and close it for the next time: he touches nothing
//! but the latch, and a waiter that he wakes looks at the flag.
//! Proof: `PROTOCOL.md`, "The end is seen". Model: `tests/models/src/latch_model.rs`.

use crate::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How long a wait lasts before the waiter is asked whether it still wants to wait.
const WHILE: Duration = Duration::from_millis(50);

/// A flag that opens.
#[derive(Debug, Default)]
pub struct Latch {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Latch {
    /// Opens the latch.
    pub fn open(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    /// Closes the latch again, when nobody waits for it.
    pub fn close(&self) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    /// True if the latch is open.
    pub fn is_open(&self) -> bool {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the latch is open, but not for long; true if it is open.
    pub fn wait_a_while(&self) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.opened.wait_timeout_while(open, WHILE, |open| !*open);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
