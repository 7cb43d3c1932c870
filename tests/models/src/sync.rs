//! What `crate::sync` of the runtime names, by loom.
//!
//! Loom takes a sequentially consistent operation for an acquire-release one, which allows more than the machine does;
//! here a sequentially consistent fence, which loom follows exactly, stands before it, as compilers for weak machines
//! place one.
//! A wait with a time limit has none: in a model nothing may depend on time passing.

pub(crate) use loom::sync::{Mutex, MutexGuard};
pub(crate) use std::sync::{LockResult, PoisonError, TryLockError};
use std::time::Duration;

pub(crate) struct Condvar(loom::sync::Condvar);

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar(loom::sync::Condvar::new())
    }
}

impl std::fmt::Debug for Condvar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Condvar")
    }
}

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        _limit: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, ())> {
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
    //! Atomics and fences.

    pub(crate) use loom::sync::atomic::{Ordering, fence};

    /// The ordering of an operation that is about to be made.
    fn order(ordering: Ordering) -> Ordering {
        if ordering == Ordering::SeqCst {
            fence(Ordering::SeqCst); // gives the operation its place in the one order of all such
        }
        ordering
    }

    macro_rules! atomic {
        ($name:ident, $value:ty) => {
            #[derive(Debug)]
            pub(crate) struct $name(loom::sync::atomic::$name);

            impl Default for $name {
                fn default() -> $name {
                    $name::new(0)
                }
            }

            impl $name {
                pub(crate) fn new(value: $value) -> $name {
                    $name(loom::sync::atomic::$name::new(value))
                }

                pub(crate) fn load(&self, ordering: Ordering) -> $value {
                    self.0.load(order(ordering))
                }

                pub(crate) fn store(&self, value: $value, ordering: Ordering) {
                    self.0.store(value, order(ordering));
                }

                pub(crate) fn swap(&self, value: $value, ordering: Ordering) -> $value {
                    self.0.swap(value, order(ordering))
                }

                pub(crate) fn fetch_add(&self, value: $value, ordering: Ordering) -> $value {
                    self.0.fetch_add(value, order(ordering))
                }

                pub(crate) fn fetch_sub(&self, value: $value, ordering: Ordering) -> $value {
                    self.0.fetch_sub(value, order(ordering))
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.0.compare_exchange(current, new, order(success), failure)
                }

                pub(crate) fn fetch_update(
                    &self,
                    success: Ordering,
                    failure: Ordering,
                    mut update: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    let mut current = self.load(failure);
                    while let Some(new) = update(current) {
                        match self.compare_exchange(current, new, success, failure) {
                            Ok(before) => return Ok(before),
                            Err(now) => current = now,
                        }
                    }
                    Err(current)
                }
            }
        };
    }

    atomic!(AtomicU32, u32);
    atomic!(AtomicU64, u64);
    atomic!(AtomicUsize, usize);
}
