//! A rank's runtime: its pool, its comm thread and its memory, and what all ranks do together.
//!
//! Invariant: all ranks run the same graphs and control collectives in the same order; the lock on `order`
//! makes this order one of whole epochs on each rank.

use crate::comm::{
    CollectiveRequest, CommThread, Completion, MpiTransport, Post, Reduction, Request, Traffic, Transport,
};
use crate::config::{Config, variable};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphBuilder};
use crate::ids::Rank;
use crate::memory::{BlockCell, Memory};
use crate::mpi::Launcher;
use crate::pool::Pool;
use crate::schedule::{Latch, Outcome, Run};
use crate::topology::{CommSeat, CpuSet, Demand, Machine, Placement, allowed_units, divide, domain_of_tile, quota};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// Where this rank runs, as its transport knows it.
#[derive(Clone, Debug)]
pub struct Node {
    /// The node's name.
    pub host: String,
    /// This rank's number among the ranks of the node.
    pub local_rank: usize,
    /// What each rank of the node may run on, by local rank.
    pub masks: Vec<CpuSet>,
    /// The MPI library, where there is one.
    pub mpi: Option<String>,
}

/// A rank's runtime. Clones share it.
#[derive(Clone)]
pub struct World(Arc<Inner>);

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "World({} of {})", self.0.rank, self.0.size)
    }
}

struct Inner {
    rank: Rank,
    size: usize,
    config: Config,
    machine: Machine,
    placement: Placement,
    node: Node,
    memory: Arc<Memory>,
    pool: Arc<Pool>,
    comm: RwLock<Option<Arc<CommThread>>>,
    order: Mutex<Order>,
    interrupted: RwLock<Box<dyn Fn() -> bool + Send + Sync>>,
}

struct Order {
    /// Collectives begun so far, in graphs and outside.
    collectives: u64,
    /// A failure of this rank that the others have not heard of.
    unheard: Option<Error>,
}

impl World {
    /// A world of one rank, without a launcher and without MPI.
    ///
    /// # Errors
    /// Local: `Error::Topology`.
    pub fn solo(config: Config) -> Result<World> {
        let node = Node { host: host_name(), local_rank: 0, masks: vec![allowed_units()?], mpi: None };
        World::assemble(config, node, None, Rank(0), 1)
    }

    /// The world that this process belongs to: the ranks of its launcher, connected by MPI, or itself alone.
    ///
    /// `plugins` is the directory of the MPI plug-ins. Collective under a launcher.
    ///
    /// # Errors
    /// Local: `Error::Launch` if launcher, MPI library and plug-ins do not fit; `Error::Topology`.
    pub fn join(config: Config, plugins: PathBuf) -> Result<World> {
        let launcher = Launcher::detect(&variable);
        let units = allowed_units()?;
        let connect = move || {
            let Some(transport) = MpiTransport::open(&plugins, launcher.as_ref())? else { return Ok(None) };
            let mine: Vec<u8> = units.units().iter().flat_map(|unit| unit.to_ne_bytes()).collect();
            let masks = transport.gather_on_node(&mine)?;
            let mask = |bytes: &Vec<u8>| {
                let units = bytes.as_chunks().0.iter().map(|&unit| u32::from_ne_bytes(unit));
                CpuSet::new(units.collect())
            };
            let node = Node {
                host: transport.processor_name(),
                local_rank: transport.local_rank(),
                masks: masks.iter().map(mask).collect(),
                mpi: Some(transport.library_version()),
            };
            Ok(Some((Box::new(transport) as Box<dyn Transport>, node)))
        };
        match World::connect(config.clone(), connect)? {
            Some(world) => Ok(world),
            None => World::solo(config),
        }
    }

    /// A rank of a world whose ranks reach each other by this transport.
    ///
    /// # Errors
    /// Local: `Error::Topology`.
    pub fn connected(config: Config, transport: Box<dyn Transport>, node: Node) -> Result<World> {
        let world = World::connect(config, move || Ok(Some((transport, node))))?;
        Ok(world.expect("a transport that is there connects"))
    }

