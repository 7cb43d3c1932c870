//! The life of a worker: own deque, the domain's injector, thieves' round, sleep.

use super::{Job, Shared, Work};
use crate::trace::{Recorder, State, Who};
use crossbeam::deque::{Steal, Worker as Deque};
use std::cell::Cell;
use std::hint;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;

/// Empty rounds before a worker gives its core away between rounds; a few tens of nanoseconds each. A worker on a core
/// of its own is patient: on a loaded machine a core once given away comes back after milliseconds.
const SPINS: u32 = 64;
const PATIENT_SPINS: u32 = 2000;
/// Of so many empty rounds, one asks the injectors.
const INJECTOR_ROUNDS: u32 = 4;
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
    /// Makes a job of the running launch ready: on this worker's deque if it belongs to its domain, else in that
    /// domain's injector.
    pub fn push(&self, index: u32, domain: usize) {
        let job = Job { launch: self.launch.get(), index };
        if self.is_near(domain) {
            self.deque.push(job);
            self.shared.sleep.wake_one();
        } else {
            self.shared.inject(job, domain);
        }
    }

    /// Where this worker's events are told.
    #[inline]
    pub fn trace(&self) -> &Recorder {
        &self.trace
    }

    /// True for the domain of this worker.
    pub fn is_near(&self, domain: usize) -> bool {
        domain % self.shared.injectors.len() == self.domain
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

pub(super) fn run(shared: &Shared, worker_index: usize, deque: &Deque<Job>) {
    let trace = shared.tracer.recorder(Who::Worker(worker_index as u32));
    let (domain, ran) = (shared.domains[worker_index], Cell::new(0));
    let worker = Worker { shared, deque, domain, launch: Cell::new(0), trace, ran, index: worker_index };
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
        if shared.errand.get().is_some_and(|errand| errand.attend()) {
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

/// The next job: newest of the own deque, then the domain's injector, then victims nearest first, then the
/// injectors of other domains, which a worker helps only when its own is dry.
///
/// After empty rounds the own deque is still empty, and injectors, which fill once a launch, are asked now and then.
fn find(worker: &Worker<'_>, index: usize, empty_rounds: u32) -> Option<Job> {
    let Worker { shared, deque, domain, .. } = worker;
    let own = || if empty_rounds == 0 { deque.pop() } else { None };
    let injected = empty_rounds.is_multiple_of(INJECTOR_ROUNDS);
    own().or_else(|| {
        let injectors = shared.injectors.len();
        let near = || retry(|| shared.injectors[*domain].steal_batch_and_pop(deque));
        let victims = || shared.victims[index].iter().find_map(|&victim| steal(worker, victim));
        let far = || {
            let others = (1..injectors).map(|step| (domain + step) % injectors);
            others.into_iter().find_map(|other| retry(|| shared.injectors[other].steal()))
        };
        if injected { near().or_else(victims).or_else(far) } else { victims() }
    })
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
    shared.injectors.iter().any(|injector| !injector.is_empty())
        || shared.stealers.iter().any(|stealer| !stealer.is_empty())
}
