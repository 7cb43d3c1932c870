//! Values that an operation does not take, found while it runs.
//!
//! A task that returned an error would fail its graph, and ranks that receive nothing from it would not hear of
//! that in time. So the mistake is noted, the task goes on, and all ranks look for notes when the graph has run.

use crate::error::{Error, Result};
use girih_runtime::world::World;
use std::sync::{Arc, Mutex, PoisonError};

/// What this rank's tasks found wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mistakes {
    /// Whether some task can find anything; alike on all ranks.
    possible: bool,
    first: Arc<Mutex<Option<String>>>,
}

impl Mistakes {
    /// Tells that from now on there may be mistakes.
    pub(super) fn expect(&mut self, possible: bool) {
        self.possible |= possible;
    }

    /// Keeps the first mistake for later.
    pub(super) fn note(&self, text: String) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }

    pub(super) fn take(&self) -> Option<String> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Returns a mistake of any rank on all of them. Cost: one control message if there can be one, else none.
    ///
    /// # Errors
    /// Replicated: `Error::Shape`, which is `ValueError` in Python.
    pub(crate) fn agree(&self, world: &World) -> Result<()> {
        if !self.possible {
            return Ok(());
        }
        let texts = world.all_gather_bytes(self.take().unwrap_or_default().into_bytes())?;
        match texts.iter().find(|text| !text.is_empty()) {
            None => Ok(()),
            Some(text) => Err(Error::Shape(String::from_utf8_lossy(text).into_owned())),
        }
    }
}
