//! Counters of bytes and messages, by operation.
//!
//! Exact on any machine: they count what this rank gives to the transport, not how the wire carries it.

use std::collections::BTreeMap;

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

/// The counts of one rank; kept by whoever drives.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Few; the one counted last is first asked.
    entries: Vec<(&'static str, Traffic)>,
    last: usize,
}

impl Ledger {
    pub(super) fn message(&mut self, operation: &'static str, bytes: usize) {
        let entry = self.entry(operation);
        entry.messages += 1;
        entry.bytes += bytes as u64;
    }

    pub(super) fn collective(&mut self, operation: &'static str, bytes: usize) {
        let entry = self.entry(operation);
        entry.collectives += 1;
        entry.bytes += bytes as u64;
    }

    fn entry(&mut self, operation: &'static str) -> &mut Traffic {
        if self.entries.get(self.last).is_none_or(|(name, _)| *name != operation) {
            let found = self.entries.iter().position(|(name, _)| *name == operation);
            self.last = found.unwrap_or_else(|| {
                self.entries.push((operation, Traffic::default()));
                self.entries.len() - 1
            });
        }
        &mut self.entries[self.last].1
    }

    pub(super) fn read(&mut self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        let entries = self.entries.iter().copied().collect();
        if reset {
            self.entries.clear();
        }
        entries
    }
}