    fn connect(
        config: Config,
        connect: impl FnOnce() -> Result<Option<(Box<dyn Transport>, Node)>> + Send + 'static,
    ) -> Result<Option<World>> {
        // Before the transport starts threads, which may be bound elsewhere.
        allowed_units()?;
        let start = move || {
            Ok(connect()?.map(|(transport, node)| {
                let (rank, size) = (transport.rank(), transport.size());
                (transport, (node, rank, size))
            }))
        };
        let Some((comm, (node, rank, size))) = CommThread::start(start)? else { return Ok(None) };
        World::assemble(config, node, Some(Arc::new(comm)), rank, size).map(Some)
    }

    fn assemble(config: Config, node: Node, comm: Option<Arc<CommThread>>, rank: Rank, size: usize) -> Result<World> {
        // The whole node, not this process's part: ranks whose bindings overlap must divide the same cores.
        let machine = Machine::node()?;
        let demand = Demand { threads: config.threads, quota: quota(), alone: size == 1 };
        let placement = divide(&machine, &node.masks, node.local_rank, demand)?;
        // A comm thread among the workers waits for their cores.
        let patient = config.bind && (comm.is_none() || placement.comm_seat != CommSeat::Shared);
        let pool = Arc::new(Pool::start(&placement.workers, config.bind, patient)?);
        if let (Some(comm), true) = (&comm, config.bind) {
            comm.take_seat(placement.comm.clone(), placement.comm_seat != CommSeat::Shared);
        }
        let memory = Memory::new(config.budget(node.masks.len()));
        let order = Mutex::new(Order { collectives: 0, unheard: None });
        let interrupted: Box<dyn Fn() -> bool + Send + Sync> = Box::new(|| false);
        let (comm, interrupted) = (RwLock::new(comm), RwLock::new(interrupted));
        Ok(World(Arc::new(Inner {
            rank,
            size,
            config,
            machine,
            placement,
            node,
            memory,
            pool,
            comm,
            order,
            interrupted,
        })))
    }

    /// This rank.
    pub fn rank(&self) -> Rank {
        self.0.rank
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// The number of workers of this rank.
    pub fn workers(&self) -> usize {
        self.0.pool.workers()
    }

    /// This rank's memory.
    pub fn memory(&self) -> &Arc<Memory> {
        &self.0.memory
    }

    /// The options that this rank was started with.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The node that this rank runs on, with the cores of its other ranks.
    pub fn machine(&self) -> &Machine {
        &self.0.machine
    }

    /// Where this rank's threads were meant to run.
    pub fn placement(&self) -> &Placement {
        &self.0.placement
    }

    /// Where each worker was found to be bound; `None` where it is not.
    pub fn bindings(&self) -> &[Option<CpuSet>] {
        self.0.pool.bindings()
    }

    /// The name of that node, and the ranks on it.
    pub fn node(&self) -> &Node {
        &self.0.node
    }

    /// The NUMA domain for tile `index` of `tiles`: consecutive tiles go to domains in proportion to their workers.
    pub fn domain_of_tile(&self, index: usize, tiles: usize) -> usize {
        domain_of_tile(index, tiles, &self.0.pool.workers_by_domain())
    }

    /// A recorder for a graph of this world.
    pub fn graph(&self, name: &'static str) -> GraphBuilder {
        GraphBuilder::new(name, self.0.rank, self.0.size, Arc::clone(&self.0.memory))
    }

    /// Runs a graph once and waits for its end. All ranks run the same graphs in the same order.
    ///
    /// # Errors
    /// Local: `Error::Task` and `Error::Transport` on the rank that failed, `Error::Remote` on all others; if
    /// the graph sends nothing, the others hear of it in the next graph that does.
    pub fn run(&self, graph: &Arc<Graph>) -> Result<()> {
        let mut order = self.order();
        let comm = self.comm()?;
        let first_collective = order.collectives;
        order.collectives += graph.collectives();
        let earlier = if graph.agreement().is_some() { order.unheard.take() } else { None };
        let run = Run::start(graph, self.0.rank, &self.0.pool, comm.as_ref(), first_collective, earlier);
        let outcome = {
            let interrupted = self.0.interrupted.read().unwrap_or_else(PoisonError::into_inner);
            run.wait(&**interrupted)
        };
        self.settle(&mut order, outcome, graph.agreement().is_some())
    }

    /// Lets the next graph with messages fail on all ranks: for a failure of this rank outside of any graph.
    pub fn fail_next(&self, message: String) {
        let error = Error::Task { rank: self.0.rank, task: "caller".to_string(), message };
        self.order().unheard.get_or_insert(error);
    }

    /// Sets what is asked now and then while a graph runs; a true answer makes it fail.
    pub fn interrupt_when(&self, interrupted: impl Fn() -> bool + Send + Sync + 'static) {
        *self.0.interrupted.write().unwrap_or_else(PoisonError::into_inner) = Box::new(interrupted);
    }

    /// Waits until all ranks have come here.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    pub fn barrier(&self) -> Result<()> {
        let mut order = self.order();
        self.control(&mut order, "barrier", CollectiveRequest::Barrier)
    }

