//! A rank's runtime: its pool, its comm thread and its memory, and what all ranks do together.
//!
//! Invariant: all ranks take the same steps, graphs and collectives outside of them, in the same order; a turn of
//! `control` makes this order one of whole steps on each rank, and an agreement finds ranks that do not keep to it.

mod advance;
mod collectives;
mod recording;

use crate::comm::{Board, CommThread, MpiTransport, Traffic, Transport};
use crate::config::{Config, variable};
use crate::control::{Control, Meet, Step, Turn, text_of};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphBuilder};
use crate::ids::Rank;
use crate::mailbox::Mailbox;
use crate::memory::Memory;
use crate::mpi::Launcher;
use crate::pool::{Errand, Pool};
use crate::schedule::{Outcome, Run, Together};
use crate::topology::{CommSeat, CpuSet, Demand, Machine, Placement, allowed_units, divide, domain_of_tile, quota};
use crate::trace::{Tracer, Who};
pub use advance::Told;
use recording::Recording;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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
    control: Control,
    interrupted: RwLock<Box<dyn Fn() -> bool + Send + Sync>>,
    told: RwLock<Option<Arc<Told>>>,
    tracer: Arc<Tracer>,
    recording: Mutex<Option<Recording>>,
}

impl World {
    /// A world of one rank, without a launcher and without MPI.
    ///
    /// # Errors
    /// Local: `Error::Topology`.
    pub fn solo(config: Config) -> Result<World> {
        let node = Node { host: host_name(), local_rank: 0, masks: vec![allowed_units()?], mpi: None };
        World::assemble(config, node, (None, None), (Rank(0), 1), Arc::default())
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
        let tracer = Arc::<Tracer>::default();
        let start = move || {
            Ok(connect()?.map(|(mut transport, node)| {
                let (rank, size, board) = (transport.rank(), transport.size(), transport.board());
                (transport, (node, rank, size, board))
            }))
        };
        let Some((comm, (node, rank, size, board))) = CommThread::start(start, tracer.recorder(Who::Comm))? else {
            return Ok(None);
        };
        World::assemble(config, node, (Some(Arc::new(comm)), board), (rank, size), tracer).map(Some)
    }

