//! A ring of lines in memory that two ranks share: one writes short messages, the other reads them.
//!
//! A message is a run of lines. The first word of a line tells the lap in which it was written, and in the first line
//! of a message its tag and length too: so one line brings a short message together with the news of it, and a reader
//! that waits looks at one word.
//! Invariant 1: a line is written only when the reader has told that it is done with what stood there a lap before.
//! Invariant 2: a message's first word is written last; who sees it sees the rest of the message.
//! Proof: `PROTOCOL.md`, "Ranks of one node share rings". Model: `tests/models/src/ring_model.rs`.
//! Never here: where the memory comes from, and what a message means.

use crate::ids::Tag;
use crate::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// What travels between caches as one; all zero before the first message.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Line<const WORDS: usize = 8>(pub(crate) [AtomicU64; WORDS]);

/// The lap stands above the length in bytes, and this above the tag.
const LAP_SHIFT: u32 = 48;
const BYTES_SHIFT: u32 = 32;
const WORD_BYTES: usize = size_of::<u64>();

/// Both ends' view: the reader's line, and a power of two of lines for messages.
#[derive(Clone, Copy, Debug)]
struct Lines<'a, const WORDS: usize> {
    told: &'a AtomicU64,
    lines: &'a [Line<WORDS>],
}

impl<'a, const WORDS: usize> Lines<'a, WORDS> {
    fn of(ring: &'a [Line<WORDS>]) -> Lines<'a, WORDS> {
        let (first, lines) = ring.split_first().expect("a ring has a line for its reader");
        assert!(lines.len().is_power_of_two(), "a ring of {} lines", lines.len());
        Lines { told: &first.0[0], lines }
    }

    /// Line `number`, counted from the first message on.
    fn line(&self, number: u64) -> &'a [AtomicU64; WORDS] {
        &self.lines[number as usize & (self.lines.len() - 1)].0
    }

    /// What the first word of line `number` has above the length; never zero in the first lap.
    fn lap(&self, number: u64) -> u64 {
        let lap = (number >> self.lines.len().trailing_zeros()) + 1;
        lap << LAP_SHIFT
    }

    fn lines_of(bytes: usize) -> u64 {
        bytes.div_ceil(WORD_BYTES * (WORDS - 1)).max(1) as u64
    }
}

/// The end that writes; one for each ring.
#[derive(Debug)]
pub(crate) struct RingWriter<'a, const WORDS: usize = 8> {
    ring: Lines<'a, WORDS>,
    /// Lines written, and lines that the reader is known to have read.
    written: u64,
    read: u64,
}

impl<'a, const WORDS: usize> RingWriter<'a, WORDS> {
    /// The writer of a ring that nobody has written.
    ///
    /// # Panics
    /// If the ring has not one line and a power of two of others.
    pub(crate) fn new(ring: &'a [Line<WORDS>]) -> RingWriter<'a, WORDS> {
        RingWriter { ring: Lines::of(ring), written: 0, read: 0 }
    }

    /// The bytes of half the ring.
    pub(crate) fn message_bytes_max(&self) -> usize {
        self.ring.lines.len() / 2 * WORD_BYTES * (WORDS - 1)
    }

    /// Writes a message of at most half the ring; false, and nothing is written, while there is no room.
    pub(crate) fn write(&mut self, tag: Tag, bytes: &[u8]) -> bool {
        let needed = Lines::<WORDS>::lines_of(bytes.len());
        let room = self.ring.lines.len() as u64;
        if self.written + needed > self.read + room {
            self.read = self.ring.told.load(Acquire); // pairs with the Release in `read`
            if self.written + needed > self.read + room {
                return false;
            }
        }
        let mut rest = bytes;
        for number in self.written..self.written + needed {
            let (first, words) = self.ring.line(number).split_first().expect("a line has words");
            for word in words.iter().take(rest.len().div_ceil(WORD_BYTES)) {
                let (here, behind) = rest.split_at(WORD_BYTES.min(rest.len()));
                rest = behind;
                let mut value = [0; WORD_BYTES];
                value[..here.len()].copy_from_slice(here);
                word.store(u64::from_ne_bytes(value), Relaxed); // published by the first word of the message
            }
            if number > self.written {
                first.store(self.ring.lap(number), Relaxed); // as above
            }
        }
        let head = self.ring.lap(self.written) | (bytes.len() as u64) << BYTES_SHIFT | u64::from(tag.0);
        self.ring.line(self.written)[0].store(head, Release); // pairs with the Acquire in `read`
        self.written += needed;
        if self.written < self.read + room {
            // A word of no meaning brings the next line to this core while the message is on its way.
            self.ring.line(self.written)[WORDS - 1].store(0, Relaxed);
        }
        true
    }
}

/// The end that reads; one for each ring.
#[derive(Debug)]
pub(crate) struct RingReader<'a, const WORDS: usize = 8> {
    ring: Lines<'a, WORDS>,
    /// Lines read, and how many of them the writer was told of.
    read: u64,
    told: u64,
}

impl<'a, const WORDS: usize> RingReader<'a, WORDS> {
    /// The reader of a ring that nobody has read.
    ///
    /// # Panics
    /// As [`RingWriter::new`].
    pub(crate) fn new(ring: &'a [Line<WORDS>]) -> RingReader<'a, WORDS> {
        RingReader { ring: Lines::of(ring), read: 0, told: 0 }
    }

    /// The next message, if there is one: its tag is returned and its bytes are put in `into`.
    pub(crate) fn read(&mut self, into: &mut Vec<u8>) -> Option<Tag> {
        let head = self.ring.line(self.read)[0].load(Acquire); // pairs with the Release in `write`
        if (head ^ self.ring.lap(self.read)) >> LAP_SHIFT != 0 {
            return None;
        }
        let bytes = (head >> BYTES_SHIFT) as usize & 0xffff;
        let lines = Lines::<WORDS>::lines_of(bytes);
        into.clear();
        for number in self.read..self.read + lines {
            let missing = bytes - into.len();
            for word in self.ring.line(number)[1..].iter().take(missing.div_ceil(WORD_BYTES)) {
                // Relaxed: seen with the first word.
                into.extend_from_slice(&word.load(Relaxed).to_ne_bytes());
            }
            into.truncate(bytes);
        }
        self.read += lines;
        // A quarter of the ring may be read and not told: what is left has room for the longest message.
        if self.read - self.told > self.ring.lines.len() as u64 / 4 {
            self.told = self.read;
            self.ring.told.store(self.read, Release); // pairs with the Acquire in `write`
        }
        Some(Tag(head as u32))
    }
}
