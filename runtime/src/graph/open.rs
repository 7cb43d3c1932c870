//! How many of the nodes before a node are not done.
//!
//! Invariant: of all that count down, one comes last, and sees what all wrote before they did; it sets the count back,
//! so that between epochs it is whole again.
//! Proof: `PROTOCOL.md` of `schedule`, "Every access comes in program order". Model: `tests/models/src/open_model.rs`.

use crate::sync::atomic::{
    AtomicU32,
    Ordering::{AcqRel, Relaxed},
};

/// A count of what is open before a node.
#[derive(Debug, Default)]
pub struct Open(AtomicU32);

impl Open {
    /// Sets the count; nothing of the graph runs.
    pub(crate) fn set(&self, count: u32) {
        self.0.store(count, Relaxed); // Relaxed: the launch hands it on to the workers
    }

    /// One of `whole` is done; true for the last, after which the count is `whole` again.
    #[inline]
    pub(crate) fn count_down(&self, whole: u32) -> bool {
        // AcqRel: the last of several predecessors sees what the others wrote.
        let last = self.0.fetch_sub(1, AcqRel) == 1;
        if last {
            self.0.store(whole, Relaxed); // for the next epoch, which the end of this one comes before
        }
        last
    }
}