    fn assemble(
        config: Config,
        node: Node,
        (comm, board): (Option<Arc<CommThread>>, Option<Board>),
        (rank, size): (Rank, usize),
        tracer: Arc<Tracer>,
    ) -> Result<World> {
        // The whole node, not this process's part: ranks whose bindings overlap must divide the same cores.
        let machine = Machine::node()?;
        let demand = Demand { threads: config.threads, quota: quota(), alone: size == 1 };
        let placement = divide(&machine, &node.masks, node.local_rank, demand)?;
        // A comm thread among the workers waits for their cores.
        let patient = config.bind && (comm.is_none() || placement.comm_seat != CommSeat::Shared);
        let pool = Arc::new(Pool::start(&placement.workers, config.bind, patient, Arc::clone(&tracer))?);
        if let Some(comm) = &comm {
            pool.send_on(Arc::clone(comm) as Arc<dyn Errand>);
        }
        if let (Some(comm), true) = (&comm, config.bind) {
            comm.take_seat(placement.comm.clone(), placement.comm_seat != CommSeat::Shared);
        }
        let memory = Memory::new(config.budget(node.masks.len()));
        let control =
            Control::new((rank, size), Arc::clone(&memory), (comm, board), config.silence, Arc::clone(&tracer));
        let interrupted: Box<dyn Fn() -> bool + Send + Sync> = Box::new(|| false);
        let interrupted = RwLock::new(interrupted);
        let recording = Mutex::default();
        let path = config.trace.clone();
        let inner = Inner {
            rank,
            size,
            config,
            machine,
            placement,
            node,
            memory,
            pool,
            control,
            interrupted,
            told: RwLock::default(),
            tracer,
            recording,
        };
        let world = World(Arc::new(inner));
        path.map_or(Ok(()), |path| world.begin_trace(&path))?;
        Ok(world)
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
    /// Cost: a graph with messages begins with an all-reduce of five words, by which all ranks know that they run it.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence` if another rank does something else; nothing was launched.
    /// Local: `Error::Task` and `Error::Transport` on the rank that failed, `Error::Remote` on all others; if
    /// the graph sends nothing, the others hear of it in the next step that all ranks take together.
    pub fn run(&self, graph: &Arc<Graph>) -> Result<()> {
        let mut turn = self.0.control.turn()?;
        if self.0.size > 1 && graph.agreement().is_some() {
            turn.agree(step_of(graph))?;
            graph.note_agreed();
        } else {
            turn.order.begin(graph.description(), None, Meet::Alone);
        }
        self.launch(&mut turn, graph)
    }

    /// As [`World::run`] the first time, and without the agreement from then on.
    ///
    /// For loops whose course follows from what all ranks know: the graph's own results, and whatever went into its
    /// description. Cost: from the second time on, the graph's messages alone.
    ///
    /// # Errors
    /// As [`World::run`]; but ranks that diverge within such a loop are told so only if they share a node, or come to
    /// the ends of their graphs, and their world is then at its end.
    pub fn run_again(&self, graph: &Arc<Graph>) -> Result<()> {
        if !graph.was_agreed() {
            return self.run(graph);
        }
        let mut turn = self.0.control.turn()?;
        turn.order.since = turn.order.since.word(graph.fingerprint().value());
        turn.order.begin(graph.description(), None, Meet::Again);
        self.launch(&mut turn, graph)
    }

    /// Agrees that all ranks have recorded these graphs, which [`World::run_again`] then runs without asking.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence`; `Error::Remote` with the lowest rank that failed and its text.
    pub fn agree_on(&self, recorded: Result<&[&Graph], String>) -> Result<()> {
        let mut turn = self.0.control.turn()?;
        let graphs = recorded.as_ref().copied().unwrap_or_default();
        let step = Step::new(graphs.first().map_or("graphs", |graph| graph.description()));
        let fingerprint = graphs.iter().fold(step.fingerprint, |print, graph| print.word(graph.fingerprint().value()));
        turn.agree(Step { fingerprint, failure: recorded.err(), ..step })?;
        graphs.iter().for_each(|graph| graph.note_agreed());
        Ok(())
    }

    /// Runs a graph that some rank may have failed to record.
    ///
    /// # Errors
    /// As [`World::run`]. This rank's own error; on the others `Error::Remote` with it. Nothing was launched then.
    pub fn run_recorded<E: From<Error> + fmt::Display>(&self, recorded: Result<Graph, E>) -> Result<Arc<Graph>, E> {
        let mut turn = self.0.control.turn()?;
        let agreed = match &recorded {
            Ok(graph) if self.0.size == 1 => {
                turn.order.begin(graph.description(), None, Meet::Alone);
                Ok(())
            }
            Err(_) if self.0.size == 1 => Ok(()),
            Ok(graph) => turn.agree(step_of(graph)).map(drop),
            Err(error) => turn.agree(Step { failure: Some(error.to_string()), ..Step::new("a graph") }).map(drop),
        };
        let graph = Arc::new(recorded?);
        agreed?;
        graph.note_agreed();
        self.launch(&mut turn, &graph)?;
        Ok(graph)
    }

    /// Lets the next step that all ranks take together fail on all of them: for a failure of this rank alone.
    pub fn fail_next(&self, message: String) {
        let error = Error::Task { rank: self.0.rank, task: "caller".to_string(), message };
        self.0.control.order().unheard.get_or_insert(error);
    }

    /// Sets what is asked now and then while a graph runs; a true answer makes it fail.
    pub fn interrupt_when(&self, interrupted: impl Fn() -> bool + Send + Sync + 'static) {
        *self.0.interrupted.write().unwrap_or_else(PoisonError::into_inner) = Box::new(interrupted);
    }

    /// Sets what tells where the user's program is, as `file:line`; it becomes part of each agreement.
    pub fn locate_with(&self, site: impl Fn() -> Option<String> + Send + Sync + 'static) {
        self.0.control.locate_with(site);
    }

    /// Bytes and messages this rank gave to its transport since the start or the last reset, by operation.
    pub fn traffic(&self, reset: bool) -> BTreeMap<&'static str, Traffic> {
        self.0.control.comm().ok().flatten().map_or_else(BTreeMap::new, |comm| comm.traffic(reset))
    }

