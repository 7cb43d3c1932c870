//! What is to be done: tasks, their accesses to blocks, and the edges that follow. Plain data.
//!
//! Every rank builds the same graph in the same order; each keeps its own nodes. A read of another rank's
//! block becomes a send there and a receive here, tagged by a number that all ranks count alike.
//! Invariant 1: a block has one home rank, and only tasks of that rank write it.
//! Invariant 2: edges point from earlier to later nodes, so a graph has no cycle.
//! Invariant 3: two accesses of one block on one rank, at least one of them a write, are joined by a path.
//! Never here: threads, transports, when a task runs.

mod build;
mod collective;
mod node;

pub use build::GraphBuilder;
pub use node::{Access, Body, Context, Node, Operation};

use crate::fingerprint::Fingerprint;
use crate::ids::{BlockId, NodeId};
use crate::memory::BlockCell;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Relaxed, Release},
};

/// A checked plan of one rank's part, which can be run any number of times.
pub struct Graph {
    name: &'static str,
    nodes: Vec<Node>,
    /// Successors of all nodes in one list; node i's are `successors[starts[i]..starts[i + 1]]`.
    successors: Vec<NodeId>,
    starts: Vec<u32>,
    cells: Vec<Option<Arc<BlockCell>>>,
    collectives: u64,
    agreement: Option<NodeId>,
    /// Nodes without successors.
    sinks: u32,
    running: AtomicBool,
    description: String,
    fingerprint: Fingerprint,
    agreed: AtomicBool,
}

impl Graph {
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

    /// The number of nodes without successors: when these are done, all are.
    pub fn sinks(&self) -> u32 {
        self.sinks
    }

    /// Claims the counters of the nodes for one epoch.
    ///
    /// # Panics
    /// If an epoch of this graph runs already.
    pub fn begin_epoch(&self) {
        // Acquire: the counters as the last epoch left them; pairs with the Release in `end_epoch`.
        assert!(!self.running.swap(true, Acquire), "graph {} was launched while it ran", self.name);
    }

    /// Gives the counters back.
    pub fn end_epoch(&self) {
        self.running.store(false, Release); // pairs with the Acquire in `begin_epoch`
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
