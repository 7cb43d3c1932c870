//! The numbers that all ranks agree on.
//!
//! Each index space is a type of its own, so that a rank is never compared with a task.

use std::fmt;

/// One process of the job, counted from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank(pub u32);

impl Rank {
    /// The rank as an index into per-rank tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl From<usize> for Rank {
    fn from(index: usize) -> Rank {
        Rank(u32::try_from(index).expect("a rank fits in 32 bits"))
    }
}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {}", self.0)
    }
}

/// The number of one launch of a graph or of one control collective; equal on all ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// What tells two messages between the same pair of ranks apart; unique within a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

/// Every MPI allows tags up to 32767.
impl Tag {
    /// So many tags are those of graphs, from zero.
    pub const GRAPH_TAGS: u32 = 32_766;
    /// Of packets of short messages.
    pub(crate) const PACKET: Tag = Tag(32_766);
    /// Of mailboxes.
    pub(crate) const MAILBOX: Tag = Tag(32_767);
}

/// A block of a graph: a run of bytes with a home rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockId(pub u32);

/// A node of a graph: a task, a send, a receive or a collective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

impl BlockId {
    /// The block as an index into per-block tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl NodeId {
    /// The node as an index into per-node tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}
