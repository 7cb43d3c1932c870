//! From program order and declared accesses to edges and messages.

use super::node::{Access, Body, Node, Operation};
use super::open::Open;
use super::parcel::{Filling, Parcel};
use super::rooms::{Arrival, Rooms};
use super::tags::Tags;
use super::{Claim, Graph, Recorded};
use crate::error::Result;
use crate::fingerprint::Fingerprint;
use crate::ids::{BlockId, NodeId, Rank};
use crate::memory::{BlockCell, Grant, Memory, Order};
use crate::sync::atomic::AtomicBool;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A message counts as so many edges of a path: what comes after it, on other ranks too, waits for the wire.
const MESSAGE_EDGES: u32 = 4;
/// Blocks up to this length share messages.
const SHORT_BYTES_MAX: usize = 256;

/// Records tasks in program order; the only way to a [`Graph`].
///
/// All ranks make the same calls with the same arguments, closures and bound storage aside.
pub struct GraphBuilder {
    name: &'static str,
    pub(super) rank: Rank,
    pub(super) size: usize,
    pub(super) memory: Arc<Memory>,
    pub(super) blocks: Vec<BlockRecord>,
    copies: HashMap<BlockId, Copy>,
    pub(super) nodes: Vec<Node>,
    /// What will be granted.
    pub(super) promises: Vec<Promise>,
    /// Long blocks that come here, in the order of their receives.
    arrivals: Vec<Arrival>,
    /// Edges in the order of the nodes they lead to; behind them those of receives that wait for room.
    edges: Vec<(NodeId, NodeId)>,
    /// Where the latest edge from each node leads.
    latest: Vec<Option<NodeId>>,
    /// Depth of the node that is being added, and the least of the next collective.
    pub(super) depth: u32,
    pub(super) after_collective: u32,
    /// The least depth of what follows everything.
    pub(super) deepest: u32,
    pub(super) tags: Tags,
    /// Tasks and collectives of all ranks so far.
    pub(super) recorded: u32,
    /// By sender and receiver, on all ranks.
    pub(super) open_parcels: HashMap<(Rank, Rank), Parcel>,
    pub(super) parcels: Vec<Filling>,
    pub(super) collectives: u64,
    pub(super) agreement: Option<NodeId>,
    pub(super) communicates: bool,
    brief: bool,
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
    /// The least depth of what follows the latest write, and of what follows the reads after it, on any rank.
    pub(super) after_write: u32,
    after_reads: u32,
    /// Operations recorded up to the latest write, with it.
    pub(super) written: u32,
}

/// A task's or a parcel's use of a block, until the recording ends.
#[derive(Clone, Copy)]
pub(super) struct Promise {
    block: BlockId,
    order: Order,
    /// Which version, if that comes from another rank.
    arrival: Option<u32>,
}

/// Storage of a block on this rank, at home or as a copy, with the nodes that used it last.
#[derive(Clone)]
pub(super) struct Copy {
    /// Where it lies, or the arrival that will be given a room.
    pub(super) place: Place,
    writer: Option<NodeId>,
    readers: Vec<NodeId>,
    /// How tasks use it, and whether the comm thread does.
    claim: Claim,
    travels: bool,
}

#[derive(Clone)]
pub(super) enum Place {
    Cell(Arc<BlockCell>),
    Arrival(u32),
}

impl Copy {
    fn new(place: Place) -> Copy {
        Copy { place, writer: None, readers: Vec::new(), claim: Claim::None, travels: false }
    }
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
            promises: Vec::new(),
            arrivals: Vec::new(),
            edges: Vec::new(),
            latest: Vec::new(),
            depth: 0,
            after_collective: 0,
            deepest: 0,
            tags: Tags::default(),
            recorded: 0,
            open_parcels: HashMap::new(),
            parcels: Vec::new(),
            collectives: 0,
            agreement: None,
            communicates: false,
            brief: false,
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

