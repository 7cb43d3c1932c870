//! Nodes: tasks with a body, and operations of the comm thread.

use crate::comm::CollectiveRequest;
use crate::ids::{BlockId, Rank, Tag};
use crate::memory::{BlockCell, ReadGuard, WriteGuard};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// A task's declared use of a block. A task names each block once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The task reads the block, beside others.
    Read(BlockId),
    /// The task reads and writes the block, alone.
    Write(BlockId),
}

/// What a task does. It may run many times, once in each epoch.
pub type Body = Box<dyn Fn(&Context<'_>) -> Result<(), String> + Send + Sync>;

/// What a body sees: the blocks its task declared, by position in the access list.
pub struct Context<'a> {
    cells: &'a [Arc<BlockCell>],
}

impl<'a> Context<'a> {
    /// A context over these cells.
    pub fn new(cells: &'a [Arc<BlockCell>]) -> Context<'a> {
        Context { cells }
    }

    /// Opens the block of access `index` for reading.
    pub fn read(&self, index: usize) -> ReadGuard<&'a BlockCell> {
        self.cells[index].borrow()
    }

    /// Opens the block of access `index` for writing.
    pub fn write(&self, index: usize) -> WriteGuard<&'a BlockCell> {
        self.cells[index].borrow_mut()
    }
}

/// What a node does when everything before it is done.
pub enum Operation {
    /// Runs on a worker.
    Task {
        /// What errors and traces call it.
        label: &'static str,
        /// The NUMA domain that should run it, for it holds the tile to be written.
        domain: usize,
        /// Storage of the accesses, in their order.
        cells: Vec<Arc<BlockCell>>,
        /// The work itself.
        body: Body,
    },
    /// Lends a block to the transport.
    Send {
        /// The rank that reads the block.
        to: Rank,
        /// Matches the receive.
        tag: Tag,
        /// What is sent.
        cell: Arc<BlockCell>,
    },
    /// Fills this rank's copy of another rank's block.
    Receive {
        /// The block's home.
        from: Rank,
        /// Matches the send.
        tag: Tag,
        /// The copy.
        cell: Arc<BlockCell>,
    },
    /// Does something together with all ranks.
    Collective {
        /// Its place among the graph's collectives.
        order: u64,
        /// What, and this rank's blocks.
        request: CollectiveRequest,
    },
}

/// A node of this rank's part of a graph.
pub struct Node {
    /// What it does.
    pub operation: Operation,
    /// How many nodes must be done before it.
    pub dependencies: u32,
    /// How many of these are not done in this epoch; `dependencies` again between epochs.
    pub open: AtomicU32,
}
