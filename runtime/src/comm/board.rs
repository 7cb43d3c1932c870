//! A board on which every rank of a node says what it does, for the others to read without its help.
//!
//! A rank that has not come to a collective may be anywhere, and answer nobody; what it wrote before stands here.
//! Invariant: one rank writes a note, under a version that is odd meanwhile; who reads between two equal even versions
//! has read what was written at once.
//! Model: `tests/models/src/board_model.rs`. Never here: when notes are written, and who is told of them.

use super::ring::Line;
use crate::ids::Rank;
use crate::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Words of a note: its version, what `Note` has, and the text.
const VERSION: usize = 0;
const STEP: usize = 1;
const SINCE: usize = 2;
const LENGTH: usize = 3;
const PRINT: usize = 4;
const TEXT: usize = 5;
const WORD_BYTES: usize = size_of::<u64>();
/// Above the length of the text.
const INSIDE: u64 = 1 << 32;
const AGAIN: u64 = 1 << 33;
/// Of the word with both.
const LENGTH_MAX: u64 = INSIDE - 1;
/// A reader that finds the writer at work so often finds it stopped there.
const READS: usize = 8;

/// What a rank does, or did last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The place in the program.
    pub(crate) at: At,
    /// Milliseconds on the node's clock when that changed.
    pub(crate) since: u64,
    /// The step in words, as far as there is room.
    pub(crate) text: String,
}

/// A rank's place in the program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    /// Steps with other ranks begun, which all ranks count alike.
    pub(crate) step: u64,
    /// Stands for the latest of them; equal on all ranks that do the same.
    pub(crate) print: u64,
    /// True if that runs a graph again, without an agreement.
    pub(crate) again: bool,
    /// True from the begin of what the text says to its end.
    pub(crate) inside: bool,
}

/// Lines of one rank's note.
pub(crate) const LINES: usize = 8;

/// Where a note stands: in memory of the node, or of this process.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Shared(&'static [Line]),
    Own(Arc<[Line]>),
}

/// One rank's view of the board.
#[derive(Debug)]
pub struct Board {
    mine: Place,
    others: Vec<(Rank, Place)>,
}

impl Place {
    fn lines(&self) -> &[Line] {
        match self {
            Place::Shared(lines) => lines,
            Place::Own(lines) => lines,
        }
    }
}

impl Board {
    pub(crate) fn new(mine: Place, others: Vec<(Rank, Place)>) -> Board {
        Board { mine, others }
    }

    /// Says what this rank does from now on, or did until now.
    pub(crate) fn write(&self, at: At, text: &str) {
        write(self.mine.lines(), at, now(), text);
    }

    /// What the other ranks wrote, with how long ago.
    pub(crate) fn others(&self) -> Vec<(Rank, Note, Duration)> {
        let now = now();
        let note = |(rank, place): &(Rank, Place)| {
            let note = read(place.lines())?;
            let age = Duration::from_millis(now.saturating_sub(note.since));
            Some((*rank, note, age))
        };
        self.others.iter().filter_map(note).collect()
    }
}

/// Milliseconds on a clock that all ranks of the node read.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn word<const WORDS: usize>(lines: &[Line<WORDS>], index: usize) -> &AtomicU64 {
    &lines[index / WORDS].0[index % WORDS]
}

/// Writes a rank's note; by that rank alone, one thread at a time. Cost: the length of the text.
pub(crate) fn write<const WORDS: usize>(lines: &[Line<WORDS>], at: At, since: u64, text: &str) {
    let version = word(lines, VERSION).load(Relaxed); // Relaxed: written by this rank alone
    word(lines, VERSION).store(version + 1, Relaxed); // ordered by the fence
    fence(Release); // who sees a word written below sees the odd version too; the fence in `read` stands opposite
    let bytes = &text.as_bytes()[..text.len().min((lines.len() * WORDS - TEXT) * WORD_BYTES)];
    // Relaxed, here and below: ordered by the fence and by the last store.
    word(lines, STEP).store(at.step, Relaxed);
    word(lines, SINCE).store(since, Relaxed);
    word(lines, PRINT).store(at.print, Relaxed); // as above
    let flags = if at.inside { INSIDE } else { 0 } | if at.again { AGAIN } else { 0 };
    word(lines, LENGTH).store(bytes.len() as u64 | flags, Relaxed); // as above
    for (index, chunk) in bytes.chunks(WORD_BYTES).enumerate() {
        let mut value = [0; WORD_BYTES];
        value[..chunk.len()].copy_from_slice(chunk);
        word(lines, TEXT + index).store(u64::from_ne_bytes(value), Relaxed); // as above
    }
    word(lines, VERSION).store(version + 2, Release); // pairs with the first Acquire in `read`
}

/// A rank's note; none if it has written nothing, or was stopped in the middle.
pub(crate) fn read<const WORDS: usize>(lines: &[Line<WORDS>]) -> Option<Note> {
    for _ in 0..READS {
        let version = word(lines, VERSION).load(Acquire); // pairs with the last Release in `write`
        if version == 0 {
            return None;
        }
        // Relaxed: as below.
        let [step, since, length, print] = [STEP, SINCE, LENGTH, PRINT].map(|index| word(lines, index).load(Relaxed));
        let most = (lines.len() * WORDS - TEXT) * WORD_BYTES;
        let bytes = (length & LENGTH_MAX).min(most as u64) as usize;
        let words = 0..bytes.div_ceil(WORD_BYTES);
        // Relaxed: what is read counts only if the version has not changed.
        let text = words.flat_map(|index| word(lines, TEXT + index).load(Relaxed).to_ne_bytes());
        let mut text: Vec<u8> = text.collect();
        text.truncate(bytes);
        fence(Acquire); // the loads above come before the look at the version; the fence in `write` stands opposite
        // Relaxed: ordered by the fence.
        if version.is_multiple_of(2) && word(lines, VERSION).load(Relaxed) == version {
            let text = String::from_utf8_lossy(&text).into_owned();
            let at = At { step, print, again: length & AGAIN != 0, inside: length & INSIDE != 0 };
            return Some(Note { at, since, text });
        }
        std::hint::spin_loop();
    }
    None
}
