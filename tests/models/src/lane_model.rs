//! A lane that was left is taken once, by its own worker or by whoever told the position, and never for nothing.

use crate::lane::{Ended, Mark, Progress, Want};
use crate::sync::atomic::{AtomicU32, Ordering::SeqCst};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

/// Where the lane that waits goes on.
const NEXT: usize = 5;

/// Lane 0 waits for a step of lane 1. What the worker and the teller do stands in the order of `schedule/lanes.rs`.
#[derive(Default)]
struct Schedule {
    waiting: Progress,
    telling: Progress,
    /// As `Run::lanes_left`.
    left: AtomicU32,
    /// What lane 1 wrote before it told; Relaxed everywhere: the lanes alone must order it.
    written: AtomicUsize,
    /// How often lane 0 was gone on with.
    continued: AtomicUsize,
}

impl Schedule {
    fn is_there(&self, want: Want) -> bool {
        let Want::Mark(Mark { lane: 1, done }) = want else { panic!("lane 0 wants {want:?}") };
        self.telling.reached(done)
    }

    fn take(&self) {
        if self.waiting.take(|want| self.is_there(want)) {
            self.left.fetch_sub(1, SeqCst); // as where it was counted
            assert_eq!(self.waiting.next(), NEXT);
            self.go_on();
        }
    }

    fn go_on(&self) {
        assert_eq!(self.written.load(Relaxed), 9, "a step ran before what it waits for"); // Relaxed: see `written`
        self.continued.fetch_add(1, Relaxed); // Relaxed: read when all threads have ended
    }

    /// As `Run::wait_for` without its patience.
    fn wait(&self) {
        let want = Want::Mark(Mark { lane: 1, done: 1 });
        if self.is_there(want) {
            return self.go_on();
        }
        self.left.fetch_add(1, SeqCst); // before the lane is left, so that whoever takes it finds it counted
        self.waiting.leave(NEXT, want);
        self.take();
    }

    /// As the end of a step that tells.
    fn tell(&self) {
        self.written.store(9, Relaxed); // Relaxed: see `written`
        self.telling.tell(1);
        // SeqCst: after the position was told; `wait` stands opposite.
        if self.left.load(SeqCst) != 0 {
            self.take();
        }
    }
}

#[test]
fn a_lane_that_waits_goes_on_once() {
    loom::model(|| {
        let schedule = Arc::new(Schedule::default());
        let waiter = thread::spawn({
            let schedule = Arc::clone(&schedule);
            move || schedule.wait()
        });
        schedule.tell();
        waiter.join().unwrap();
        // Relaxed: all threads have ended.
        assert_eq!(schedule.continued.load(Relaxed), 1, "a lane was left for ever, or run twice");
        assert_eq!(schedule.left.load(SeqCst), 0); // SeqCst: as all its uses
    });
}

#[test]
fn of_two_that_may_take_a_lane_one_does() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(|| {
        let schedule = Arc::new(Schedule::default());
        let spawn = |act: fn(&Schedule)| {
            let schedule = Arc::clone(&schedule);
            thread::spawn(move || act(&schedule))
        };
        let threads = [spawn(Schedule::wait), spawn(Schedule::tell)];
        // A lane told its position before and looks for lanes that were left, as every teller does.
        if schedule.left.load(SeqCst) != 0 {
            schedule.take(); // SeqCst above: as in `tell`
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // Relaxed: all threads have ended.
        assert_eq!(schedule.continued.load(Relaxed), 1, "a lane was left for ever, or run twice");
    });
}

#[test]
fn who_asks_for_messages_sees_what_they_wrote() {
    loom::model(|| {
        let message = Arc::new((Ended::default(), AtomicUsize::new(0)));
        for epoch in [1, 2] {
            let driver = Arc::clone(&message);
            let thread = thread::spawn(move || {
                driver.1.store(epoch, Relaxed); // Relaxed: the message alone must order it
                driver.0.tell(epoch as u32);
            });
            if message.0.is_told(epoch as u32) {
                // Relaxed: as above.
                assert_eq!(message.1.load(Relaxed), epoch, "a task ran before its message ended");
            }
            thread.join().unwrap();
            assert!(message.0.is_told(epoch as u32));
        }
    });
}