    /// The root's bytes, on all ranks.
    ///
    /// # Errors
    /// Local: `Error::Transport`, `Error::Memory`.
    pub fn broadcast_bytes(&self, root: Rank, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if self.0.size == 1 {
            return Ok(bytes);
        }
        let mut order = self.order();
        let length = self.cell(&(bytes.len() as i64).to_ne_bytes())?;
        self.control(&mut order, "control", CollectiveRequest::Broadcast(root, Arc::clone(&length)))?;
        let length = length.read().of::<i64>()[0] as usize;
        let data = if self.0.rank == root { self.cell(&bytes)? } else { self.0.memory.block(length)? };
        self.control(&mut order, "control", CollectiveRequest::Broadcast(root, Arc::clone(&data)))?;
        Ok(data.read().to_vec())
    }

    /// Every rank's bytes, on all ranks, in the order of ranks.
    ///
    /// # Errors
    /// Local: `Error::Transport`, `Error::Memory`.
    pub fn all_gather_bytes(&self, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        self.gather(&mut self.order(), bytes)
    }

    /// This rank's value if all ranks succeeded; else the lowest failed rank with its text, on all ranks.
    ///
    /// Cost: one word; after a failure the texts too.
    ///
    /// # Errors
    /// Replicated: `Error::Remote` with the rank and its text, on the failed rank too.
    pub fn agree<T>(&self, outcome: Result<T, String>) -> Result<T> {
        let mut order = self.order();
        if self.most(&mut order, i64::from(outcome.is_err()))? == 0 {
            return Ok(outcome.unwrap_or_else(|_| unreachable!("a failed rank says so")));
        }
        let text = outcome.as_ref().err().map_or(Vec::new(), |text| format!("!{text}").into_bytes());
        let texts = self.gather(&mut order, text)?;
        match (texts.iter().position(|text| !text.is_empty()), outcome) {
            (None, Ok(value)) => Ok(value),
            (Some(rank), _) => {
                let message = String::from_utf8_lossy(&texts[rank][1..]).into_owned();
                Err(Error::Remote { rank: Rank::from(rank), message })
            }
            (None, Err(_)) => unreachable!("a failed rank sends a text"),
        }
    }

    /// The greatest of the ranks' words, on all ranks.
    ///
    /// # Errors
    /// Local: `Error::Transport`.
    pub fn max(&self, word: i64) -> Result<i64> {
        self.most(&mut self.order(), word)
    }

    /// Bytes and messages this rank gave to its transport since the start or the last reset, by operation.
    pub fn traffic(&self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        self.comm().ok().flatten().map_or_else(BTreeMap::new, |comm| comm.traffic(reset))
    }

    /// Ends the whole job with this status, as well as the transport can; may return.
    pub fn abort(&self, status: i32) {
        if let Ok(Some(comm)) = self.comm() {
            comm.abort(status);
        }
    }