    /// Says that all tasks of this rank together take less than the way to a worker and back, some 0.1 ms: who launches
    /// the graph then runs them itself, if there are no messages between them. Ranks may differ in it.
    pub fn brief(&mut self) {
        self.brief = true;
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
        let here = cell.map(|cell| Copy::new(Place::Cell(cell)));
        let sent_to = Vec::new();
        self.blocks.push(BlockRecord { home, bytes, here, sent_to, after_write: 0, after_reads: 0, written: 0 });
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
    /// If the task writes a block whose home is another rank, or names a block twice.
    pub fn task(
        &mut self,
        label: &'static str,
        rank: Rank,
        domain: usize,
        accesses: &[Access],
        body: impl FnOnce() -> Body,
    ) -> Result<()> {
        for (index, access) in accesses.iter().enumerate() {
            let before = &accesses[..index];
            assert!(before.iter().all(|it| it.block() != access.block()), "task {label} names a block twice");
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
        self.depth = self.deepen(accesses.iter().copied(), 0);
        if rank == self.rank {
            let first = narrow(self.promises.len());
            for access in accesses {
                let order = if matches!(access, Access::Read(_)) { Order::Shared } else { Order::Alone };
                self.promise(access.block(), order);
            }
            let grants = first..narrow(self.promises.len());
            self.add(Operation::Task { label, domain: narrow(domain), grants, body: body() }, accesses);
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
        self.close_parcels()?;
        let rooms = self.make_rooms()?;
        let grants = self.grants(&rooms);
        // Room that growing left over would stay for as long as the graph.
        self.nodes.shrink_to_fit();
        let (mut successors, starts) = by_start(&self.edges, self.nodes.len());
        for node in &self.nodes {
            node.open.set(node.dependencies);
        }
        // Edges lead to later nodes, so from the last to the first all successors are known.
        for index in (0..self.nodes.len()).rev() {
            let behind = &mut successors[starts[index] as usize..starts[index + 1] as usize];
            let rest = behind.iter().map(|next| self.nodes[next.index()].to_the_end + 1).max();
            let own = if self.nodes[index].is_task() { 0 } else { MESSAGE_EDGES };
            self.nodes[index].to_the_end = rest.unwrap_or(0) + own;
            // Messages first, but the agreement, which waits for everything, behind the others; of tasks the last is
            // the most urgent, of two alike the first in program order.
            behind.sort_unstable_by_key(|next| {
                let node = &self.nodes[next.index()];
                (node.is_task(), self.agreement == Some(*next), node.to_the_end, Reverse(next.0))
            });
        }
        let free = |index: &usize| self.nodes[*index].dependencies == 0;
        let mut roots: Vec<NodeId> = (0..self.nodes.len()).filter(free).map(|index| NodeId(narrow(index))).collect();
        let first = |node: &Node| (node.is_task(), Reverse(node.to_the_end));
        roots.sort_by_key(|root| first(&self.nodes[root.index()]));
        let claim = |here: &Option<Copy>| here.as_ref().map_or(Claim::None, Copy::claim_of_epochs);
        let brief = self.brief && self.nodes.iter().all(Node::is_task);
        Ok(Graph::new(Recorded {
            sinks: narrow(starts.windows(2).filter(|two| two[0] == two[1]).count()),
            running: AtomicBool::new(false),
            name: self.name,
            nodes: self.nodes,
            grants,
            successors,
            starts,
            roots,
            claims: self.blocks.iter().map(|block| claim(&block.here)).collect(),
            cells: self.blocks.iter().map(|block| block.here.as_ref().map(|here| Arc::clone(here.cell()))).collect(),
            collectives: self.collectives,
            agreement: self.agreement,
            description: self.description,
            fingerprint: self.fingerprint,
            agreed: AtomicBool::new(false),
            fine: AtomicBool::new(false),
            brief,
            throttled: rooms.throttled || self.tags.used_again(),
            lanes: OnceLock::new(),
        }))
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
        let message = (u64::from(home.0) << 32) | u64::from(rank.0);
        self.fingerprint = self.fingerprint.word(message).word(bytes as u64);
        self.communicates = true;
        self.agreement = None;
        if bytes <= SHORT_BYTES_MAX {
            return self.bring_in_parcel(block, rank);
        }
        let (tag, blocks) = (self.new_tag(), 0..0);
        if home == self.rank {
            let cell = Some(Arc::clone(self.copy(block).cell()));
            let node = self.add(Operation::Send { to: rank, tag, cell, blocks }, &[Access::Read(block)]);
            self.follow_tag(node);
        } else if rank == self.rank {
            self.receive(block, |cell| Operation::Receive { from: home, tag, cell, blocks });
        }
        Ok(())
    }

    /// Room for another rank's short block, unless there is some.
    pub(super) fn make_copy(&mut self, block: BlockId) -> Result<()> {
        if !self.copies.contains_key(&block) {
            let cell = self.memory.block(self.blocks[block.index()].bytes)?;
            self.copies.insert(block, Copy::new(Place::Cell(cell)));
        }
        Ok(())
    }

    /// Adds the receive of a long block of another rank, which is given its room when the recording ends.
    fn receive(&mut self, block: BlockId, operation: impl FnOnce(Option<Arc<BlockCell>>) -> Operation) {
        let arrival = narrow(self.arrivals.len());
        let node = NodeId(narrow(self.nodes.len()));
        self.arrivals.push(Arrival { block, node, readers: Vec::new() });
        let copy = self.copies.entry(block).or_insert_with(|| Copy::new(Place::Arrival(arrival)));
        if let Place::Arrival(before) = std::mem::replace(&mut copy.place, Place::Arrival(arrival)) {
            let readers = &mut self.arrivals[before as usize].readers;
            readers.extend_from_slice(&copy.readers);
        }
        let node = self.add(operation(None), &[Access::Write(block)]);
        self.follow_tag(node);
    }

    /// All arrivals, with who reads them.
    pub(super) fn end_arrivals(&mut self) -> Vec<Arrival> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        for copy in self.copies.values() {
            if let Place::Arrival(arrival) = copy.place {
                arrivals[arrival as usize].readers.extend_from_slice(&copy.readers);
            }
        }
        arrivals
    }

    /// The next permission: to use a block that is here.
    pub(super) fn promise(&mut self, block: BlockId, order: Order) {
        let copy = self.copy_mut(block);
        copy.claim = copy.claim.max(if order == Order::Shared { Claim::Shared } else { Claim::Alone });
        let arrival = if let Place::Arrival(arrival) = copy.place { Some(arrival) } else { None };
        self.promises.push(Promise { block, order, arrival });
    }

    /// The permissions that were promised, where all blocks have their storage.
    fn grants(&self, rooms: &Rooms) -> Vec<Grant> {
        let grant = |promise: &Promise| {
            let here = self.copy(promise.block);
            let cell = promise.arrival.map_or_else(|| here.cell(), |arrival| &rooms.cells[arrival as usize]);
            Grant::new(Arc::clone(cell), if here.travels { Order::Counted } else { promise.order })
        };
        self.promises.iter().map(grant).collect()
    }

    pub(super) fn copy(&self, block: BlockId) -> &Copy {
        let here = self.blocks[block.index()].here.as_ref();
        here.or_else(|| self.copies.get(&block)).expect("the block was brought to this rank")
    }

    fn copy_mut(&mut self, block: BlockId) -> &mut Copy {
        let here = self.blocks[block.index()].here.as_mut();
        here.or_else(|| self.copies.get_mut(&block)).expect("the block was brought to this rank")
    }

    /// The depth of what makes these accesses, at least `least`: the longest path that leads there, over all ranks.
    pub(super) fn deepen(&mut self, accesses: impl Iterator<Item = Access> + Clone, least: u32) -> u32 {
        self.recorded += 1;
        let depth = accesses.clone().fold(least, |depth, access| {
            let block = &self.blocks[access.block().index()];
            match access {
                Access::Read(_) => depth.max(block.after_write),
                Access::Write(_) => depth.max(block.after_write).max(block.after_reads),
            }
        });
        for access in accesses {
            let block = &mut self.blocks[access.block().index()];
            match access {
                Access::Read(_) => block.after_reads = block.after_reads.max(depth + 1),
                Access::Write(_) => (block.after_write, block.written) = (depth + 1, self.recorded),
            }
        }
        self.deepest = self.deepest.max(depth + 1);
        depth
    }

    /// Adds a node of this rank behind everything its accesses must follow.
    pub(super) fn add(&mut self, operation: Operation, accesses: &[Access]) -> NodeId {
        let node = NodeId(narrow(self.nodes.len()));
        let travels = !matches!(operation, Operation::Task { .. });
        self.nodes.push(Node { operation, dependencies: 0, open: Open::default(), to_the_end: 0, depth: self.depth });
        self.latest.push(None);
        accesses.iter().for_each(|access| self.copy_mut(access.block()).travels |= travels);
        self.follow(node, accesses);
        node
    }

    /// Lets a node follow everything that these accesses of it must follow.
    pub(super) fn follow(&mut self, node: NodeId, accesses: &[Access]) {
        for access in accesses {
            let copy = self.copy_mut(access.block());
            let writer = copy.writer;
            let mut readers = Vec::new();
            match access {
                Access::Read(_) => copy.readers.push(node),
                Access::Write(_) => {
                    readers = std::mem::take(&mut copy.readers);
                    copy.writer = Some(node);
                }
            }
            writer.into_iter().for_each(|earlier| self.edge(earlier, node));
            readers.iter().for_each(|&earlier| self.edge(earlier, node));
            if matches!(access, Access::Write(_)) {
                // Its room serves the readers of the next version.
                readers.clear();
                self.copy_mut(access.block()).readers = readers;
            }
        }
    }

    pub(super) fn edge(&mut self, from: NodeId, to: NodeId) {
        // Edges into a task are added one after another, so a repeated one would be the latest; one into a parcel that
        // is filled later may be there twice, and counts twice.
        if from != to && self.latest[from.index()] != Some(to) {
            self.latest[from.index()] = Some(to);
            self.edges.push((from, to));
            self.nodes[to.index()].dependencies += 1;
        }
    }

    pub(super) fn sinks(&self) -> Vec<NodeId> {
        (0..self.nodes.len()).filter(|&node| self.latest[node].is_none()).map(|node| NodeId(node as u32)).collect()
    }
}

impl Copy {
    /// The storage of a block that has some while it is recorded.
    pub(super) fn cell(&self) -> &Arc<BlockCell> {
        match &self.place {
            Place::Cell(cell) => cell,
            Place::Arrival(_) => unreachable!("only what comes from other ranks has no storage yet"),
        }
    }

    /// What an epoch claims: nothing of blocks that travel, whose users are counted.
    fn claim_of_epochs(&self) -> Claim {
        if self.travels { Claim::None } else { self.claim }
    }
}

/// Edges by the node they start from: node i's successors are `list[starts[i]..starts[i + 1]]`, in order.
fn by_start(edges: &[(NodeId, NodeId)], nodes: usize) -> (Vec<NodeId>, Vec<u32>) {
    let mut starts = vec![0; nodes + 1];
    for (from, _) in edges {
        starts[from.index() + 1] += 1;
    }
    for index in 0..nodes {
        starts[index + 1] += starts[index];
    }
    let mut places = starts.clone();
    let mut list = vec![NodeId(0); edges.len()];
    for &(from, to) in edges {
        let place = &mut places[from.index()];
        list[*place as usize] = to;
        *place += 1;
    }
    (list, starts)
}

/// A count of the graph, which are below 2^32.
pub(super) fn narrow(count: usize) -> u32 {
    u32::try_from(count).expect("counts of a graph fit in 32 bits")
}

impl Access {
    /// The block that is used.
    pub fn block(self) -> BlockId {
        match self {
            Access::Read(block) | Access::Write(block) => block,
        }
    }
}
