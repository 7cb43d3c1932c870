//! One thread's events: chunks that it fills and that anybody may read.

use super::{Switch, Who, now};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

const CHUNK_ENTRIES: usize = 4096;
/// A thread keeps so many chunks (96 KiB each) of a session and counts what comes later.
const CHUNKS_MAX: usize = 1024;
const WORDS: usize = 3;
const KIND_SHIFT: u32 = 56;

/// What an entry tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A task ran: its time, launch and node.
    Task,
    /// The thread is in another state since: the state, as a number.
    State,
    /// A job was taken from a worker, whose number follows.
    Steal,
    /// A message was ready to be posted: launch and node.
    Posted,
    /// A message was complete: launch and node.
    Completed,
    /// A main thread did something: its time, the number of its text, and kibibytes in use.
    Main,
    /// A process ran something: its time, the number of its text, and the process's number.
    Process,
}

const KINDS: [Kind; 7] =
    [Kind::Task, Kind::State, Kind::Steal, Kind::Posted, Kind::Completed, Kind::Main, Kind::Process];

/// What a thread does that runs no task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// A worker looks for a job.
    Searching,
    /// A worker sleeps until it is called.
    Parked,
    /// The comm thread sleeps until something is posted.
    Asleep,
    /// The comm thread tests what is outstanding.
    Polling,
    /// The comm thread pauses between tests.
    Napping,
    /// The comm thread hands something over.
    Busy,
}

const STATES: [State; 6] =
    [State::Searching, State::Parked, State::Asleep, State::Polling, State::Napping, State::Busy];

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            State::Searching => "searching",
            State::Parked => "parked",
            State::Asleep => "asleep",
            State::Polling => "polling",
            State::Napping => "napping",
            State::Busy => "busy",
        }
    }
}

/// An entry as it is read; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) begin: u64,
    pub(super) duration: u64,
    pub(super) first: u32,
    pub(super) second: u32,
}

impl Entry {
    pub(super) fn end(&self) -> u64 {
        self.begin + self.duration
    }

    pub(super) fn state(&self) -> State {
        STATES[self.first as usize]
    }
}

/// A run of entries. Its thread alone writes; readers trust what lies below `len`.
struct Chunk {
    len: AtomicUsize,
    words: Box<[AtomicU64]>,
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({})", self.len.load(Relaxed)) // Relaxed: a number for the reader of a dump
    }
}

/// What was kept of one thread.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) who: Who,
    /// Entries that found no room.
    pub(super) dropped: u64,
    chunks: Vec<Arc<Chunk>>,
}

impl Kept {
    /// All entries, in the order in which they were written.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let read = |chunk: &Arc<Chunk>| {
            // Acquire: the words below are written; pairs with the Release in `Recorder::write`.
            let len = chunk.len.load(Acquire);
            (0..len)
                .map(|index| {
                    // Relaxed: ordered by the length.
                    let word = |word: usize| chunk.words[index * WORDS + word].load(Relaxed);
                    let (head, place) = (word(0), word(2));
                    Entry {
                        kind: KINDS[(head >> KIND_SHIFT) as usize],
                        begin: head & ((1 << KIND_SHIFT) - 1),
                        duration: word(1),
                        first: (place >> 32) as u32,
                        second: place as u32,
                    }
                })
                .collect::<Vec<_>>()
        };
        self.chunks.iter().flat_map(read).collect()
    }
}

/// When something began that is being recorded.
#[derive(Clone, Copy, Debug)]
pub struct Begun(u64);

/// Where one thread writes its events.
#[derive(Debug)]
pub struct Recorder {
    switch: Arc<Switch>,
    who: Who,
    /// The session that `chunk` belongs to.
    session: Cell<u32>,
    chunk: RefCell<Option<Arc<Chunk>>>,
    filled: Cell<usize>,
    state: Cell<Option<State>>,
}

impl Recorder {
    pub(super) fn new(switch: Arc<Switch>, who: Who) -> Recorder {
        let (session, chunk, filled, state) = Default::default();
        Recorder { switch, who, session, chunk, filled, state }
    }

    /// The time, if a trace is recorded. Cost when none is: a relaxed load.
    #[inline]
    pub fn begin(&self) -> Option<Begun> {
        if self.switch.session() == 0 { None } else { Some(Begun(now())) }
    }

    /// A task ran since `begun`.
    #[inline]
    pub fn task(&self, begun: Option<Begun>, launch: u32, node: u32) {
        if let Some(Begun(begin)) = begun {
            self.state.set(None);
            self.write(Entry { kind: Kind::Task, begin, duration: now() - begin, first: launch, second: node });
        }
    }

    /// The thread goes over to another state. Cost when nothing is recorded: a relaxed load.
    #[inline]
    pub fn state(&self, state: State) {
        let session = self.switch.session();
        if session != 0 && (self.state.replace(Some(state)) != Some(state) || self.session.get() != session) {
            self.note(Kind::State, state as u32, 0);
        }
    }

    /// A job was taken from this worker. Cost when nothing is recorded: a relaxed load.
    #[inline]
    pub fn stolen(&self, victim: usize) {
        if self.switch.session() != 0 {
            self.note(Kind::Steal, victim as u32, 0);
        }
    }

    pub(super) fn note(&self, kind: Kind, first: u32, second: u32) {
        self.write(Entry { kind, begin: now(), duration: 0, first, second });
    }

    pub(super) fn span(&self, Begun(begin): Begun, text: u32, kibibytes: u32) {
        let duration = now() - begin;
        self.write(Entry { kind: Kind::Main, begin, duration, first: text, second: kibibytes });
    }

    pub(super) fn process(&self, begin: u64, end: u64, text: u32, number: u32) {
        let duration = end.saturating_sub(begin);
        self.write(Entry { kind: Kind::Process, begin, duration, first: text, second: number });
    }

    fn write(&self, entry: Entry) {
        let session = self.switch.session();
        if self.session.get() != session || self.filled.get() == CHUNK_ENTRIES {
            self.next_chunk(session);
        }
        let chunk = self.chunk.borrow();
        let Some(chunk) = &*chunk else { return };
        let index = self.filled.get();
        let place = u64::from(entry.first) << 32 | u64::from(entry.second);
        let words = [entry.begin | (entry.kind as u64) << KIND_SHIFT, entry.duration, place];
        for (word, value) in chunk.words[index * WORDS..].iter().zip(words) {
            word.store(value, Relaxed); // Relaxed: published by the length
        }
        self.filled.set(index + 1);
        chunk.len.store(index + 1, Release); // publishes the words; pairs with the Acquire in `Kept::entries`
    }

    /// Takes a fresh chunk; none if the session has ended or this thread's room is used up.
    #[cold]
    fn next_chunk(&self, session: u32) {
        self.chunk.replace(None);
        let mut kept = self.switch.kept();
        if session == 0 || kept.number != session {
            return;
        }
        self.session.set(session);
        let place = kept.tracks.iter().position(|track| track.who == self.who).unwrap_or_else(|| {
            kept.tracks.push(Kept { who: self.who, dropped: 0, chunks: Vec::new() });
            kept.tracks.len() - 1
        });
        let track = &mut kept.tracks[place];
        if track.chunks.len() == CHUNKS_MAX {
            track.dropped += 1;
            return;
        }
        let words = (0..CHUNK_ENTRIES * WORDS).map(|_| AtomicU64::new(0)).collect();
        let chunk = Arc::new(Chunk { len: AtomicUsize::new(0), words });
        track.chunks.push(Arc::clone(&chunk));
        drop(kept);
        self.filled.set(0);
        self.chunk.replace(Some(chunk));
    }
}
