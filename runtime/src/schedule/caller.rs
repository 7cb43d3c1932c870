//! Graphs of few short tasks, run by the thread that launches them while it waits for their end.
//!
//! To hand such a graph to a worker and back takes two switches of threads, which is longer than the graph; where ranks
//! outnumber cores, every switch also waits for the others.
//! A graph without messages that is known to be brief before it has run is run through in program order.
//! Ready tasks stand on a desk (`desk.rs`) while the caller is there.
//! Never here: graphs whose tasks are long or many, which workers run.

use super::Run;
use crate::ids::NodeId;
use crate::sync::thread;
use crate::sync::time::Instant;
use std::time::Duration;

/// A graph with more nodes is worth a worker.
pub(super) const NODES_MAX: usize = 7;
/// So long nothing may come, while others who want this core have their turns, before the comm thread takes over. The
/// naps of one rank's comm thread are silence for the others, so this is longer than some of them.
const STAY: Duration = Duration::from_millis(1);

impl Run {
    /// If the desk is open, runs what is ready and sees to messages, until the epoch has ended or nothing has come for
    /// a while; leaves the rest to workers and comm thread.
    pub(super) fn attend(&self) {
        if self.desk.is_open() {
            self.comm.iter().for_each(|comm| comm.mind(true));
            self.work_off();
            self.comm.iter().for_each(|comm| comm.mind(false));
        }
        if let Some(comm) = &self.comm {
            comm.leave();
        }
    }

    /// Runs every task of a graph that has only tasks, in program order, which all edges follow.
    pub(super) fn run_through(&self) {
        (0..self.graph.nodes().len()).for_each(|index| self.call(NodeId(index as u32)));
        self.ended.open();
    }

    fn work_off(&self) {
        let mut since = Instant::now();
        let mut stays = true;
        while stays && !self.ended.is_open() {
            stays = since.elapsed() < STAY;
            if let Some(task) = self.desk.take(stays) {
                self.call_timed(task);
                self.complete(task, None);
            } else if !self.drive() {
                thread::yield_now();
                continue;
            }
            (since, stays) = (Instant::now(), true);
        }
    }
}
