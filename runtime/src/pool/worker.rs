//! The life of a worker: urgent jobs, own deque, the domain's inbox, thieves' round, sleep.

use super::inbox::BATCH_MAX;
use super::{Job, Shared, Work};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{hint, thread};
use crate::trace::{Recorder, State, Who};
use crossbeam::deque::{Steal, Worker as Deque};
use std::cell::Cell;
use std::sync::Arc;

/// Empty rounds before a worker gives its core away between rounds; a few tens of nanoseconds each. A worker on a core
/// of its own is patient: on a loaded machine a core once given away comes back after milliseconds.
const SPINS: u32 = 64;
const PATIENT_SPINS: u32 = 2000;
/// On a core that it shares, so many in which it saw to messages: what they wait for may want this very core.
const ERRANDS: u32 = 4;
/// A deque that holds fewer never grows, so that no push allocates; what is more goes to the inbox.
const DEQUE_MAX: usize = 2 * BATCH_MAX - 1;
/// Rounds with a core given away before it sleeps.
const YIELDS: u32 = 128;

/// A worker, as a job sees it.
pub struct Worker<'a> {
    shared: &'a Shared,
    deque: &'a Deque<Job>,
    domain: usize,
    /// The launch that the running job belongs to.
    launch: Cell<u32>,
    trace: Recorder,
    /// Jobs, and parts of jobs that count as one, run so far.
    ran: Cell<u64>,
    index: usize,
}

impl Worker<'_> {
    /// Makes a job of the running launch ready: on this worker's deque if it belongs to its domain and is not urgent,
    /// else in that domain's inbox.
    pub fn push(&self, index: u32, domain: usize, urgent: bool) {
        let job = Job { launch: self.launch.get(), index };
        if self.is_near(domain) && !urgent && self.deque.len() < DEQUE_MAX {
            self.deque.push(job);
            self.shared.sleep.wake_one();
        } else {
            self.shared.inject(job, domain, urgent);
        }
    }

    /// Where this worker's events are told.
    #[inline]
    pub fn trace(&self) -> &Recorder {
        &self.trace
    }

    /// True for the domain of this worker.
    pub fn is_near(&self, domain: usize) -> bool {
        domain % self.shared.inboxes.len() == self.domain
    }

    /// True if this worker may spin: it has a core of its own.
    pub fn is_patient(&self) -> bool {
        self.shared.patient
    }

    /// Takes note that something was done, for whoever asks whether anything moves.
    pub fn count_one(&self) {
        self.ran.set(self.ran.get() + 1);
        self.shared.ran[self.index].store(self.ran.get(), Relaxed); // Relaxed: a number for the user
    }
}

/// The launch whose jobs a worker runs, kept from job to job.
struct Kept {
    launch: u32,
    work: Arc<dyn Work>,
    /// Launches retired when it was looked up.
    retired: u32,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared, index: usize, deque: &'a Deque<Job>) -> Worker<'a> {
        let trace = shared.tracer.recorder(Who::Worker(index as u32));
        let ran = Cell::new(shared.ran[index].load(Relaxed)); // Relaxed: written by this worker alone
        Worker { shared, deque, domain: shared.domains[index], launch: Cell::new(0), trace, ran, index }
    }
}

/// Runs one job of this worker or of those it may rob; false if it finds none.
pub(super) fn step(shared: &Shared, index: usize, deque: &Deque<Job>) -> bool {
    let worker = Worker::new(shared, index, deque);
    let Some(job) = find(&worker, index, 0) else { return false };
    worker.launch.set(job.launch);
    if let Some(next) = shared.work(job.launch).execute(job.index, &worker) {
        worker.push(next, worker.domain, false);
    }
    worker.count_one();
    true
}

pub(super) fn run(shared: &Shared, worker_index: usize, deque: &Deque<Job>) {
    let worker = Worker::new(shared, worker_index, deque);
    let domain = worker.domain;
    let mut kept: Option<Kept> = None;
    let mut empty_rounds = 0;
    let spins = if shared.patient { PATIENT_SPINS } else { SPINS };
    while !shared.stopped() {
        if let Some(job) = find(&worker, worker_index, empty_rounds) {
            empty_rounds = 0;
            if kept.as_ref().is_none_or(|kept| kept.launch != job.launch) {
                // The count first: a launch retired behind it is let go in the next empty round.
                let retired = shared.retired();
                kept = Some(Kept { launch: job.launch, work: shared.work(job.launch), retired });
                worker.launch.set(job.launch);
            }
            let work = &kept.as_ref().expect("looked up above").work;
            let mut next = Some(job.index);
            while let Some(index) = next {
                next = work.execute(index, &worker);
                worker.count_one();
                if let Some(index) = next.filter(|_| shared.inboxes[domain].has_urgent()) {
                    worker.push(index, domain, false);
                    next = None;
                }
            }
            continue;
        }
        if kept.as_ref().is_some_and(|kept| kept.retired != shared.retired()) {
            kept = None;
        }
        empty_rounds += 1;
        if empty_rounds == 1 {
            worker.trace.state(State::Searching);
        }
        let attended = shared.errand.get().and_then(|errand| errand.attend());
        let spins = if attended.is_some() && !shared.patient { ERRANDS } else { spins };
        if attended == Some(true) {
            empty_rounds = 0;
        } else if empty_rounds < spins {
            hint::spin_loop();
        } else if empty_rounds < spins + YIELDS {
            // Helps a job that divided itself through rayon; gives the core away if there is none.
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                thread::yield_now();
            }
        } else {
            // The launch may be retired in the meantime.
            kept = None;
            worker.trace.state(State::Parked);
            if let Some(errand) = shared.errand.get() {
                errand.leave();
            }
            shared.sleep.sleep_unless(|| shared.stopped() || has_work(shared));
            empty_rounds = 0;
        }
    }
}

/// The next job: an urgent one, the newest of the own deque, then the domain's inbox, then victims nearest first, then
/// the inboxes of other domains, which a worker helps only when its own is dry.
///
/// After empty rounds the own deque is still empty.
fn find(worker: &Worker<'_>, index: usize, empty_rounds: u32) -> Option<Job> {
    let Worker { shared, deque, domain, .. } = worker;
    let own = || if empty_rounds == 0 { deque.pop() } else { None };
    let near = || shared.inboxes[*domain].take(BATCH_MAX, |job| deque.push(job));
    let victims = || shared.victims[index].iter().find_map(|&victim| steal(worker, victim));
    let far = || {
        let inboxes = shared.inboxes.len();
        (1..inboxes).find_map(|step| shared.inboxes[(domain + step) % inboxes].take(1, |_| ()))
    };
    shared.inboxes[*domain].take_urgent().or_else(own).or_else(near).or_else(victims).or_else(far)
}

fn steal(worker: &Worker<'_>, victim: usize) -> Option<Job> {
    let job = retry(|| worker.shared.stealers[victim].steal())?;
    worker.trace.stolen(victim);
    Some(job)
}

fn retry(mut attempt: impl FnMut() -> Steal<Job>) -> Option<Job> {
    loop {
        match attempt() {
            Steal::Success(job) => return Some(job),
            Steal::Empty => return None,
            Steal::Retry => hint::spin_loop(),
        }
    }
}

fn has_work(shared: &Shared) -> bool {
    shared.inboxes.iter().any(|inbox| !inbox.is_empty()) || shared.stealers.iter().any(|stealer| !stealer.is_empty())
}
