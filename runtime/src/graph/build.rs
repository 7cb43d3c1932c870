//! From program order and declared accesses to edges and messages.

use super::Graph;
use super::node::{Access, Body, Node, Operation};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::ids::{BlockId, NodeId, Rank, Tag};
use crate::memory::{BlockCell, Memory};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// Records tasks in program order; the only way to a [`Graph`].
///
/// All ranks make the same calls with the same arguments, closures and bound storage aside.
pub struct GraphBuilder {
    name: &'static str,
    pub(super) rank: Rank,
    pub(super) size: usize,
    memory: Arc<Memory>,
    pub(super) blocks: Vec<BlockRecord>,
    copies: HashMap<BlockId, Copy>,
    nodes: Vec<Node>,
    successors: Vec<Vec<NodeId>>,
    tags: u32,
    pub(super) collectives: u64,
    pub(super) agreement: Option<NodeId>,
    pub(super) communicates: bool,
    description: String,
    pub(super) fingerprint: Fingerprint,
}

pub(super) struct BlockRecord {
    pub(super) home: Rank,
    pub(super) bytes: usize,
    /// Storage and its users, on the home rank.
    here: Option<Copy>,
    /// Ranks that hold the current version already, ascending.
    pub(super) sent_to: Vec<Rank>,
}

/// Storage of a block on this rank, at home or as a copy, with the nodes that used it last.
#[derive(Clone)]
pub(super) struct Copy {
    pub(super) cell: Arc<BlockCell>,
    writer: Option<NodeId>,
    readers: Vec<NodeId>,
}

impl GraphBuilder {
    /// An empty graph; `name` is what counters of traffic call it.
    pub fn new(name: &'static str, rank: Rank, size: usize, memory: Arc<Memory>) -> GraphBuilder {
        GraphBuilder {
            name,
            rank,
            size,
            memory,
            blocks: Vec::new(),
            copies: HashMap::new(),
            nodes: Vec::new(),
            successors: Vec::new(),
            tags: 0,
            collectives: 0,
            agreement: None,
            communicates: false,
            description: name.to_string(),
            fingerprint: Fingerprint::of(name),
        }
    }

    /// This rank.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Says what the graph is for, in words for errors and in full; ranks that differ in either diverge.
    pub fn describe(&mut self, what: &str, detail: Fingerprint) {
        self.description = format!("{}: {what}", self.name);
        self.fingerprint = self.fingerprint.bytes(what.as_bytes()).word(detail.value());
    }

