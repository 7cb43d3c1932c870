//! Rooms: storage for blocks of other ranks, so many bytes of it at a time.
//!
//! A launch holds no more of what it receives than the memory admits to be in flight, as far as program order allows:
//! beyond that a block comes into the room of an earlier one of the same length, and its receive waits until whatever
//! used the earlier one here is done.
//! Invariant 1: whoever used a room before stands before the new guest's receive in program order. So edges still point
//! from earlier to later, on every rank and across messages, and of all nodes that are not done the first can go on.
//! Invariant 2: messages do not depend on rooms. Only receives of this rank wait, so ranks may admit different amounts.
//! Never here: blocks of this rank, and short ones, which share messages.

use super::build::GraphBuilder;
use super::node::Operation;
use crate::error::Result;
use crate::ids::{BlockId, NodeId};
use crate::memory::BlockCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// A version of another rank's block that comes here.
pub(super) struct Arrival {
    pub(super) block: BlockId,
    /// Its receive.
    pub(super) node: NodeId,
    /// Who reads it here.
    pub(super) readers: Vec<NodeId>,
}

/// Where all arrivals are to lie.
pub(super) struct Rooms {
    /// By arrival.
    pub(super) cells: Vec<Arc<BlockCell>>,
    /// Some receive waits for room. Then depths of nodes, which all ranks count alike, do not tell all of the order.
    pub(super) throttled: bool,
}

struct Room {
    cell: Arc<BlockCell>,
    /// The arrival that lies there last.
    guest: usize,
}

/// Rooms of one length, by the last node that uses their guest, and that guest; a room appears once for each guest.
type Free = BinaryHeap<Reverse<(NodeId, usize, usize)>>;

impl Arrival {
    /// The last node in program order that uses it.
    fn end(&self) -> NodeId {
        self.readers.iter().copied().max().unwrap_or(self.node)
    }
}

impl GraphBuilder {
    /// Gives each arrival its room, and lets receives wait where there are fewer rooms than arrivals at once.
    ///
    /// Cost: each arrival once, times the logarithm of the rooms.
    ///
    /// # Errors
    /// Local: `Error::Memory`.
    pub(super) fn make_rooms(&mut self) -> Result<Rooms> {
        let arrivals = self.end_arrivals();
        let mut rooms: Vec<Room> = Vec::new();
        let mut free: HashMap<usize, Free> = HashMap::new();
        // The room of each block's last version.
        let mut own: HashMap<BlockId, usize> = HashMap::new();
        let (mut held, mut throttled) = (0, false);
        let mut cells = Vec::with_capacity(arrivals.len());
        for (guest, arrival) in arrivals.iter().enumerate() {
            let bytes = self.blocks[arrival.block.index()].bytes;
            let of_length = free.entry(bytes).or_default();
            let stays = own.get(&arrival.block).copied();
            let stays = stays.filter(|&room| arrivals[rooms[room].guest].block == arrival.block);
            let room = match stays {
                Some(room) => room,
                None => {
                    let admitted = held + bytes <= self.memory.bytes_in_flight_max();
                    let fresh = if admitted { self.memory.block(bytes).ok() } else { None };
                    let vacant = if fresh.is_none() { take_vacant(of_length, &rooms, arrival.node) } else { None };
                    match (fresh, vacant) {
                        (None, Some(room)) => {
                            throttled = true;
                            self.follow_guest(&arrivals[rooms[room].guest], arrival.node);
                            room
                        }
                        (fresh, _) => {
                            let cell = fresh.map_or_else(|| self.memory.block(bytes), Ok)?;
                            held += bytes;
                            rooms.push(Room { cell, guest });
                            rooms.len() - 1
                        }
                    }
                }
            };
            rooms[room].guest = guest;
            own.insert(arrival.block, room);
            of_length.push(Reverse((arrival.end(), room, guest)));
            let cell = &rooms[room].cell;
            cells.push(Arc::clone(cell));
            let Operation::Receive { cell: place, .. } = &mut self.nodes[arrival.node.index()].operation else {
                unreachable!("an arrival is received");
            };
            *place = Some(Arc::clone(cell));
        }
        Ok(Rooms { cells, throttled })
    }

    /// A receive waits for whatever used its room before.
    fn follow_guest(&mut self, before: &Arrival, receive: NodeId) {
        if before.readers.is_empty() {
            self.edge(before.node, receive);
        }
        before.readers.iter().for_each(|&reader| self.edge(reader, receive));
    }
}

/// The room that has been free for longest when `node` comes, if one is.
fn take_vacant(free: &mut Free, rooms: &[Room], node: NodeId) -> Option<usize> {
    while let Some(&Reverse((end, room, guest))) = free.peek() {
        if rooms[room].guest == guest && end >= node {
            return None;
        }
        free.pop();
        if rooms[room].guest == guest {
            return Some(room);
        }
    }
    None
}
