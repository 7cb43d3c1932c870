//! A job in an inbox is taken once, and a worker that goes to sleep sees it or is called.

use crate::inbox::Inbox;
use crate::sleep::Sleep;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// A domain with one inbox, as far as its workers share it.
struct Domain {
    inbox: Inbox<usize>,
    sleep: Sleep,
    /// The sum of the jobs that were taken.
    taken: AtomicUsize,
}

fn domain() -> Arc<Domain> {
    Arc::new(Domain { inbox: Inbox::new(), sleep: Sleep::default(), taken: AtomicUsize::new(0) })
}

/// As a worker: takes what there is, and sleeps when there is nothing, until it has taken so many jobs.
fn work(domain: &Domain, jobs: usize) {
    for _ in 0..jobs {
        let job = loop {
            if let Some(job) = domain.inbox.take_urgent().or_else(|| domain.inbox.take(1, |_| ())) {
                break job;
            }
            domain.sleep.sleep_unless(|| !domain.inbox.is_empty());
        };
        domain.taken.fetch_add(job, Relaxed); // Relaxed: read when all threads have ended
    }
}

#[track_caller]
fn check(urgent: bool) {
    loom::model(move || {
        let domain = domain();
        let worker = Arc::clone(&domain);
        let thread = thread::spawn(move || work(&worker, 1));
        domain.inbox.push(5, urgent);
        domain.sleep.wake_one();
        thread.join().unwrap();
        assert_eq!(domain.taken.load(Relaxed), 5); // Relaxed: after the join
        assert!(domain.inbox.is_empty());
    });
}

#[test]
fn a_job_put_into_an_inbox_is_seen_by_a_worker_that_goes_to_sleep() {
    check(false);
}

#[test]
fn an_urgent_job_is_seen_by_a_worker_that_goes_to_sleep() {
    check(true);
}
