//! How far a graph has come on this rank, told to whoever wants to show it.
//!
//! Nothing is counted for it: the workers' own counts of jobs are read by the thread that waits.
//! Never here: how it is shown.

use super::World;
use crate::graph::Graph;
use std::sync::{Arc, PoisonError};

/// Takes what a graph is, and how many of its tasks on this rank are done, of how many.
pub type Told = dyn Fn(&str, u64, u64) + Send + Sync;

/// One graph that runs.
pub(super) struct Advance<'a> {
    told: Arc<Told>,
    graph: &'a Graph,
    tasks: u64,
    /// Jobs that the workers had run before.
    before: u64,
}

impl World {
    /// Sets what is told now and then how far a graph has come, and once when it has ended; `None` for nobody.
    ///
    /// It runs in the thread that waits for the graph, which holds this rank's turn: it must not use the world.
    pub fn tell_advance(&self, told: Option<Arc<Told>>) {
        *self.0.told.write().unwrap_or_else(PoisonError::into_inner) = told;
    }

    /// What is told of a graph that is about to begin, if anybody wants to know.
    pub(super) fn advance<'a>(&self, graph: &'a Graph) -> Option<Advance<'a>> {
        let told = self.0.told.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let tasks = graph.nodes().iter().filter(|node| node.is_task()).count() as u64;
        Some(Advance { told, graph, tasks, before: self.0.pool.jobs_run() })
    }
}

impl Advance<'_> {
    /// Tells how far it has come, by the number of jobs that the workers have run.
    pub(super) fn tell(&self, jobs_run: u64) {
        // Jobs of a task's own, and those that move messages on, count as well.
        let done = jobs_run.saturating_sub(self.before).min(self.tasks);
        (self.told)(self.graph.description(), done, self.tasks);
    }
}
