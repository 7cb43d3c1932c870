//! Graphs of several ranks run by one thread, in an order that a seed gives: the same scheduler, queues and engine.
//!
//! What threads do at once elsewhere is done here in turns: a worker of some rank runs a job, or the engine of some
//! rank is driven. So a seed is an order of all that happens, which can be repeated, and a graph that cannot go on is
//! noticed at once instead of after a silence. For tests, and for simulations of ranks that are not there.
//! Invariant: nothing here decides what may run; it only decides whose turn it is.

use crate::comm::{CommThread, in_process};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphBuilder};
use crate::ids::Rank;
use crate::memory::Memory;
use crate::pool::{Hand, Pool};
use crate::schedule::{Run, Together};
use crate::topology::{CpuSet, Place};
use crate::trace::Tracer;
use std::sync::Arc;

/// So many turns in which nobody does anything are too many: messages are late by at most a few.
const IDLE_TURNS_MAX: usize = 20_000;
/// Room for the blocks of a rank.
const MEMORY_BYTES: usize = 1 << 30;

/// How many there are of what takes turns, and in which order.
#[derive(Clone, Copy, Debug)]
pub struct Turns {
    /// Ranks.
    pub ranks: usize,
    /// Workers of each rank, in two domains if they are more than two.
    pub workers: usize,
    /// The order of turns, of deliveries, and of which launches run in lanes.
    pub seed: u64,
}

/// One rank.
struct Member {
    graph: Arc<Graph>,
    pool: Arc<Pool>,
    hands: Vec<Hand>,
    comm: Option<Arc<CommThread>>,
}

impl Turns {
    /// Runs the graphs that `record` makes for the ranks, all of them `epochs` times; each must be recorded as for
    /// [`crate::world::World::run`].
    ///
    /// # Errors
    /// What `record` returns; the first failure of a task; `Error::Config` if nothing moves though nodes are open.
    pub fn run(
        self,
        epochs: usize,
        record: impl Fn(GraphBuilder, &Arc<Memory>) -> Result<Arc<Graph>>,
    ) -> Result<Vec<Arc<Graph>>> {
        let mut order = Order(self.seed | 1);
        let wires = in_process::connect(self.ranks, self.seed);
        let mut members = Vec::new();
        for (rank, wire) in wires.into_iter().enumerate() {
            let memory = Memory::new(MEMORY_BYTES);
            let builder = GraphBuilder::new("stepwise", Rank::from(rank), self.ranks, Arc::clone(&memory));
            let place = |worker| Place { units: CpuSet::default(), domain: usize::from(worker >= 2) };
            let places: Vec<Place> = (0..self.workers).map(place).collect();
            let (pool, hands) = Pool::by_hand(&places, Arc::<Tracer>::default());
            let comm = CommThread::by_hand(Box::new(wire), order.below(2) == 0);
            let comm = (self.ranks > 1).then(|| Arc::new(comm));
            members.push(Member { graph: record(builder, &memory)?, pool: Arc::new(pool), hands, comm });
        }
        let mut collectives = 0;
        for _ in 0..epochs {
            members.iter().for_each(|member| member.graph.note_fine(order.below(2) == 0));
            let start = |(rank, member): (usize, &Member)| {
                let Member { graph, pool, comm, .. } = member;
                let together = Together { ranks: self.ranks, first_collective: collectives, print: self.seed };
                Run::start(graph, Rank::from(rank), pool, comm.as_ref(), together, None, false)
            };
            let runs: Vec<Arc<Run>> = members.iter().enumerate().map(start).collect();
            self.take_turns(&members, &runs, &mut order)?;
            for run in &runs {
                run.end().failure.map_or(Ok(()), Err)?;
            }
            collectives += members[0].graph.collectives();
        }
        Ok(members.into_iter().map(|member| member.graph).collect())
    }

    /// Turns until all runs have ended.
    fn take_turns(self, members: &[Member], runs: &[Arc<Run>], order: &mut Order) -> Result<()> {
        let mut idle = 0;
        while !runs.iter().all(|run| run.is_ended()) {
            let member = &members[order.below(members.len())];
            let moved = match (member.hands.get(order.below(self.workers + 1)), &member.comm) {
                (Some(hand), _) => hand.step(),
                (None, Some(comm)) => comm.drive(),
                (None, None) => false,
            };
            idle = if moved { 0 } else { idle + 1 };
            if idle > IDLE_TURNS_MAX {
                let open = runs.iter().enumerate().filter(|(_, run)| !run.is_ended());
                let open: Vec<String> = open.map(|(rank, run)| format!("rank {rank}: {}", run.standing())).collect();
                return Err(Error::Config(format!("seed {}: nothing moves; {}", self.seed, open.join("; "))));
            }
        }
        Ok(())
    }
}

/// Marsaglia's xorshift (2003), for orders of turns only.
struct Order(u64);

impl Order {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % bound as u64) as usize
    }
}
