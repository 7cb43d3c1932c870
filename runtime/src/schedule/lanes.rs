//! Runs a graph in lanes: each worker its own sequence of tasks, waiting for positions of other lanes and for messages.
//!
//! Invariant 1: one worker at a time runs a lane; a lane that waits for long is left, and whoever sees that what it
//! wants is there takes it and gives it to the workers as a job.
//! Invariant 2: no lane is left for ever. Who leaves it looks once more after saying so; who tells a position, or
//! completes a message, looks for lanes that were left after that. All four steps are sequentially consistent, so one
//! of the two sees the other.
//! The first unfinished task in the order of depth can always run, so some lane that is not done always can.
//! Never here: which task stands in which lane.

use super::{Lanes, Run, TIMED};
use crate::graph::{Lane, Want};
use crate::ids::NodeId;
use crate::pool::Worker;
use crate::sync::atomic::Ordering::SeqCst;
use crate::sync::hint;

/// How often a lane looks for what it waits for before it is left; a few nanoseconds each.
const LOOKS: u32 = 16;
const PATIENT_LOOKS: u32 = 4096;
/// Of so many steps of a lane, the time of one is taken.
const TIMED_STEPS: usize = TIMED as usize * 4;

impl Run {
    pub(super) fn lanes(&self) -> &Lanes {
        self.graph.lanes_made().expect("made when the epoch began")
    }

    /// Gives all lanes to the workers.
    pub(super) fn start_lanes(&self) {
        for (index, lane) in self.lanes().iter().enumerate() {
            self.pool.inject(self.launch(), index as u32, lane.domain(), false);
        }
    }

    /// Runs a lane until it ends or is left.
    pub(super) fn run_lane(&self, index: usize, worker: &Worker<'_>) {
        let lanes = self.lanes();
        let lane = lanes.lane(index);
        let steps = lanes.steps(lane);
        for (at, step) in steps.iter().enumerate().skip(lane.next()) {
            for &mark in lanes.marks(lane, at) {
                if !lanes.reached(mark) && !self.wait_for(lane, at, Want::Mark(mark), worker) {
                    return;
                }
            }
            for &message in lanes.messages(lane, at) {
                if !lanes.has_ended(message) && !self.wait_for(lane, at, Want::Message(message), worker) {
                    return;
                }
            }
            let begun = worker.trace().begin();
            if at.is_multiple_of(TIMED_STEPS) {
                self.call_timed(step.node);
            } else {
                self.call(step.node);
            }
            worker.trace().task(begun, self.launch(), step.node.0);
            worker.count_one();
            if step.sends {
                self.release_messages(step.node, worker);
            }
            if step.last_to_send {
                self.drive();
            }
            if step.tells {
                lane.tell(at + 1);
                self.wake_lanes();
            }
        }
        self.end_one();
    }

    fn is_there(&self, want: Want) -> bool {
        match want {
            Want::Mark(mark) => self.lanes().reached(mark),
            Want::Message(message) => self.lanes().has_ended(message),
        }
    }

    /// Looks for a while for what step `at` wants; false if the lane was left.
    fn wait_for(&self, lane: &Lane, at: usize, want: Want, worker: &Worker<'_>) -> bool {
        let looks = if worker.is_patient() { PATIENT_LOOKS } else { LOOKS };
        for _ in 0..looks {
            if self.is_there(want) {
                return true;
            }
            if !self.drive() {
                hint::spin_loop();
            }
        }
        // Before the lane is left, so that whoever takes it finds it counted.
        self.lanes_left.fetch_add(1, SeqCst);
        lane.leave(at, want);
        lane.take(|it| it == want && self.is_there(want)) && {
            self.lanes_left.fetch_sub(1, SeqCst); // as where it was counted
            true
        }
    }

    /// Gives the lanes that were left and can go on to the workers.
    fn wake_lanes(&self) {
        // SeqCst: after the position was told or the message counted; `wait_for` stands opposite.
        if self.lanes_left.load(SeqCst) == 0 {
            return;
        }
        for (index, lane) in self.lanes().iter().enumerate() {
            if lane.take(|want| self.is_there(want)) {
                self.lanes_left.fetch_sub(1, SeqCst); // as where it was counted
                self.pool.inject(self.launch(), index as u32, lane.domain(), false);
            }
        }
    }

    /// An operation of the comm thread has ended.
    pub(super) fn message_ended(&self, node: NodeId) {
        self.lanes().tell_end(node);
        self.wake_lanes();
    }

    /// A task is done that messages follow.
    fn release_messages(&self, node: NodeId, worker: &Worker<'_>) {
        for &next in self.graph.successors(node) {
            if !self.graph.nodes()[next.index()].is_task() && self.count_down(next) {
                self.release(next, Some(worker));
            }
        }
    }
}
