//! The primitives that our protocols are written in: std's here, loom's where `tests/models` compiles the same files.
//!
//! Never here: anything else; what takes these names from elsewhere is not modelled.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(crate) mod atomic {
    //! Atomics and fences.

    pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}
