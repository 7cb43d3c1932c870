//! When and where: joins graph, pool and comm thread for one epoch.
//!
//! A node runs when all before it are done: tasks on workers, everything else on the comm thread.
//! Invariant: every node completes in every epoch, on all ranks. After a failure the bodies of tasks are
//! skipped and all messages still travel, so no rank waits for one that will not come, and the world stays
//! in step. The graph's last collective carries the number of ranks that failed, and whether all ran the same.
//! An epoch ends with the last node that nothing waits for: every other node is done before one of these.
//! A task that readies others runs the most urgent of them next, on its worker, and makes the rest known to all
//! workers: urgent is what has the longest path to the end, and before all else what a message waits for.
//! A graph keeps what runs it, so that a launch after the first allocates nothing.
//! A graph whose tasks were short in its last epoch runs in lanes (`lanes.rs`), where no counter is shared; if they
//! were also few, its caller runs it (`caller.rs`).

#![allow(unsafe_code, reason = "the order in which tasks run is what their contexts rely on")]

mod caller;
mod desk;
mod lanes;
mod latch;
mod plan;
mod status;

pub use latch::Latch;

use crate::comm::{Collective, CommThread, Completion, Post, Request};
use crate::error::{Error, Result};
use crate::graph::{Context, Graph, Lanes, Node, Operation, Recorded};
use crate::ids::{NodeId, Rank};
use crate::memory::BlockCell;
use crate::pool::{Errand, Pool, Work, Worker};
use crate::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::sync::time::Instant;
use crate::sync::{Mutex, PoisonError};
use desk::Desk;
use std::any::Any;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Of so many nodes, the time of one is taken.
const TIMED: u32 = 16;
/// Tasks shorter than this run in lanes the next time, where the graph has enough of them.
const FINE: Duration = Duration::from_micros(4);
const CONNECTED: &str = "a graph with messages has a comm thread";
/// Is given a number that changes when tasks run, with a way to say what is open.
type Watch<'a> = dyn FnMut(u64, &dyn Fn() -> String) -> Result<()> + 'a;
const RECORDED: &str = "a graph whose recording has ended has the blocks of its messages";
/// A longer time counts as this, so that one task that lost its core does not decide for all.
const TIMED_MAX: Duration = Duration::from_micros(64);

/// The epochs of a graph, one at a time.
///
/// What an epoch sets, `Run::begin` sets anew before anything of it runs; the launch hands that on to all who run it.
/// Whoever still looks for lanes that were left when an epoch has ended finds those of the next, and may take them.
pub struct Run {
    graph: Arc<Recorded>,
    rank: Rank,
    pool: Arc<Pool>,
    comm: Option<Arc<CommThread>>,
    /// This, for posts to the comm thread.
    me: Weak<Run>,
    ranks: usize,
    /// As `Together` has them.
    first_collective: AtomicU64,
    print: AtomicU64,
    /// What the pool calls this epoch.
    launch: AtomicU32,
    /// Whether the graph's blocks were claimed for the tasks of this epoch.
    claimed: AtomicBool,
    in_lanes: AtomicBool,
    /// Lanes that were left.
    lanes_left: AtomicU32,
    desk: Desk,
    /// Nodes without successors that are not done; in lanes, what `Lanes::ends` counts.
    sinks_left: AtomicU32,
    /// Nanoseconds of the tasks whose time was taken, and their number.
    timed: [AtomicU64; 2],
    poisoned: AtomicBool,
    /// This rank's first failure.
    failure: Mutex<Option<Error>>,
    ended: Latch,
}

/// What an epoch has in common with those of all ranks.
#[derive(Clone, Copy, Debug)]
pub struct Together {
    /// How many ranks there are.
    pub ranks: usize,
    /// Number of the graph's first collective among all of this world.
    pub first_collective: u64,
    /// Stands for what all ranks have launched since they agreed last.
    pub print: u64,
}

