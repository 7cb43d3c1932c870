//! Scratch buffers that tasks borrow, so that an iteration allocates nothing.

use girih_arrays::kernel::nearest::{Real, Scratch};
use std::sync::{Arc, Mutex, PoisonError};

/// As many buffers as tasks ever ran at once.
#[derive(Clone, Debug)]
pub(crate) struct Scratches<T>(Arc<Mutex<Vec<Scratch<T>>>>);

impl<T: Real + Default> Scratches<T> {
    pub(crate) fn new() -> Scratches<T> {
        Scratches(Arc::default())
    }

    /// Calls `body` with a buffer that nobody else has.
    pub(crate) fn lend<R>(&self, body: impl FnOnce(&mut Scratch<T>) -> R) -> R {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = kept.unwrap_or_default();
        let result = body(&mut scratch);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}
