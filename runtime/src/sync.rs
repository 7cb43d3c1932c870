//! What threads meet through, in one place: std's here; loom's where `tests/models` compiles the same files, and
//! shuttle's where `tests/schedules` does.
//!
//! Never here: anything else; what takes these names from elsewhere is not modelled.

pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

pub(crate) mod atomic {
    //! Atomics and fences.

    pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
}

pub(crate) mod thread {
    //! Threads of our own; rayon starts those of the workers.

    pub(crate) use std::thread::{Builder, JoinHandle, current, sleep, yield_now};
}

pub(crate) mod hint {
    //! What a thread does between two looks.

    pub(crate) use std::hint::spin_loop;
}

pub(crate) mod time {
    //! The clock by which threads give up and nap.

    pub(crate) use std::time::Instant;
}