/// How an epoch ended on this rank.
#[derive(Debug)]
pub struct Outcome {
    /// This rank's first failure.
    pub failure: Option<Error>,
    /// True if some rank failed, as all ranks agreed; this rank's own state if the graph sends nothing.
    pub failed_anywhere: bool,
    /// True if the graph's last collective shows that some rank ran something else.
    pub diverged: bool,
}

impl Run {
    /// Starts an epoch. `earlier` is a failure that other ranks have not heard of; who says `attended` calls
    /// [`Run::wait`] at once.
    pub fn start(
        graph: &Arc<Graph>,
        rank: Rank,
        pool: &Arc<Pool>,
        comm: Option<&Arc<CommThread>>,
        together: Together,
        earlier: Option<Error>,
        attended: bool,
    ) -> Arc<Run> {
        let same_comm = |run: &Run| run.comm.as_ref().map(Arc::as_ptr) == comm.map(Arc::as_ptr);
        let fits = |run: &Run| run.rank == rank && Arc::ptr_eq(&run.pool, pool) && same_comm(run);
        let run = graph.run_with(fits, |recorded| Run::new(recorded, (rank, together.ranks), pool, comm));
        run.begin(graph, together, earlier, attended);
        run
    }

    fn new(
        graph: Arc<Recorded>,
        (rank, ranks): (Rank, usize),
        pool: &Arc<Pool>,
        comm: Option<&Arc<CommThread>>,
    ) -> Arc<Run> {
        Arc::new_cyclic(|me| Run {
            graph,
            rank,
            pool: Arc::clone(pool),
            comm: comm.cloned(),
            me: Weak::clone(me),
            ranks,
            first_collective: AtomicU64::new(0),
            print: AtomicU64::new(0),
            launch: AtomicU32::new(0),
            claimed: AtomicBool::new(false),
            in_lanes: AtomicBool::new(false),
            lanes_left: AtomicU32::new(0),
            desk: Desk::new(),
            sinks_left: AtomicU32::new(0),
            timed: Default::default(),
            poisoned: AtomicBool::new(false),
            failure: Mutex::new(None),
            ended: Latch::default(),
        })
    }

    /// Begins an epoch; the one before has ended. Cost: the nodes that wait for nothing.
    fn begin(&self, graph: &Arc<Graph>, together: Together, earlier: Option<Error>, attended: bool) {
        let claimed = graph.begin_epoch();
        let earlier = earlier.or_else(|| (!claimed).then(|| in_use(graph, self.rank)));
        let few = graph.nodes().len() <= caller::NODES_MAX;
        // What the caller runs is not in traces.
        let at_once = attended && graph.is_brief() && !self.pool.tracer().is_on();
        let in_lanes = graph.is_fine() && !few && !at_once;
        let attended = attended && few && graph.is_fine() && !self.pool.tracer().is_on();
        self.desk.open(attended, caller::NODES_MAX);
        let ends = if in_lanes { graph.lanes(|| self.pool.workers_by_domain()).ends() } else { graph.sinks() };
        self.ended.close();
        self.poisoned.store(earlier.is_some(), Relaxed); // Relaxed, here and below: handed on by the launch
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = earlier;
        let Together { first_collective, print, .. } = together;
        self.first_collective.store(first_collective, Relaxed); // as above
        self.print.store(print, Relaxed);
        self.claimed.store(claimed, Relaxed); // as above
        self.in_lanes.store(in_lanes, Relaxed);
        self.sinks_left.store(ends, Relaxed);
        self.timed.iter().for_each(|sum| sum.store(0, Relaxed)); // as above
        if graph.nodes().is_empty() {
            self.ended.open();
        }
        let me = self.me.upgrade().expect("a run that begins is alive");
        let launch = self.pool.launch(me);
        self.launch.store(launch, Relaxed); // as above
        if at_once {
            return self.run_through();
        }
        let planned = || plan::of(graph, self.rank);
        self.pool.tracer().launched(launch, first_collective, plan::identity(graph), planned);
        if let Some(lanes) = graph.lanes_made() {
            lanes.prepare();
        }
        if in_lanes {
            self.start_lanes();
        }
        for &root in graph.roots() {
            if !in_lanes || !graph.nodes()[root.index()].is_task() {
                self.release(root, None);
            }
        }
        if let Some(comm) = &self.comm {
            comm.poke();
        }
    }

