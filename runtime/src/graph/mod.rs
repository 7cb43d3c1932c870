//! What is to be done: tasks, their accesses to blocks, and the edges that follow. Plain data.
//!
//! Every rank builds the same graph in the same order; each keeps its own nodes. A read of another rank's
//! block becomes a send there and a receive here, tagged by a number that all ranks count alike; short ones share
//! messages (`parcel.rs`). Long ones have room for so many bytes at a time (`rooms.rs`).
//! Invariant 1: a block has one home rank, and only tasks of that rank write it.
//! Invariant 2: edges point from earlier to later nodes, so a graph has no cycle.
//! Invariant 3: two accesses of one block on one rank, at least one of them a write, are joined by a path.
//! Invariant 4: an epoch claims the blocks that only tasks use, once for all of them; by invariant 3 its tasks then use
//! them without a count (`memory::Grant`). Blocks that travel are counted at each use.
//! Never here: threads, transports, when a task runs.

mod build;
mod collective;
mod lane;
mod lanes;
mod node;
mod open;
mod outline;
mod parcel;
mod rooms;
mod tags;

pub use build::GraphBuilder;
pub(crate) use lane::Want;
pub(crate) use lanes::Lane;
pub use lanes::Lanes;
pub use node::{Access, Body, Context, Node, Operation};
pub use open::Open;
pub use outline::Outline;

use crate::fingerprint::Fingerprint;
use crate::ids::{BlockId, NodeId};
use crate::memory::{BlockCell, Grant};
use crate::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};
use std::any::Any;
use std::ops::{Deref, Range};
use std::sync::{Arc, OnceLock};

/// A checked plan of one rank's part, which can be run any number of times.
pub struct Graph {
    recorded: Arc<Recorded>,
    /// What runs it, which knows of `recorded` alone, so that the two do not keep each other.
    run: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// What was recorded of a graph, with the state of its epochs.
pub struct Recorded {
    name: &'static str,
    nodes: Vec<Node>,
    /// Those of all tasks and parcels, one for each access.
    grants: Vec<Grant>,
    /// Successors of all nodes in one list; node i's are `successors[starts[i]..starts[i + 1]]`: messages, then tasks,
    /// the longest path to the end last.
    successors: Vec<NodeId>,
    starts: Vec<u32>,
    /// Nodes that wait for nothing: messages first, then tasks, the longest path to the end first.
    roots: Vec<NodeId>,
    cells: Vec<Option<Arc<BlockCell>>>,
    /// How epochs claim each of `cells`.
    claims: Vec<Claim>,
    collectives: u64,
    agreement: Option<NodeId>,
    /// Nodes without successors.
    sinks: u32,
    running: AtomicBool,
    description: String,
    fingerprint: Fingerprint,
    agreed: AtomicBool,
    /// The tasks of the last epoch were so short that the next runs in lanes.
    fine: AtomicBool,
    /// There are only tasks, which together take less than the way to a worker and back.
    brief: bool,
    /// Some receives wait for room, which the depths of nodes do not tell.
    throttled: bool,
    lanes: OnceLock<Lanes>,
}

/// What all tasks of an epoch together do with a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// No task uses it, or the comm thread does too.
    None,
    /// Tasks read it.
    Shared,
    /// Tasks read and write it.
    Alone,
}

impl Graph {
    fn new(recorded: Recorded) -> Graph {
        Graph { recorded: Arc::new(recorded), run: OnceLock::new() }
    }

    /// What runs the graph: made at the first call and kept, if it fits; else made for this call.
    pub(crate) fn run_with<R: Any + Send + Sync>(
        &self,
        fits: impl FnOnce(&R) -> bool,
        make: impl Fn(Arc<Recorded>) -> Arc<R>,
    ) -> Arc<R> {
        let kept = self.run.get_or_init(|| make(Arc::clone(&self.recorded)));
        let kept = Arc::clone(kept).downcast().ok().filter(|run| fits(run));
        kept.unwrap_or_else(|| make(Arc::clone(&self.recorded)))
    }
}

impl Deref for Graph {
    type Target = Recorded;

    fn deref(&self) -> &Recorded {
        &self.recorded
    }
}

impl Recorded {
    /// What the counters of traffic call this graph.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// This rank's nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes that wait for this one.
    pub fn successors(&self, node: NodeId) -> &[NodeId] {
        let index = node.index();
        &self.successors[self.starts[index] as usize..self.starts[index + 1] as usize]
    }

