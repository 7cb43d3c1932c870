//! The last that comes to a node sees what all have written, alone, in every epoch.

use crate::open::Open;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// Two nodes before a third, and what they write; Relaxed everywhere: the count alone must order it.
#[derive(Default)]
struct Join {
    open: Open,
    written: [AtomicUsize; 2],
    ran: AtomicUsize,
}

/// One predecessor in one epoch: writes, counts down, and runs the node behind if it was the last.
fn finish(join: &Join, which: usize, epoch: usize) {
    join.written[which].store(epoch, Relaxed);
    if join.open.count_down(2) {
        let seen = [0, 1].map(|which| join.written[which].load(Relaxed)); // Relaxed: see `Join`
        assert_eq!(seen, [epoch; 2], "a node ran before what it waits for");
        join.ran.fetch_add(1, Relaxed);
    }
}

#[test]
fn the_last_that_comes_to_a_node_sees_all_and_sets_it_back() {
    loom::model(|| {
        let join = Arc::new(Join::default());
        join.open.set(2);
        for epoch in [1, 2] {
            let other = Arc::clone(&join);
            let thread = thread::spawn(move || finish(&other, 1, epoch));
            finish(&join, 0, epoch);
            thread.join().unwrap();
            assert_eq!(join.ran.load(Relaxed), epoch, "the node runs once in each epoch"); // Relaxed: after the join
        }
    });
}