    /// Waits for the end of the epoch; `interrupted` is asked now and then, and a true answer fails the epoch.
    /// `watch` is given as often a number that changes when tasks run, with a way to say what is open.
    ///
    /// # Errors
    /// What `watch` returns, which says that the epoch will not end: it is given up as it is, and so is the graph.
    pub fn wait(&self, interrupted: &dyn Fn() -> bool, watch: &mut Watch<'_>) -> Result<Outcome> {
        self.attend();
        while !self.ended.wait_a_while() {
            if interrupted() {
                let message = "interrupted".to_string();
                self.poison(Error::Task { rank: self.rank, task: self.graph.name().to_string(), message });
            }
            watch(self.pool.jobs_run(), &|| self.standing()).inspect_err(|error| self.poison(error.clone()))?;
        }
        Ok(self.end())
    }

    /// True if the epoch has ended and [`Run::end`] may be called.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.is_open()
    }

    /// Ends an epoch whose nodes are all done.
    pub(crate) fn end(&self) -> Outcome {
        self.pool.retire(self.launch());
        self.graph.end_epoch(self.claimed.load(Relaxed)); // Relaxed: set by who began the epoch
        self.note_times();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let agreed = self.graph.agreement().map(|node| match &self.graph.nodes()[node.index()].operation {
            Operation::Collective { request: Collective::AllReduce { data, .. }, .. } => self.read_status(data),
            _ => unreachable!("only an all-reduce carries the status"),
        });
        let failed = agreed.flatten().is_some_and(|ranks| ranks > 0);
        let diverged = agreed == Some(None) && failure.is_none();
        Outcome { failed_anywhere: failed || failure.is_some(), failure, diverged }
    }

    /// What the epoch waits for, in words.
    pub(crate) fn standing(&self) -> String {
        let all = if self.in_lanes() { self.lanes().ends() } else { self.graph.sinks() };
        let left = self.sinks_left.load(Relaxed); // Relaxed: a number for the user
        let open = self.comm.as_ref().map_or("no message is outstanding".to_string(), |comm| comm.outstanding());
        format!("{left} of {all} ends of the graph are open here, {open}")
    }

    /// A node has nothing open before it.
    fn release(&self, node: NodeId, worker: Option<&Worker<'_>>) {
        let request = match &self.graph.nodes()[node.index()].operation {
            Operation::Task { domain, .. } => {
                let (domain, urgent) = (*domain as usize, self.graph.is_urgent(node));
                return match worker {
                    Some(worker) => worker.push(node.0, domain, urgent),
                    None if self.desk.leave(node) => {}
                    None => self.pool.inject(self.launch(), node.0, domain, urgent),
                };
            }
            Operation::Send { to, tag, cell, blocks } => {
                let data = cell.as_ref().expect(RECORDED);
                self.pack(data, blocks);
                let comm = self.comm.as_ref().expect(CONNECTED);
                if !blocks.is_empty() && comm.send_now(self.graph.name(), *to, *tag, &data.borrow()) {
                    let tracer = self.pool.tracer();
                    tracer.posted(self.launch(), node.0);
                    tracer.completed(self.launch(), node.0);
                    let next = self.complete(node, worker);
                    return next.into_iter().for_each(|next| self.release(NodeId(next), worker));
                }
                Request::Send { to: *to, tag: *tag, data: Arc::clone(data) }
            }
            Operation::Receive { from, tag, cell, .. } => {
                Request::Receive { from: *from, tag: *tag, data: Arc::clone(cell.as_ref().expect(RECORDED)) }
            }
            Operation::Collective { order, request } => {
                if let (Collective::AllReduce { data, .. }, true) = (request, self.graph.agreement() == Some(node)) {
                    self.write_status(data);
                }
                let first = self.first_collective.load(Relaxed); // Relaxed: handed on by the launch
                Request::Collective { sequence: first + order, kind: request.clone() }
            }
        };
        self.pool.tracer().posted(self.launch(), node.0);
        let comm = self.comm.as_ref().expect(CONNECTED);
        let completion = self.me.upgrade().expect("a run that releases nodes is alive") as Arc<dyn Completion>;
        comm.post(Post { operation: self.graph.name(), request, completion, index: node.0 });
    }

    /// Fills a parcel, when everything before it is done.
    fn pack(&self, parcel: &BlockCell, blocks: &Range<u32>) {
        if let Some(context) = self.parcel(blocks) {
            let mut room = parcel.borrow_mut();
            let mut rest = &mut room[..];
            for index in 0..blocks.len() {
                let block = context.read(index);
                let (place, behind) = rest.split_at_mut(block.len());
                place.copy_from_slice(&block);
                rest = behind;
            }
        }
    }

    /// Empties a parcel that has come.
    fn unpack(&self, parcel: &BlockCell, blocks: &Range<u32>) {
        if let Some(context) = self.parcel(blocks) {
            let room = parcel.borrow();
            let mut rest = &room[..];
            for index in 0..blocks.len() {
                let mut block = context.write(index);
                let (part, behind) = rest.split_at(block.len());
                block.copy_from_slice(part);
                rest = behind;
            }
        }
    }

    /// The blocks of a parcel, if it has any and the epoch is not poisoned.
    fn parcel(&self, blocks: &Range<u32>) -> Option<Context<'_>> {
        // Acquire pairs with the Release in `poison`.
        if blocks.is_empty() || self.poisoned.load(Acquire) {
            return None;
        }
        // SAFETY: as in `call`: a message is released, and completed, once in an epoch, behind all nodes before it and
        // before any behind it begins.
        Some(unsafe { Context::new(self.graph.grants(blocks)) })
    }

    fn launch(&self) -> u32 {
        self.launch.load(Relaxed) // Relaxed: set before the first node is released
    }

    fn in_lanes(&self) -> bool {
        self.in_lanes.load(Relaxed) // Relaxed: set before the first node is released
    }

    /// A node is done: whatever waited for it alone may run. The most urgent task that this worker may run itself is
    /// returned, the rest released, messages first.
    fn complete(&self, node: NodeId, worker: Option<&Worker<'_>>) -> Option<u32> {
        let successors = self.graph.successors(node);
        let mut own = None;
        // In lanes tasks do not come here, and those that wait for messages look for their end.
        let in_lanes = self.in_lanes();
        if in_lanes {
            self.message_ended(node);
        }
        for &next in successors {
            let Node { operation, .. } = &self.graph.nodes()[next.index()];
            if in_lanes && matches!(operation, Operation::Task { .. }) {
                break; // messages stand before tasks
            }
            if self.count_down(next) {
                let less_urgent = match (worker, operation) {
                    (Some(worker), Operation::Task { domain, .. }) if worker.is_near(*domain as usize) => {
                        own.replace(next)
                    }
                    _ => Some(next),
                };
                less_urgent.into_iter().for_each(|node| self.release(node, worker));
            }
        }
        if successors.is_empty() {
            self.end_one();
        }
        own.map(|node| node.0)
    }

    /// Between tasks: sees to what was posted and what has come, where the comm thread has no seat of its own.
    fn drive(&self) -> bool {
        let Some(comm) = &self.comm else { return false };
        if comm.wants_driver() {
            return comm.drive();
        }
        comm.poke();
        false
    }

    /// One of the nodes before this one is done; true if it was the last.
    fn count_down(&self, node: NodeId) -> bool {
        let Node { dependencies, open, .. } = &self.graph.nodes()[node.index()];
        open.count_down(*dependencies)
    }

    /// One of those that the end of the epoch waits for is done.
    fn end_one(&self) {
        // AcqRel: the waiter sees what the nodes without successors wrote, and these what was done before them.
        if self.sinks_left.fetch_sub(1, AcqRel) == 1 {
            self.ended.open();
        }
    }

    /// Runs the body of a task all of whose predecessors are done.
    fn call(&self, node: NodeId) {
        // Acquire pairs with the Release in `poison`.
        if self.poisoned.load(Acquire) {
            return;
        }
        let Operation::Task { label, grants, body, .. } = &self.graph.nodes()[node.index()].operation else {
            unreachable!("only tasks come to workers");
        };
        let grants = self.graph.grants(grants);
        // SAFETY: an epoch runs, which is poisoned from its start if it could not claim the blocks; its counters and
        // marks let this task run once, behind all nodes before it, and those behind it only when this has returned.
        let context = unsafe { Context::new(grants) };
        // A body that panics leaves its blocks half written; the poisoned epoch shows them to nobody.
        let outcome = catch_unwind(AssertUnwindSafe(|| body(&context)));
        if let Err(message) = outcome.unwrap_or_else(|panic| Err(panic_message(&*panic))) {
            self.poison(Error::Task { rank: self.rank, task: (*label).to_string(), message });
        }
    }

    /// As `call`, and takes the time.
    fn call_timed(&self, node: NodeId) {
        let begin = Instant::now();
        self.call(node);
        // Relaxed: sums that are read at the end of the epoch.
        self.timed[0].fetch_add(begin.elapsed().min(TIMED_MAX).as_nanos() as u64, Relaxed);
        self.timed[1].fetch_add(1, Relaxed);
    }

    /// Decides how the next epoch of the graph runs.
    fn note_times(&self) {
        let [nanoseconds, tasks] = self.timed.each_ref().map(|sum| sum.load(Relaxed)); // Relaxed: the epoch has ended
        if let Some(mean) = nanoseconds.checked_div(tasks) {
            self.graph.note_fine(Duration::from_nanos(mean) < FINE);
        }
    }

    /// Keeps the first failure; bodies that have not begun are skipped from now on.
    fn poison(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.poisoned.store(true, Release); // pairs with the Acquire loads in `execute` and `write_status`
    }
}

