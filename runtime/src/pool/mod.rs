//! Who computes: pinned workers that steal from each other, nearest first.
//!
//! Rayon supplies the threads and nested parallelism inside a job. Ready jobs stand in a deque for each worker, which
//! are crossbeam's, and an inbox for each NUMA domain (`inbox.rs`), where urgent ones come before all others. A job is
//! two numbers: which launch, and what its [`Work`] calls the job; workers look a launch up once and keep it until it
//! is retired, so jobs share no counter.
//! Never here: graphs, ranks, what a job does.

mod hand;
mod inbox;
mod sleep;
mod worker;

pub use hand::Hand;
pub use worker::Worker;

use crate::error::{Error, Result};
use crate::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};
use crate::sync::{Mutex, PoisonError};
use crate::topology::{CpuSet, Place, bind_this_thread, binding_of_this_thread};
use crate::trace::Tracer;
use crossbeam::channel;
use crossbeam::deque::{Stealer, Worker as Deque};
use crossbeam::utils::CachePadded;
use inbox::Inbox;
use sleep::Sleep;
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};

/// Something with numbered jobs.
pub trait Work: Send + Sync {
    /// Runs job `index` on this worker; returns a job that this worker runs next. Must not panic.
    fn execute(&self, index: u32, worker: &Worker<'_>) -> Option<u32>;
}

/// What workers do for others while they find no job.
pub trait Errand: Send + Sync {
    /// Called in each empty round; none if there is nothing to do, true if it may have made jobs ready. Must not wait.
    fn attend(&self) -> Option<bool>;
    /// Called before the worker sleeps.
    fn leave(&self);
}

#[derive(Clone, Copy)]
struct Job {
    launch: u32,
    index: u32,
}

/// The launches that have jobs, by number.
#[derive(Default)]
struct Launches {
    begun: u32,
    alive: Vec<(u32, Arc<dyn Work>)>,
}

struct Shared {
    inboxes: Vec<Inbox<Job>>,
    stealers: Vec<Stealer<Job>>,
    /// Domain of each worker.
    domains: Vec<usize>,
    /// For each worker, the others in the order in which it robs them.
    victims: Vec<Vec<usize>>,
    /// Jobs that each worker has run.
    ran: Vec<CachePadded<AtomicU64>>,
    launches: Mutex<Launches>,
    /// Launches retired so far, which workers must not keep.
    retired: AtomicU32,
    /// Workers spin for long before they yield.
    patient: bool,
    sleep: Sleep,
    errand: OnceLock<Arc<dyn Errand>>,
    stop: AtomicBool,
    tracer: Arc<Tracer>,
}

/// The workers of one rank.
pub struct Pool {
    shared: Arc<Shared>,
    bindings: Vec<Option<CpuSet>>,
    /// `None` while `drop` ends it, and of a pool moved by hand.
    rayon: Option<rayon::ThreadPool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// Starts one worker for each place; with `bind`, each is bound to its place and the binding read back.
    ///
    /// `patient` workers spin for some microseconds before they give their core away: for cores of their own.
    ///
    /// # Errors
    /// Local: `Error::Topology` if the threads cannot be started.
    pub fn start(places: &[Place], bind: bool, patient: bool, tracer: Arc<Tracer>) -> Result<Pool> {
        let (shared, deques) = Pool::queues(places, patient, tracer);
        let mut threads = Vec::with_capacity(places.len());
        let rayon = rayon::ThreadPoolBuilder::new()
            .num_threads(places.len())
            .spawn_handler(|thread| {
                let name = format!("girih-worker-{}", thread.index());
                threads.push(thread::Builder::new().name(name).spawn(|| thread.run())?);
                Ok(())
            })
            .build()
            .map_err(|error| Error::Topology(format!("the workers cannot be started: {error}")))?;
        let deques: Arc<Vec<Mutex<Option<Deque<Job>>>>> =
            Arc::new(deques.into_iter().map(|deque| Mutex::new(Some(deque))).collect());
        let (report, reports) = channel::bounded(places.len());
        let units: Vec<CpuSet> = places.iter().map(|place| place.units.clone()).collect();
        let for_threads = Arc::clone(&shared);
        rayon.spawn_broadcast(move |thread| {
            let index = thread.index();
            let binding = (bind && !units[index].is_empty())
                .then(|| bind_this_thread(&units[index]).and_then(|()| binding_of_this_thread()).ok());
            // The receiver leaves only when all have reported.
            let _ = report.send((index, binding.flatten()));
            let deque = deques[index].lock().unwrap_or_else(PoisonError::into_inner).take();
            worker::run(&for_threads, index, &deque.expect("each worker starts once"));
        });
        let mut bindings = vec![None; places.len()];
        for _ in places {
            let (index, binding) = reports.recv().expect("every worker reports once");
            bindings[index] = binding;
        }
        Ok(Pool { shared, bindings, rayon: Some(rayon), threads })
    }

