//! No job is left while all workers sleep.

use crate::sleep::Sleep;
use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use loom::thread;

#[derive(Default)]
struct Pool {
    /// Jobs that nobody has taken. Relaxed everywhere: a queue that orders nothing, so `Sleep` alone must.
    jobs: AtomicUsize,
    stop: AtomicBool,
    sleep: Sleep,
}

impl Pool {
    fn push(&self) {
        self.jobs.fetch_add(1, Relaxed); // Relaxed: see `jobs`
        self.sleep.wake_one();
    }

    fn try_take(&self) -> bool {
        self.jobs.fetch_update(Relaxed, Relaxed, |jobs| jobs.checked_sub(1)).is_ok() // Relaxed: see `jobs`
    }

    /// Takes one job, as a worker does; false if the pool was stopped before.
    fn take(&self) -> bool {
        loop {
            if self.try_take() {
                return true;
            }
            // Relaxed: as `jobs`.
            if self.stop.load(Relaxed) {
                return false;
            }
            // Relaxed: as above.
            self.sleep.sleep_unless(|| self.stop.load(Relaxed) || self.jobs.load(Relaxed) > 0);
        }
    }
}

/// Loom reports a worker that sleeps for ever as a deadlock.
#[track_caller]
fn check(preemptions: usize, program: impl Fn(&Arc<Pool>) + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || program(&Arc::new(Pool::default())));
}

fn worker(pool: &Arc<Pool>) -> thread::JoinHandle<bool> {
    let pool = Arc::clone(pool);
    thread::spawn(move || pool.take())
}

#[test]
fn a_job_wakes_the_one_sleeper() {
    check(4, |pool| {
        let one = worker(pool);
        pool.push();
        assert!(one.join().unwrap());
    });
}

#[test]
fn two_jobs_wake_two_sleepers() {
    check(2, |pool| {
        let workers = [worker(pool), worker(pool)];
        pool.push();
        pool.push();
        assert!(workers.into_iter().all(|worker| worker.join().unwrap()));
    });
}

#[test]
fn a_call_is_not_lost_on_a_worker_that_withdraws() {
    check(2, |pool| {
        let one = worker(pool);
        let pusher = thread::spawn({
            let pool = Arc::clone(pool);
            move || pool.push()
        });
        // A thief may take the job for which the worker was called; the worker must then sleep again, and wake.
        if pool.try_take() {
            pool.push();
        }
        assert!(one.join().unwrap());
        pusher.join().unwrap();
    });
}

#[test]
fn the_end_wakes_all() {
    check(2, |pool| {
        let workers = [worker(pool), worker(pool)];
        pool.stop.store(true, Relaxed); // Relaxed: `wake_all` must order it
        pool.sleep.wake_all();
        assert!(workers.into_iter().all(|worker| !worker.join().unwrap()));
    });
}