    /// The nodes that wait for nothing, the most urgent first.
    pub(crate) fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// True if a message waits for this task.
    pub(crate) fn sends(&self, task: NodeId) -> bool {
        self.first_message(task).is_some()
    }

    /// True if a message waits for this task that does not wait for all others too: other ranks wait for this one.
    pub(crate) fn is_urgent(&self, task: NodeId) -> bool {
        self.first_message(task).is_some_and(|message| self.agreement != Some(message))
    }

    fn first_message(&self, task: NodeId) -> Option<NodeId> {
        // Messages come before tasks, and the agreement behind the others.
        self.successors(task).first().copied().filter(|next| !self.nodes[next.index()].is_task())
    }

    /// The number of nodes without successors: when these are done, all are.
    pub fn sinks(&self) -> u32 {
        self.sinks
    }

    /// The permissions of a task, in the order of its accesses.
    pub(crate) fn grants(&self, range: &Range<u32>) -> &[Grant] {
        &self.grants[range.start as usize..range.end as usize]
    }

    /// Claims the counters of the nodes and the blocks of the tasks for one epoch; false, and no block is claimed, if
    /// a block that only tasks use is open outside of them.
    ///
    /// # Panics
    /// If an epoch of this graph runs already.
    pub(crate) fn begin_epoch(&self) -> bool {
        // Acquire: the counters as the last epoch left them; pairs with the Release in `end_epoch`.
        assert!(!self.running.swap(true, Acquire), "graph {} was launched while it ran", self.name);
        let refused = self.claimed().position(|(cell, writes)| !cell.claim(writes));
        self.claimed().take(refused.unwrap_or(0)).for_each(|(cell, writes)| cell.give_up(writes));
        refused.is_none()
    }

    /// Gives the counters back, and the blocks if they were `claimed`.
    pub(crate) fn end_epoch(&self, claimed: bool) {
        if claimed {
            self.claimed().for_each(|(cell, writes)| cell.give_up(writes));
        }
        self.running.store(false, Release); // pairs with the Acquire in `begin_epoch`
    }

    /// The blocks that an epoch claims, and whether it writes them.
    fn claimed(&self) -> impl Iterator<Item = (&BlockCell, bool)> {
        let claims = self.cells.iter().zip(&self.claims);
        claims
            .filter_map(|(cell, &claim)| Some((&**cell.as_ref()?, claim)).filter(|(_, claim)| *claim != Claim::None))
            .map(|(cell, claim)| (cell, claim == Claim::Alone))
    }

    /// The schedule of the tasks for so many workers of each domain, made at the first call.
    pub(crate) fn lanes(&self, workers_by_domain: impl FnOnce() -> Vec<usize>) -> &Lanes {
        self.lanes.get_or_init(|| Lanes::new(self, &workers_by_domain()))
    }

    /// The schedule, if it was made.
    pub(crate) fn lanes_made(&self) -> Option<&Lanes> {
        self.lanes.get()
    }

    /// Whether who launches the graph should run all of it.
    pub(crate) fn is_brief(&self) -> bool {
        self.brief
    }

    /// Whether the next epoch should run in lanes.
    pub(crate) fn is_fine(&self) -> bool {
        // Relaxed: set and read by who launches; either answer is right.
        !self.throttled && self.fine.load(Relaxed)
    }

    pub(crate) fn note_fine(&self, fine: bool) {
        self.fine.store(fine, Relaxed); // Relaxed: as in `is_fine`
    }

    /// The storage of a block whose home is this rank.
    ///
    /// # Panics
    /// If the home is another rank.
    pub fn cell(&self, block: BlockId) -> &Arc<BlockCell> {
        self.cells[block.index()].as_ref().expect("the block's home is this rank")
    }

    /// The number of collectives, equal on all ranks.
    pub fn collectives(&self) -> u64 {
        self.collectives
    }

    /// The collective whose last word tells whether all ranks succeeded; none if the graph sends nothing.
    pub fn agreement(&self) -> Option<NodeId> {
        self.agreement
    }

    /// What errors call this graph.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Stands for the description and for all messages between ranks; equal on all ranks that recorded the same.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether all ranks have agreed to run this graph before.
    pub(crate) fn was_agreed(&self) -> bool {
        self.agreed.load(Relaxed) // Relaxed: set and read in turns of one lock
    }

    pub(crate) fn note_agreed(&self) {
        self.agreed.store(true, Relaxed); // Relaxed: as in `was_agreed`
    }
}
