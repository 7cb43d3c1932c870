//! How far a lane has come, and how it is left and taken.
//!
//! Invariant: a lane that was left is taken by one thread alone, and not before what it wants is there.
//! Whoever leaves a lane counts it as left, calls `leave`, and then tries to `take` it itself; whoever tells a position
//! looks at that count after `tell`, and tries to take the lanes that were left. So no lane is left for ever.
//! Proof: `PROTOCOL.md`, "No lane is left for ever". Model: `tests/models/src/lane_model.rs`.
//! Never here: what a lane runs.

use crate::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, SeqCst},
    fence,
};
use crossbeam::utils::CachePadded;

/// A position: so many steps of a lane are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Which lane.
    pub(crate) lane: u32,
    /// How many steps.
    pub(crate) done: u32,
}

/// What a lane that nobody runs waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// A position of another lane.
    Mark(Mark),
    /// The end of an operation of the comm thread, by its place among those of the graph.
    Message(u32),
}

const FOR_MESSAGE: u64 = 1 << 63;
const FOR_MARK: u64 = 1 << 62;

impl Want {
    fn word(self) -> u64 {
        match self {
            Want::Mark(Mark { lane, done }) => FOR_MARK | u64::from(lane) << 32 | u64::from(done),
            Want::Message(place) => FOR_MESSAGE | u64::from(place),
        }
    }

    fn of(word: u64) -> Option<Want> {
        if word & FOR_MESSAGE != 0 {
            return Some(Want::Message(word as u32));
        }
        let lane = ((word & !FOR_MARK) >> 32) as u32;
        (word & FOR_MARK != 0).then_some(Want::Mark(Mark { lane, done: word as u32 }))
    }
}

/// In which epoch an operation of the comm thread ended last.
#[derive(Debug, Default)]
pub(crate) struct Ended(AtomicU32);

impl Ended {
    /// Says that it has ended in this epoch.
    pub(crate) fn tell(&self, epoch: u32) {
        self.0.store(epoch, SeqCst); // as in `Progress::tell`
    }

    /// True if it has ended in this epoch; then what it wrote is visible.
    #[inline]
    pub(crate) fn is_told(&self, epoch: u32) -> bool {
        self.0.load(Acquire) == epoch // pairs with the SeqCst store in `tell`
    }
}

/// How far a lane has come in this epoch.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Steps done, as far as others must know.
    done: CachePadded<AtomicU32>,
    /// Where whoever takes the lane begins; handed on with the lane.
    next: AtomicU32,
    /// What a lane that nobody runs waits for; 0 if somebody runs it.
    wanted: AtomicU64,
}

impl Progress {
    /// Back to the begin of an epoch; nobody runs the lane.
    pub(crate) fn reset(&self) {
        // Relaxed: the launch hands all of this on to the workers.
        self.done.store(0, Relaxed);
        self.next.store(0, Relaxed); // Relaxed: as above
        self.wanted.store(0, Relaxed);
    }

    /// True if so many steps are done; then what they wrote is visible.
    #[inline]
    pub(crate) fn reached(&self, done: u32) -> bool {
        self.done.load(Acquire) >= done // pairs with the SeqCst store in `tell`
    }

    /// Where whoever takes the lane begins.
    pub(crate) fn next(&self) -> usize {
        self.next.load(Relaxed) as usize // Relaxed: came with the lane, by `take` and a queue of jobs
    }

    /// Says that so many steps are done.
    #[inline]
    pub(crate) fn tell(&self, done: usize) {
        // SeqCst: the look for lanes that wait comes after; `leave` stands opposite.
        self.done.store(done as u32, SeqCst);
    }

    /// Leaves the lane to whoever sees that what it waits for is there. The caller then looks once more itself.
    pub(crate) fn leave(&self, next: usize, want: Want) {
        self.next.store(next as u32, Relaxed); // handed on by the next line
        self.wanted.store(want.word(), SeqCst);
        fence(SeqCst); // the second look comes after; `tell` stands opposite
    }

    /// Takes a lane that was left, if what it wants is `there`; true for one taker alone.
    pub(crate) fn take(&self, there: impl Fn(Want) -> bool) -> bool {
        let word = self.wanted.load(SeqCst);
        let wanted = Want::of(word).is_some_and(there);
        // SeqCst: the winner sees `next`; Relaxed: the loser sees nothing.
        wanted && self.wanted.compare_exchange(word, 0, SeqCst, Relaxed).is_ok()
    }
}
