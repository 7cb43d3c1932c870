//! Workers without threads: whoever holds a hand runs one job after another, whenever it likes, or lends it a thread.
//!
//! The queues, the order in which they are searched and what jobs see are those of `worker.rs`.
//! Never here: whose turn it is.

use super::{Job, Pool, worker};
use crate::topology::Place;
use crate::trace::Tracer;
use crossbeam::deque::Worker as Deque;
use std::sync::Arc;

/// One worker of a pool without threads.
pub struct Hand {
    shared: Arc<super::Shared>,
    deque: Deque<Job>,
    index: usize,
}

impl Pool {
    /// A pool whose workers are moved by whoever holds their hands.
    pub fn by_hand(places: &[Place], tracer: Arc<Tracer>) -> (Pool, Vec<Hand>) {
        let (shared, deques) = Pool::queues(places, false, tracer);
        let hand = |(index, deque): (usize, Deque<Job>)| Hand { shared: Arc::clone(&shared), deque, index };
        let hands = deques.into_iter().enumerate().map(hand).collect();
        (Pool { bindings: vec![None; places.len()], shared, rayon: None, threads: Vec::new() }, hands)
    }
}

impl Hand {
    /// Runs jobs in this thread as a worker with a thread of its own does, until the pool is dropped.
    pub fn live(self) {
        worker::run(&self.shared, self.index, &self.deque);
    }

    /// Runs one job, and makes ready what it would have run next; false if there is none.
    pub fn step(&self) -> bool {
        worker::step(&self.shared, self.index, &self.deque)
    }
}
