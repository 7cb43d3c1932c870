//! Tasks left on a desk while its caller goes.

use crate::desk::Desk;
use crate::ids::NodeId;
use loom::sync::Arc;
use loom::thread;

#[test]
fn a_task_is_taken_by_the_caller_or_refused() {
    loom::model(|| {
        let desk = Arc::new(Desk::new());
        desk.open(true, 2);
        let for_other = Arc::clone(&desk);
        let other = thread::spawn(move || [1, 2].map(|task| for_other.leave(NodeId(task))));
        let mut taken = 0;
        // The second look in vain is the last.
        let mut stays = 2;
        while stays > 0 {
            match desk.take(stays > 1) {
                Some(_) => taken += 1,
                None => stays -= 1,
            }
        }
        assert!(!desk.is_open());
        let left = other.join().unwrap().into_iter().filter(|&left| left).count();
        assert_eq!(taken, left, "each task that was not refused was taken");
        assert!(!desk.leave(NodeId(3)), "nobody is there");
    });
}