    /// A new block with storage on its home rank; its contents are unspecified until a task writes them.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn block(&mut self, home: Rank, bytes: usize) -> Result<BlockId> {
        let cell = if home == self.rank { Some(self.memory.block(bytes)?) } else { None };
        Ok(self.bind(home, bytes, cell))
    }

    /// A block over existing storage, given on its home rank only.
    ///
    /// # Panics
    /// If storage is missing at home, given elsewhere, or of another length.
    pub fn bind(&mut self, home: Rank, bytes: usize, cell: Option<Arc<BlockCell>>) -> BlockId {
        assert_eq!(cell.is_some(), home == self.rank, "storage belongs to the home rank, and to it alone");
        assert!(cell.as_ref().is_none_or(|cell| cell.bytes() == bytes), "a block was bound with another length");
        let here = cell.map(|cell| Copy { cell, writer: None, readers: Vec::new() });
        self.blocks.push(BlockRecord { home, bytes, here, sent_to: Vec::new() });
        BlockId(u32::try_from(self.blocks.len() - 1).expect("block numbers fit in 32 bits"))
    }

    /// A task of `rank` with its accesses; `body` is called on that rank alone, at once, to make what it does.
    ///
    /// `domain` is the NUMA domain that should run it. Cost: a message for each block read whose home is
    /// another rank and whose current version has not come here before.
    ///
    /// # Errors
    /// Local: `Error::Memory` for the copy of another rank's block.
    ///
    /// # Panics
    /// If the task writes a block whose home is another rank.
    pub fn task(
        &mut self,
        label: &'static str,
        rank: Rank,
        domain: usize,
        accesses: &[Access],
        body: impl FnOnce() -> Body,
    ) -> Result<()> {
        for access in accesses {
            match *access {
                Access::Read(block) => self.bring(block, rank)?,
                Access::Write(block) => {
                    let record = &mut self.blocks[block.index()];
                    assert_eq!(record.home, rank, "task {label} writes a block of another rank");
                    record.sent_to.clear();
                }
            }
        }
        self.agreement = None;
        if rank == self.rank {
            let cells = accesses.iter().map(|access| Arc::clone(&self.copy(access.block()).cell)).collect();
            self.add(Operation::Task { label, domain, cells, body: body() }, accesses);
        }
        Ok(())
    }

    /// Ends the recording. A graph with messages ends with an agreement of all ranks that all succeeded.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub fn finish(mut self) -> Result<Graph> {
        if self.communicates && self.agreement.is_none() {
            let blocks = (0..self.size)
                .map(|rank| self.block(Rank::from(rank), size_of::<i64>()))
                .collect::<Result<Vec<_>>>()?;
            self.all_reduce_and_agree(&blocks);
        }
        let mut starts = Vec::with_capacity(self.nodes.len() + 1);
        let mut successors = Vec::with_capacity(self.successors.iter().map(Vec::len).sum());
        for of_node in &self.successors {
            starts.push(u32::try_from(successors.len()).expect("edge numbers fit in 32 bits"));
            successors.extend_from_slice(of_node);
        }
        starts.push(u32::try_from(successors.len()).expect("edge numbers fit in 32 bits"));
        for node in &mut self.nodes {
            *node.open.get_mut() = node.dependencies;
        }
        Ok(Graph {
            sinks: u32::try_from(starts.windows(2).filter(|two| two[0] == two[1]).count())
                .expect("nodes fit in 32 bits"),
            running: AtomicBool::new(false),
            name: self.name,
            nodes: self.nodes,
            successors,
            starts,
            cells: self.blocks.into_iter().map(|block| block.here.map(|here| here.cell)).collect(),
            collectives: self.collectives,
            agreement: self.agreement,
            description: self.description,
            fingerprint: self.fingerprint,
            agreed: AtomicBool::new(false),
        })
    }

    /// Makes the current version of a block readable on `rank`: nothing at home, else one message per version.
    fn bring(&mut self, block: BlockId, rank: Rank) -> Result<()> {
        let record = &mut self.blocks[block.index()];
        if record.home == rank {
            return Ok(());
        }
        let Err(position) = record.sent_to.binary_search(&rank) else { return Ok(()) };
        record.sent_to.insert(position, rank);
        let (home, bytes) = (record.home, record.bytes);
        // Tags wrap where the smallest bound of any MPI lies; a pair of ranks keeps the order of equal tags.
        let tag = Tag(self.tags % 32_767);
        self.tags = self.tags.wrapping_add(1);
        let message = (u64::from(home.0) << 32) | u64::from(rank.0);
        self.fingerprint = self.fingerprint.word(message).word(bytes as u64);
        self.communicates = true;
        self.agreement = None;
        if home == self.rank {
            let cell = Arc::clone(&self.copy(block).cell);
            self.add(Operation::Send { to: rank, tag, cell }, &[Access::Read(block)]);
        } else if rank == self.rank {
            if !self.copies.contains_key(&block) {
                let cell = self.memory.block(bytes)?;
                self.copies.insert(block, Copy { cell, writer: None, readers: Vec::new() });
            }
            let cell = Arc::clone(&self.copy(block).cell);
            self.add(Operation::Receive { from: home, tag, cell }, &[Access::Write(block)]);
        }
        Ok(())
    }

    pub(super) fn copy(&self, block: BlockId) -> &Copy {
        let here = self.blocks[block.index()].here.as_ref();
        here.or_else(|| self.copies.get(&block)).expect("the block was brought to this rank")
    }

    fn copy_mut(&mut self, block: BlockId) -> &mut Copy {
        let here = self.blocks[block.index()].here.as_mut();
        here.or_else(|| self.copies.get_mut(&block)).expect("the block was brought to this rank")
    }

    /// Adds a node of this rank behind everything its accesses must follow.
    pub(super) fn add(&mut self, operation: Operation, accesses: &[Access]) -> NodeId {
        let node = NodeId(u32::try_from(self.nodes.len()).expect("node numbers fit in 32 bits"));
        self.nodes.push(Node { operation, dependencies: 0, open: AtomicU32::new(0) });
        self.successors.push(Vec::new());
        for access in accesses {
            let copy = self.copy_mut(access.block());
            let mut before: Vec<NodeId> = copy.writer.into_iter().collect();
            match access {
                Access::Read(_) => copy.readers.push(node),
                Access::Write(_) => {
                    before.append(&mut copy.readers);
                    copy.writer = Some(node);
                }
            }
            for earlier in before {
                self.edge(earlier, node);
            }
        }
        node
    }

    pub(super) fn edge(&mut self, from: NodeId, to: NodeId) {
        let successors = &mut self.successors[from.index()];
        // Edges into `to` are added one after another, so a repeated one would be the last.
        if from != to && successors.last() != Some(&to) {
            successors.push(to);
            self.nodes[to.index()].dependencies += 1;
        }
    }

    pub(super) fn sinks(&self) -> Vec<NodeId> {
        let nodes = 0..self.nodes.len();
        nodes.filter(|&node| self.successors[node].is_empty()).map(|node| NodeId(node as u32)).collect()
    }
}

impl Access {
    /// The block that is used.
    pub fn block(self) -> BlockId {
        match self {
            Access::Read(block) | Access::Write(block) => block,
        }
    }
}
