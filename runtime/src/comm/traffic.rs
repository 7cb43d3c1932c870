//! Counters of bytes and messages, by operation.
//!
//! Exact on any machine: they count what this rank gives to the transport, not how the wire carries it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What one rank gave to the transport in one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Point-to-point messages sent.
    pub messages: u64,
    /// Collectives entered.
    pub collectives: u64,
    /// Bytes of both: of a message its length, of a collective this rank's contribution.
    pub bytes: u64,
}

#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<&'static str, Traffic>>);

impl Ledger {
    pub(super) fn message(&self, operation: &'static str, bytes: usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(operation).or_default();
        entry.messages += 1;
        entry.bytes += bytes as u64;
    }

    pub(super) fn collective(&self, operation: &'static str, bytes: usize) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.entry(operation).or_default();
        entry.collectives += 1;
        entry.bytes += bytes as u64;
    }

    pub(super) fn read(&self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if reset { std::mem::take(&mut entries) } else { entries.clone() }
    }
}
