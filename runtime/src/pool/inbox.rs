//! Jobs for the workers of one NUMA domain from elsewhere: from outside the pool, from other domains, and urgent ones.
//!
//! Urgent jobs come before all others, also before those on a worker's own deque; else first in is first out.
//! The counts are hints for who looks without the lock: a job is counted before its push returns, so whoever pushes and
//! then calls a sleeper leaves it something to see. Room is kept: what comes and goes allocates nothing.
//! Proof: `PROTOCOL.md`, "No lost wake-up". Model: `tests/models/src/inbox_model.rs`.
//! Never here: what a job is, and which is urgent.

use crate::sync::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use crate::sync::{Mutex, PoisonError};
use crossbeam::utils::CachePadded;
use std::collections::VecDeque;

/// Room for so many jobs from the start.
const ROOM: usize = 1024;
/// At most so many jobs a worker takes at once; its deque holds twice as many without growing.
pub(crate) const BATCH_MAX: usize = 32;

/// The jobs of a domain that no worker has taken.
pub(crate) struct Inbox<J> {
    urgent: CachePadded<AtomicUsize>,
    waiting: CachePadded<AtomicUsize>,
    jobs: Mutex<Jobs<J>>,
}

struct Jobs<J> {
    urgent: VecDeque<J>,
    other: VecDeque<J>,
}

impl<J> Inbox<J> {
    pub(crate) fn new() -> Inbox<J> {
        let jobs = Jobs { urgent: VecDeque::with_capacity(ROOM), other: VecDeque::with_capacity(ROOM) };
        let (urgent, waiting) = (CachePadded::default(), CachePadded::default());
        Inbox { urgent, waiting, jobs: Mutex::new(jobs) }
    }

    pub(crate) fn push(&self, job: J, urgent: bool) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if urgent {
            jobs.urgent.push_back(job)
        } else {
            jobs.other.push_back(job)
        }
        self.count(&jobs);
    }

    /// True if an urgent job waits.
    #[inline]
    pub(crate) fn has_urgent(&self) -> bool {
        self.urgent.load(Relaxed) > 0 // Relaxed: a hint; who goes to sleep asks `is_empty`
    }

    /// True if no job waits; a job that was pushed before the last of two fences is seen after it.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.load(Relaxed) == 0 // Relaxed: ordered by the fences of `Sleep`
    }

    /// The first urgent job.
    pub(crate) fn take_urgent(&self) -> Option<J> {
        if !self.has_urgent() {
            return None;
        }
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.urgent.pop_front();
        self.count(&jobs);
        job
    }

    /// The first job; of the others half, but fewer than `most` in all, are handed to `keep`, the last of them first.
    pub(crate) fn take(&self, most: usize, mut keep: impl FnMut(J)) -> Option<J> {
        if self.is_empty() {
            return None;
        }
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let job = jobs.urgent.pop_front().or_else(|| {
            let job = jobs.other.pop_front();
            let more = (jobs.other.len() / 2).min(most - 1);
            jobs.other.drain(..more).rev().for_each(&mut keep);
            job
        });
        self.count(&jobs);
        job
    }

    /// Says how many jobs there are, under the lock.
    fn count(&self, jobs: &Jobs<J>) {
        // SeqCst: seen by who announces to sleep and looks once more (`Sleep`).
        self.urgent.store(jobs.urgent.len(), SeqCst);
        self.waiting.store(jobs.urgent.len() + jobs.other.len(), SeqCst);
    }
}
