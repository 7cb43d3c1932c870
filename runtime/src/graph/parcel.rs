//! Parcels: short blocks that one rank sends another at one depth, in one message.
//!
//! A parcel waits for all that is in it, so it takes only what is written at one depth of the graph, and only so much.
//! Invariant 1: a block joins a parcel only if its version was recorded before the parcel was opened. So whatever a
//! parcel waits for stands before it in program order, on both ranks, and edges still point from earlier to later.
//! Invariant 2: all that decides is known to all ranks, which therefore fill the same parcels.
//! The blocks are copied to and from the message's own block, as the graph orders it: they are not lent to the wire,
//! and tasks use them without a count. Never here: when a parcel is packed, and how it travels.

use super::Access;
use super::build::{GraphBuilder, narrow};
use super::node::Operation;
use crate::error::Result;
use crate::ids::{BlockId, NodeId, Rank, Tag};
use crate::memory::{Order, Slab};

/// What a parcel holds at most: what a transport takes for short, and few enough blocks that the first need not wait
/// for the last of many.
const BYTES_MAX: usize = 512;
const BLOCKS_MAX: usize = 16;

/// The latest parcel from one rank to another.
pub(super) struct Parcel {
    /// The depth of what may read its blocks.
    depth: u32,
    /// Operations recorded before it was opened.
    opened: u32,
    bytes: usize,
    blocks: usize,
    /// Its place in `GraphBuilder::parcels`, on the two ranks.
    here: Option<usize>,
}

/// A parcel to or from this rank, until the recording ends.
pub(super) struct Filling {
    node: NodeId,
    blocks: Vec<BlockId>,
}

impl GraphBuilder {
    /// Sends a short block from its home to `to`, in a parcel that may have room or in a new one.
    pub(super) fn bring_in_parcel(&mut self, block: BlockId, to: Rank) -> Result<()> {
        let record = &self.blocks[block.index()];
        let (from, bytes, depth, written) = (record.home, record.bytes, record.after_write, record.written);
        let fits = |parcel: &Parcel| {
            let room = parcel.bytes + bytes <= BYTES_MAX && parcel.blocks < BLOCKS_MAX;
            room && parcel.depth == depth && written <= parcel.opened
        };
        if !self.open_parcels.get(&(from, to)).is_some_and(fits) {
            let tag = self.new_tag();
            let opened = self.recorded;
            let here = (from == self.rank || to == self.rank).then(|| self.open_parcel(from, to, tag));
            self.open_parcels.insert((from, to), Parcel { depth, opened, bytes: 0, blocks: 0, here });
        }
        let parcel = self.open_parcels.get_mut(&(from, to)).expect("there is one by now");
        parcel.bytes += bytes;
        parcel.blocks += 1;
        let Some(place) = parcel.here else { return Ok(()) };
        let access = if from == self.rank { Access::Read(block) } else { Access::Write(block) };
        if to == self.rank {
            self.make_copy(block)?;
        }
        let filling = &mut self.parcels[place];
        filling.blocks.push(block);
        let node = filling.node;
        self.follow(node, &[access]);
        Ok(())
    }

    fn open_parcel(&mut self, from: Rank, to: Rank, tag: Tag) -> usize {
        // Its own block is made when its length is known.
        let (cell, blocks) = (None, 0..0);
        let operation = if from == self.rank {
            Operation::Send { to, tag, cell, blocks }
        } else {
            Operation::Receive { from, tag, cell, blocks }
        };
        let node = self.add(operation, &[]);
        self.follow_tag(node);
        self.parcels.push(Filling { node, blocks: Vec::new() });
        self.parcels.len() - 1
    }

    /// Gives each parcel its block and the permissions to fill or empty it.
    pub(super) fn close_parcels(&mut self) -> Result<()> {
        let parcels = std::mem::take(&mut self.parcels);
        let bytes = |parcel: &Filling| parcel.blocks.iter().map(|block| self.blocks[block.index()].bytes).sum();
        let lengths: Vec<usize> = parcels.iter().map(bytes).collect();
        if lengths.is_empty() {
            return Ok(());
        }
        let cells = Slab::split(&self.memory.slab(lengths.iter().sum())?, &lengths);
        for (parcel, own) in parcels.into_iter().zip(cells) {
            let first = narrow(self.promises.len());
            let sends = matches!(self.nodes[parcel.node.index()].operation, Operation::Send { .. });
            for block in parcel.blocks {
                self.promise(block, if sends { Order::Shared } else { Order::Alone });
            }
            let range = first..narrow(self.promises.len());
            match &mut self.nodes[parcel.node.index()].operation {
                Operation::Send { cell, blocks, .. } | Operation::Receive { cell, blocks, .. } => {
                    (*cell, *blocks) = (Some(own), range);
                }
                _ => unreachable!("a parcel is a message"),
            }
        }
        Ok(())
    }
}
