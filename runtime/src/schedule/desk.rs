//! Where ready tasks stand for the thread that launched them.
//!
//! Invariant: a task that is ready is on the desk, from which the caller takes it before it goes, or was refused there:
//! who leaves a task and the caller that goes hold the desk's lock.
//! Proof: `PROTOCOL.md`, "No ready task is left with a caller that has gone". Model: `tests/models/src/desk_model.rs`.

use crate::ids::NodeId;
use crate::sync::{Mutex, MutexGuard, PoisonError};

/// Where ready tasks stand while the caller is there.
#[derive(Debug)]
pub(crate) struct Desk(Mutex<Tasks>);

#[derive(Debug)]
struct Tasks {
    attended: bool,
    ready: Vec<NodeId>,
}

impl Desk {
    pub(crate) fn new() -> Desk {
        Desk(Mutex::new(Tasks { attended: false, ready: Vec::new() }))
    }

    fn tasks(&self) -> MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The caller is there from now on, or not, for an epoch of at most so many tasks. Cost: allocates at the first
    /// call for as many tasks alone.
    pub(crate) fn open(&self, attended: bool, tasks_max: usize) {
        let mut tasks = self.tasks();
        tasks.attended = attended;
        tasks.ready.reserve(if attended { tasks_max } else { 0 });
    }

    /// Gives a task to the caller; false if it is not there.
    pub(crate) fn leave(&self, task: NodeId) -> bool {
        let mut tasks = self.tasks();
        if tasks.attended {
            tasks.ready.push(task);
        }
        tasks.attended
    }

    /// True if the caller is there.
    pub(crate) fn is_open(&self) -> bool {
        self.tasks().attended
    }

    /// The next task; where there is none, the caller is there from now on only if it `stays`.
    pub(crate) fn take(&self, stays: bool) -> Option<NodeId> {
        let mut tasks = self.tasks();
        let task = tasks.ready.pop();
        tasks.attended = stays || task.is_some();
        task
    }
}