    /// Ends the comm thread, and MPI if it was started here. Graphs cannot run afterwards if there are other ranks.
    pub fn shut_down(&self) {
        let comm = self.0.comm.write().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(comm) = comm {
            comm.stop();
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.0.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn comm(&self) -> Result<Option<Arc<CommThread>>> {
        let comm = self.0.comm.read().unwrap_or_else(PoisonError::into_inner).clone();
        if comm.is_none() && self.0.size > 1 {
            return Err(Error::Launch("the world was shut down".to_string()));
        }
        Ok(comm)
    }

    /// Turns the end of an epoch into a result; after a failure all ranks exchange what happened.
    fn settle(&self, order: &mut Order, outcome: Outcome, agreed: bool) -> Result<()> {
        let Outcome { failure, failed_anywhere } = outcome;
        if !failed_anywhere {
            return Ok(());
        }
        if !agreed || matches!(failure, Some(Error::Transport { .. })) {
            let error = failure.expect("a failure nobody else knows is this rank's");
            if self.0.size > 1 {
                order.unheard = Some(error.clone());
            }
            return Err(error);
        }
        let text = failure.as_ref().map_or(String::new(), |error| match error {
            Error::Task { task, message, .. } if task == "caller" => message.clone(),
            error => error.to_string(),
        });
        let texts = self.gather(order, text.into_bytes())?;
        if let Some(error) = failure {
            return Err(error);
        }
        let rank = texts.iter().position(|text| !text.is_empty()).expect("the rank that failed sends its text");
        Err(Error::Remote { rank: Rank::from(rank), message: String::from_utf8_lossy(&texts[rank]).into_owned() })
    }

    fn gather(&self, order: &mut Order, bytes: Vec<u8>) -> Result<Vec<Vec<u8>>> {
        if self.0.size == 1 {
            return Ok(vec![bytes]);
        }
        let word = size_of::<i64>();
        let length = self.cell(&(bytes.len() as i64).to_ne_bytes())?;
        let lengths = self.0.memory.block(word * self.0.size)?;
        let kind = CollectiveRequest::AllGather(length, Arc::clone(&lengths), vec![word; self.0.size]);
        self.control(order, "control", kind)?;
        let lengths: Vec<usize> = lengths.read().of::<i64>().iter().map(|&length| length as usize).collect();
        let (part, whole) = (self.cell(&bytes)?, self.0.memory.block(lengths.iter().sum())?);
        let kind = CollectiveRequest::AllGather(part, Arc::clone(&whole), lengths.clone());
        self.control(order, "control", kind)?;
        let whole = whole.read();
        let mut rest = &whole[..];
        let parts = lengths.iter().map(|&length| {
            let (part, behind) = rest.split_at(length);
            rest = behind;
            part.to_vec()
        });
        Ok(parts.collect())
    }

    fn most(&self, order: &mut Order, word: i64) -> Result<i64> {
        if self.0.size == 1 {
            return Ok(word);
        }
        let cell = self.cell(&word.to_ne_bytes())?;
        self.control(order, "control", CollectiveRequest::AllReduce(Reduction::MaxI64, Arc::clone(&cell)))?;
        let most = cell.read().of::<i64>()[0];
        Ok(most)
    }

    fn cell(&self, bytes: &[u8]) -> Result<Arc<BlockCell>> {
        let cell = self.0.memory.block(bytes.len())?;
        cell.write().copy_from_slice(bytes);
        Ok(cell)
    }

    /// A collective outside of any graph.
    fn control(&self, order: &mut Order, operation: &'static str, kind: CollectiveRequest) -> Result<()> {
        let Some(comm) = self.comm()? else { return Ok(()) };
        let sequence = order.collectives;
        order.collectives += 1;
        let waiter = Arc::new(Waiter::default());
        let completion = Arc::clone(&waiter) as Arc<dyn Completion>;
        comm.post(Post { operation, request: Request::Collective { sequence, kind }, completion, index: 0 });
        while !waiter.ended.wait_a_while() {}
        waiter.outcome.lock().unwrap_or_else(PoisonError::into_inner).take().expect("set before the latch opens")
    }
}

#[derive(Default)]
struct Waiter {
    ended: Latch,
    outcome: Mutex<Option<Result<()>>>,
}

impl Completion for Waiter {
    fn completed(self: Arc<Self>, _index: u32, outcome: Result<()>) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
        self.ended.open();
    }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or("localhost".to_string(), |name| name.trim().to_string())
}