    /// A mailbox to some ranks, each of which opens one to this rank; one at a time on a rank.
    ///
    /// Cost: while it is open the comm thread polls, a thousand times a second when nothing comes.
    ///
    /// # Errors
    /// Local: `Error::Launch` in a world of one rank; `Error::Memory`.
    pub fn mailbox(&self, peers: Vec<Rank>) -> Result<Mailbox> {
        let comm = self.0.control.comm()?.ok_or_else(|| Error::Launch("this rank has no peers".to_string()))?;
        Mailbox::open(comm, Arc::clone(&self.0.memory), peers)
    }

    /// Ends the whole job with this status, as well as the transport can; may return.
    pub fn abort(&self, status: i32) {
        if let Ok(Some(comm)) = self.0.control.comm() {
            comm.abort(status);
        }
    }

    /// Ends the comm thread, and MPI if it was started here, when all ranks have come to this end. Before that the
    /// trace that `Config::trace` asked for is written.
    /// Graphs cannot run afterwards if there are other ranks.
    ///
    /// # Errors
    /// Replicated: `Error::Divergence` if another rank does something else; this rank then stays in the world, for
    /// [`World::abort`].
    pub fn shut_down(&self) -> Result<()> {
        if self.0.config.trace.is_some() && self.is_traced() {
            self.end_trace()?;
        }
        if let Some(error) = self.0.control.broken() {
            return Err(error);
        }
        if self.0.size > 1
            && let Ok(mut turn) = self.0.control.turn()
        {
            // Whoever has come to the end has dealt with its failures.
            turn.order.unheard = None;
            match turn.agree(Step::new("the end of the program")) {
                // Without a transport nobody can be met.
                Ok(_) | Err(Error::Transport { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(comm) = self.0.control.take_comm() {
            comm.stop();
        }
        Ok(())
    }

    /// Runs what all ranks have agreed to run.
    fn launch(&self, turn: &mut Turn<'_>, graph: &Arc<Graph>) -> Result<()> {
        let first_collective = turn.order.collectives;
        turn.order.collectives += graph.collectives();
        let agreed = graph.agreement().is_some();
        let earlier = if agreed { turn.order.unheard.take() } else { None };
        let begun = self.0.tracer.begin();
        let advance = self.advance(graph);
        let together = Together { ranks: self.0.size, first_collective, print: turn.order.since.value() };
        let run = Run::start(graph, self.0.rank, &self.0.pool, turn.comm.as_ref(), together, earlier, true);
        let outcome = {
            let interrupted = self.0.interrupted.read().unwrap_or_else(PoisonError::into_inner);
            let mut vigil = turn.vigil();
            run.wait(&**interrupted, &mut |ran, open| {
                turn.check()?;
                turn.watch(&mut vigil, ran, open);
                advance.iter().for_each(|advance| advance.tell(ran));
                Ok(())
            })
        };
        let Outcome { failure, failed_anywhere, diverged } = outcome?;
        if failed_anywhere || diverged {
            turn.check()?;
        }
        if diverged {
            return Err(turn.lose());
        }
        advance.iter().for_each(|advance| advance.tell(u64::MAX));
        turn.order.done();
        self.0.tracer.main(begun, &turn.order.now, self.0.memory.bytes_in_use());
        if !failed_anywhere {
            return Ok(());
        }
        if !agreed || matches!(failure, Some(Error::Transport { .. })) {
            let error = failure.expect("a failure nobody else knows is this rank's");
            if self.0.size > 1 {
                turn.order.unheard = Some(error.clone());
            }
            return Err(error);
        }
        let texts = turn.exchange(failure.as_ref().map_or(String::new(), text_of).as_bytes())?;
        if let Some(error) = failure {
            return Err(error);
        }
        let rank = texts.iter().position(|text| !text.is_empty()).expect("the rank that failed sends its text");
        Err(Error::Remote { rank: Rank::from(rank), message: String::from_utf8_lossy(&texts[rank]).into_owned() })
    }
}

fn step_of(graph: &Graph) -> Step<'_> {
    Step { fingerprint: graph.fingerprint(), ..Step::new(graph.description()) }
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or("localhost".to_string(), |name| name.trim().to_string())
}