    /// The queues of so many workers.
    fn queues(places: &[Place], patient: bool, tracer: Arc<Tracer>) -> (Arc<Shared>, Vec<Deque<Job>>) {
        let domains: Vec<usize> = places.iter().map(|place| place.domain).collect();
        let deques: Vec<Deque<Job>> = places.iter().map(|_| Deque::new_lifo()).collect();
        let shared = Shared {
            inboxes: (0..domains.iter().max().map_or(1, |last| last + 1)).map(|_| Inbox::new()).collect(),
            stealers: deques.iter().map(Deque::stealer).collect(),
            victims: (0..places.len()).map(|thief| nearest_first(thief, &domains)).collect(),
            domains,
            ran: places.iter().map(|_| CachePadded::default()).collect(),
            launches: Mutex::default(),
            retired: AtomicU32::new(0),
            patient,
            sleep: Sleep::default(),
            errand: OnceLock::new(),
            stop: AtomicBool::new(false),
            tracer,
        };
        (Arc::new(shared), deques)
    }

    /// Gives idle workers something to look after; for the first call alone.
    pub fn send_on(&self, errand: Arc<dyn Errand>) {
        self.shared.errand.get_or_init(|| errand);
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.shared.domains.len()
    }

    /// Where events are told while a trace is recorded.
    pub fn tracer(&self) -> &Tracer {
        &self.shared.tracer
    }

    /// Jobs run since the start: a number that stands still when nothing moves.
    pub fn jobs_run(&self) -> u64 {
        self.shared.ran.iter().map(|ran| ran.load(Relaxed)).sum() // Relaxed: a number for the user
    }

    /// The number of workers in each NUMA domain.
    pub fn workers_by_domain(&self) -> Vec<usize> {
        let mut counts = vec![0; self.shared.inboxes.len()];
        for &domain in &self.shared.domains {
            counts[domain] += 1;
        }
        counts
    }

    /// Each worker's binding as read back from the system; `None` where it is not bound.
    pub fn bindings(&self) -> &[Option<CpuSet>] {
        &self.bindings
    }

    /// Makes work known to the workers; its jobs name it by the number returned, until it is retired.
    pub fn launch(&self, work: Arc<dyn Work>) -> u32 {
        let mut launches = self.shared.launches.lock().unwrap_or_else(PoisonError::into_inner);
        launches.begun = launches.begun.wrapping_add(1);
        let number = launches.begun;
        launches.alive.push((number, work));
        number
    }

    /// Lets go of a launch all of whose jobs have run; workers do so at their next look for work.
    pub fn retire(&self, launch: u32) {
        self.shared.launches.lock().unwrap_or_else(PoisonError::into_inner).alive.retain(|(it, _)| *it != launch);
        self.shared.retired.fetch_add(1, Release); // pairs with the Acquire in `Shared::retired`
    }

