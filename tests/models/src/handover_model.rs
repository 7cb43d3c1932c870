//! Of two threads that queue something and drive, one takes up what both have queued, or each its own.

use crate::handover::Handover;
use loom::sync::Arc;
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// A queue beside what is driven, as `comm/thread.rs` has it.
struct Desk {
    queue: Mutex<Vec<usize>>,
    /// What was taken up, and how often `turn` ran at once.
    driven: Handover<usize>,
    inside: AtomicUsize,
}

impl Desk {
    fn new() -> Arc<Desk> {
        let (queue, inside) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
        Arc::new(Desk { queue, driven: Handover::new(0), inside })
    }

    fn check(&self, sum: usize) {
        assert_eq!(*self.driven.hold(), sum, "something is still queued and nobody drives");
        assert!(!self.driven.is_pending());
    }

    fn post_and_drive(&self, what: usize) {
        let mut queue = self.queue.lock().unwrap();
        queue.push(what);
        self.driven.count_queued();
        drop(queue);
        self.drive();
    }

    fn drive(&self) {
        self.driven.drive(|sum| {
            assert_eq!(self.inside.fetch_add(1, Relaxed), 0, "two threads drive at once"); // Relaxed: a check
            let taken = std::mem::take(&mut *self.queue.lock().unwrap());
            self.driven.count_taken(taken.len());
            *sum += taken.iter().sum::<usize>();
            self.inside.fetch_sub(1, Relaxed); // Relaxed: as above
            Some((!taken.is_empty(), 0))
        });
    }
}

impl Desk {
    /// As `CommThread::post` where workers drive.
    fn lend_or_post(&self, what: usize) {
        let mut left = Some(what);
        let queued = self.driven.lend(|sum| {
            *sum += left.take().unwrap_or(0);
            0
        });
        match left {
            Some(what) => self.post_and_drive(what),
            None if queued => self.drive(),
            None => {}
        }
    }
}

#[test]
fn nothing_queued_is_left_behind_by_who_lends() {
    loom::model(|| {
        let desk = Desk::new();
        let other = Arc::clone(&desk);
        let thread = thread::spawn(move || other.post_and_drive(1));
        desk.lend_or_post(2);
        thread.join().unwrap();
        desk.check(3);
    });
}

#[test]
fn nothing_queued_is_left_behind() {
    loom::model(|| {
        let desk = Desk::new();
        let other = Arc::clone(&desk);
        let thread = thread::spawn(move || other.post_and_drive(1));
        desk.post_and_drive(2);
        thread.join().unwrap();
        desk.check(3);
    });
}