impl Work for Run {
    fn execute(&self, index: u32, worker: &Worker<'_>) -> Option<u32> {
        if self.in_lanes() {
            self.run_lane(index as usize, worker);
            return None;
        }
        let node = NodeId(index);
        let begun = worker.trace().begin();
        if index.is_multiple_of(TIMED) || self.graph.nodes().len() <= caller::NODES_MAX {
            self.call_timed(node);
        } else {
            self.call(node);
        }
        worker.trace().task(begun, self.launch(), index);
        let next = self.complete(node, Some(worker));
        self.drive();
        next
    }
}

impl Errand for CommThread {
    fn attend(&self) -> Option<bool> {
        (self.wants_driver() && !self.is_minded()).then(|| self.drive())
    }

    fn leave(&self) {
        CommThread::leave(self);
    }
}

impl Completion for Run {
    fn completed(self: Arc<Self>, index: u32, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.poison(error);
        }
        self.pool.tracer().completed(self.launch(), index);
        if let Operation::Receive { cell, blocks, .. } = &self.graph.nodes()[index as usize].operation {
            self.unpack(cell.as_ref().expect(RECORDED), blocks);
        }
        self.complete(NodeId(index), None);
    }
}

/// The failure of an epoch whose blocks could not be claimed.
fn in_use(graph: &Recorded, rank: Rank) -> Error {
    let message = "a block of the graph is in use outside of it".to_string();
    Error::Task { rank, task: graph.name().to_string(), message }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("panicked: {}", text.unwrap_or_else(|| "with a value that is not text".to_string()))
}