    /// Gives a job to the workers of a domain, from outside the pool; an urgent one is run before all others.
    pub fn inject(&self, launch: u32, index: u32, domain: usize, urgent: bool) {
        self.shared.inject(Job { launch, index }, domain, urgent);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Release); // pairs with the Acquire in `Shared::stopped`
        self.shared.sleep.wake_all();
        self.rayon = None;
        // A worker that drops the last handle waits for nobody: rayon lets the others end only when it has ended too.
        let here = thread::current().id();
        if self.threads.iter().all(|thread| thread.thread().id() != here) {
            for thread in self.threads.drain(..) {
                // A worker that panicked has printed why.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn inject(&self, job: Job, domain: usize, urgent: bool) {
        self.inboxes[domain % self.inboxes.len()].push(job, urgent);
        self.sleep.wake_one();
    }

    /// The work of a launch.
    fn work(&self, launch: u32) -> Arc<dyn Work> {
        let launches = self.launches.lock().unwrap_or_else(PoisonError::into_inner);
        let work = launches.alive.iter().find(|(it, _)| *it == launch);
        Arc::clone(&work.expect("a launch is retired after its last job").1)
    }

    fn retired(&self) -> u32 {
        self.retired.load(Acquire) // pairs with the Release in `Pool::retire`
    }

    fn stopped(&self) -> bool {
        self.stop.load(Acquire) // pairs with the Release in `Pool::drop`
    }
}

/// The other workers: those of the same domain first, then the rest, each group starting behind the thief.
fn nearest_first(thief: usize, domains: &[usize]) -> Vec<usize> {
    let others = (1..domains.len()).map(|step| (thief + step) % domains.len());
    let (mut near, far): (Vec<usize>, Vec<usize>) = others.partition(|&other| domains[other] == domains[thief]);
    near.extend(far);
    near
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::time::{Duration, Instant};

    struct Fan {
        left: AtomicUsize,
        done: channel::Sender<()>,
    }

    impl Work for Fan {
        // Every job below 1000 readies two more; the last of all opens the channel.
        fn execute(&self, index: u32, worker: &Worker<'_>) -> Option<u32> {
            for next in [2 * index + 1, 2 * index + 2].into_iter().filter(|&next| next < 1000) {
                worker.push(next, 0, next % 7 == 0);
            }
            // Relaxed: only the count matters.
            if self.left.fetch_sub(1, Relaxed) == 1 {
                self.done.send(()).unwrap();
            }
            None
        }
    }

    #[test]
    fn every_job_runs_once_and_idle_workers_wake() {
        let place = |domain| Place { units: CpuSet::default(), domain };
        let pool = Pool::start(&[place(0), place(0), place(1)], false, true, Arc::default()).unwrap();
        for _ in 0..200 {
            let (done, waiter) = channel::bounded(1);
            let work = Arc::new(Fan { left: AtomicUsize::new(1000), done });
            let launch = pool.launch(Arc::clone(&work) as Arc<dyn Work>);
            pool.inject(launch, 0, 1, false);
            waiter.recv_timeout(Duration::from_secs(20)).expect("the last job was run");
            pool.retire(launch);
            let begin = Instant::now();
            while Arc::strong_count(&work) > 1 {
                assert!(begin.elapsed() < Duration::from_secs(20), "a worker keeps a launch that was retired");
                thread::yield_now();
            }
        }
    }

    #[track_caller]
    fn check_inbox(pushed: &[(u32, bool)], taken: u32, kept: &[u32]) {
        let inbox = Inbox::new();
        pushed.iter().for_each(|&(job, urgent)| inbox.push(job, urgent));
        let mut others = Vec::new();
        let job = inbox.take(inbox::BATCH_MAX, |job| others.push(job)).expect("a job was pushed");
        assert_eq!((job, &others[..]), (taken, kept));
        let mut left = pushed.len() - 1 - kept.len();
        assert_eq!(inbox.is_empty(), left == 0);
        while inbox.take_urgent().or_else(|| inbox.take(1, |_| ())).is_some() {
            left -= 1;
        }
        assert_eq!(left, 0, "every job is taken once");
    }

    #[test]
    fn the_first_job_of_an_inbox_is_taken_and_half_of_the_rest_kept() {
        check_inbox(&[(1, false)], 1, &[]);
        check_inbox(&[(1, false), (2, false), (3, false), (4, false), (5, false)], 1, &[3, 2]);
    }

    #[test]
    fn urgent_jobs_come_first_and_alone() {
        check_inbox(&[(1, false), (2, true), (3, false), (4, true)], 2, &[]);
    }

    #[test]
    fn victims_of_the_own_domain_come_first() {
        assert_eq!(nearest_first(1, &[0, 0, 1, 1, 0]), [4, 0, 2, 3]);
        assert_eq!(nearest_first(0, &[0]), [] as [usize; 0]);
    }
}
