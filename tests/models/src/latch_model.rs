//! A latch wakes whoever waits, and shows what was done before it opened.

use crate::latch::Latch;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

#[track_caller]
fn check(waiters: usize) {
    loom::model(move || {
        let shared = Arc::new((Latch::default(), AtomicUsize::new(0)));
        let wait = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                while !shared.0.wait_a_while() {}
                shared.1.load(Relaxed) // Relaxed: the latch must order it
            })
        };
        let waiting: Vec<_> = (0..waiters).map(wait).collect();
        shared.1.store(7, Relaxed); // Relaxed: as above
        shared.0.open();
        assert!(waiting.into_iter().all(|thread| thread.join().unwrap() == 7));
        assert!(shared.0.wait_a_while(), "a latch stays open");
    });
}

#[test]
fn an_opened_latch_wakes_its_waiter() {
    check(1);
}

#[test]
fn an_opened_latch_wakes_all_waiters() {
    check(2);
}
