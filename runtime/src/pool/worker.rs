//! The life of a worker: own deque, the domain's injector, thieves' round, sleep.

use super::{Job, Shared, Work};
use crossbeam::deque::{Steal, Worker as Deque};
use std::hint;
use std::sync::Arc;
use std::thread;

/// Empty rounds before a worker gives its core away between rounds, and before it sleeps.
const SPINS: u32 = 32;
const YIELDS: u32 = 64;

/// A worker, as a job sees it.
pub struct Worker<'a> {
    shared: &'a Shared,
    deque: &'a Deque<Job>,
    domain: usize,
}

impl Worker<'_> {
    /// Makes a job ready: on this worker's deque if it belongs to its domain, else in that domain's injector.
    pub fn push(&self, work: &Arc<impl Work + 'static>, index: u32, domain: usize) {
        let job = Job { work: Arc::clone(work) as Arc<dyn Work>, index };
        if domain % self.shared.injectors.len() == self.domain {
            self.deque.push(job);
            self.shared.sleep.wake_one();
        } else {
            self.shared.inject(job, domain);
        }
    }
}

pub(super) fn run(shared: &Shared, index: usize, deque: &Deque<Job>) {
    let worker = Worker { shared, deque, domain: shared.domains[index] };
    let mut empty_rounds = 0;
    while !shared.stopped() {
        if let Some(job) = find(&worker, index) {
            empty_rounds = 0;
            job.work.execute(job.index, &worker);
            continue;
        }
        empty_rounds += 1;
        if empty_rounds < SPINS {
            hint::spin_loop();
        } else if empty_rounds < SPINS + YIELDS {
            // Helps a job that divided itself through rayon; gives the core away if there is none.
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                thread::yield_now();
            }
        } else {
            shared.sleep.sleep_unless(|| shared.stopped() || has_work(shared));
            empty_rounds = 0;
        }
    }
}

/// The next job: newest of the own deque, then the domain's injector, then victims nearest first, then the
/// injectors of other domains, which a worker helps only when its own is dry.
fn find(worker: &Worker<'_>, index: usize) -> Option<Job> {
    let Worker { shared, deque, domain } = worker;
    deque.pop().or_else(|| {
        let injectors = shared.injectors.len();
        let near = || retry(|| shared.injectors[*domain].steal_batch_and_pop(deque));
        let victims = || shared.victims[index].iter().find_map(|&victim| retry(|| shared.stealers[victim].steal()));
        let far = || {
            let others = (1..injectors).map(|step| (domain + step) % injectors);
            others.into_iter().find_map(|other| retry(|| shared.injectors[other].steal()))
        };
        near().or_else(victims).or_else(far)
    })
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
