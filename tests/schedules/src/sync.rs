//! What `crate::sync` of the runtime names, by shuttle.
//!
//! Time is a number that grows by some random step at each look, so that it too follows from the seed. A wait with a
//! short limit may end at once, as a nap may; one with a long limit has none, so that a call that was lost is a
//! deadlock, which shuttle reports.

pub(crate) use shuttle::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::{LockResult, PoisonError, TryLockError};
use std::time::Duration;

/// A longer wait ends only when it is called back.
const NAP_MAX: Duration = Duration::from_millis(5);

#[derive(Debug, Default)]
pub(crate) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
        if limit <= NAP_MAX {
            if condition(&mut guard) {
                thread::yield_now();
            }
            return Ok((guard, ()));
        }
        while condition(&mut guard) {
            guard = self.0.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        Ok((guard, ()))
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

pub(crate) mod atomic {
    //! Atomics; shuttle takes every operation for a sequentially consistent one, so a fence has nothing to do.

    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

    pub(crate) fn fence(_ordering: Ordering) {}
}

pub(crate) mod thread {
    //! Shuttle's threads.

    pub(crate) use shuttle::thread::{Builder, JoinHandle, current, sleep, spawn, yield_now};
}

pub(crate) mod hint {
    //! Whoever spins lets others go on.

    pub(crate) use shuttle::hint::spin_loop;
}

pub(crate) mod time {
    //! A clock that follows from the seed.

    use shuttle::rand::{Rng, thread_rng};
    use std::cell::Cell;
    use std::ops::{Add, Sub};
    use std::time::Duration;

    /// Nanoseconds of a look at the clock, and of one in so many: this thread may have lost its core.
    const STEP_MAX: u64 = 2_000;
    const LONG_STEP: u64 = 2_000_000;
    const LONG_ONE_IN: u64 = 32;

    // All threads of an execution are one of the system's.
    std::thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
    }

    /// An execution begins.
    pub(crate) fn restart() {
        NOW.set(0);
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub(crate) struct Instant(u64);

    impl Instant {
        pub(crate) fn now() -> Instant {
            let random: u64 = thread_rng().r#gen();
            let step = if random % LONG_ONE_IN == 0 { LONG_STEP } else { random / LONG_ONE_IN % STEP_MAX };
            NOW.set(NOW.get() + step);
            Instant(NOW.get())
        }

        pub(crate) fn elapsed(&self) -> Duration {
            Instant::now() - *self
        }
    }

    impl Sub for Instant {
        type Output = Duration;

        fn sub(self, earlier: Instant) -> Duration {
            Duration::from_nanos(self.0.saturating_sub(earlier.0))
        }
    }

    impl Add<Duration> for Instant {
        type Output = Instant;

        fn add(self, later: Duration) -> Instant {
            Instant(self.0 + later.as_nanos() as u64)
        }
    }
}
