//! Nodes: tasks with a body, and operations of the comm thread.

#![allow(unsafe_code, reason = "a context passes on what the scheduler promises: the order of the graph")]

use super::open::Open;
use crate::comm::CollectiveRequest;
use crate::ids::{BlockId, Rank, Tag};
use crate::memory::{BlockCell, Grant, Granted, ReadGuard, WriteGuard};
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

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
    grants: &'a [Grant],
    /// A grant is for one thread, so a context is too; what a guard shows may be shared with others.
    _thread: PhantomData<Cell<()>>,
}

impl<'a> Context<'a> {
    /// The context of a task.
    ///
    /// # Safety
    /// While it lives, an epoch that has claimed the graph's blocks runs the task with these grants, once, when all
    /// nodes before it are done and before any behind it begins.
    pub(crate) unsafe fn new(grants: &'a [Grant]) -> Context<'a> {
        Context { grants, _thread: PhantomData }
    }

    /// Opens the block of access `index` for reading.
    ///
    /// # Panics
    /// If this task has it open for writing.
    pub fn read(&self, index: usize) -> ReadGuard<Granted<'a>> {
        self.granted(index).read()
    }

    /// Opens the block of access `index` for writing.
    ///
    /// # Panics
    /// If this task has it open already, or has declared to read it.
    pub fn write(&self, index: usize) -> WriteGuard<Granted<'a>> {
        self.granted(index).write()
    }

    fn granted(&self, index: usize) -> Granted<'a> {
        // SAFETY: promised to `new`; the context stays on its thread, and so does what it grants.
        unsafe { Granted::new(&self.grants[index]) }
    }
}

/// What a node does when everything before it is done.
pub enum Operation {
    /// Runs on a worker.
    Task {
        /// What errors and traces call it.
        label: &'static str,
        /// The NUMA domain that should run it, for it holds the tile to be written.
        domain: u32,
        /// Where its grants stand among the graph's, in the order of its accesses.
        grants: Range<u32>,
        /// The work itself.
        body: Body,
    },
    /// Lends a block to the transport, its own or one into which others were copied.
    Send {
        /// The rank that reads the block.
        to: Rank,
        /// Matches the receive.
        tag: Tag,
        /// What is sent; there when the recording has ended.
        cell: Option<Arc<BlockCell>>,
        /// Where the grants of blocks that are copied into it stand among the graph's; none for a block itself.
        blocks: Range<u32>,
    },
    /// Fills this rank's copy of another rank's block, or one that is copied to several.
    Receive {
        /// The home of what is sent.
        from: Rank,
        /// Matches the send.
        tag: Tag,
        /// The copy; there when the recording has ended.
        cell: Option<Arc<BlockCell>>,
        /// As that of a send, of blocks that are copied out of it.
        blocks: Range<u32>,
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
    pub open: Open,
    /// Edges on the longest path from here, where a message counts as several: of two nodes that could run, the one
    /// with more is run first.
    pub to_the_end: u32,
    /// Nodes on the longest path that leads here, over all ranks: whatever a node waits for has a lesser one.
    pub depth: u32,
}

impl Operation {
    /// The block of a message.
    pub fn message(&self) -> Option<&Arc<BlockCell>> {
        match self {
            Operation::Send { cell, .. } | Operation::Receive { cell, .. } => cell.as_ref(),
            Operation::Task { .. } | Operation::Collective { .. } => None,
        }
    }
}

impl Node {
    /// True if a worker runs it.
    pub fn is_task(&self) -> bool {
        matches!(self.operation, Operation::Task { .. })
    }
}
