//! One execution: a random program on a random number of ranks, every thread of which is shuttle's.
//!
//! A rank has a caller, which launches and waits as `World::run_again` does, workers that live as those of a pool with
//! threads, and a comm thread. The program, the number of everything and the order of deliveries come from shuttle's
//! generator, so a schedule that failed runs again as it was.

use crate::comm::{CommThread, in_process};
use crate::graph::GraphBuilder;
use crate::ids::Rank;
use crate::memory::Memory;
use crate::pool::{Errand, Pool};
use crate::random_graph::Program;
use crate::schedule::{Run, Together};
use crate::sync::{thread, time};
use crate::topology::{CpuSet, Place};
use crate::trace::{Tracer, Who};
use shuttle::rand::{Rng, thread_rng};
use std::sync::Arc;

/// Room for the blocks of a rank: of long ones so few at a time that receives wait.
const MEMORY_BYTES: usize = 16 << 10;
const LONG_WORDS: usize = 160;
const RANKS_MAX: usize = 3;
const WORKERS_MAX: usize = 3;
const EPOCHS_MAX: usize = 3;

/// What is run.
#[derive(Clone, Copy, Debug)]
struct Case {
    seed: u64,
    ranks: usize,
    workers: usize,
    epochs: usize,
    /// Words of a cell.
    words: usize,
    /// Workers and callers drive the transport too.
    workers_drive: bool,
    /// In which epoch a task fails.
    fails: Option<usize>,
}

/// Runs a random program in shuttle's order, and compares with program order.
///
/// # Panics
/// If a cell is wrong, or a rank did not hear of a failure; shuttle does if no thread can go on.
pub fn run_random() {
    time::restart();
    let mut random = thread_rng();
    let mut below = |bound: usize| random.gen_range(0..bound);
    let case = Case {
        seed: below(1 << 30) as u64 | 1,
        ranks: 1 + below(RANKS_MAX),
        workers: 1 + below(WORKERS_MAX),
        epochs: 1 + below(EPOCHS_MAX),
        words: [1, LONG_WORDS][below(2)],
        workers_drive: below(2) == 0,
        fails: (below(8) == 0).then_some(0),
    };
    let wires = in_process::connect(case.ranks, case.seed);
    let callers: Vec<_> = wires.into_iter().map(|wire| thread::spawn(move || call(case, wire))).collect();
    let cells: Vec<_> = callers.into_iter().flat_map(|caller| caller.join().expect("no rank fails")).collect();
    let expected = Program::random(case.seed, case.ranks).serial(case.epochs);
    assert_eq!(cells.len(), expected.len());
    for (cell, value) in cells {
        assert_eq!(value, expected[cell], "cell {cell} of {case:?}");
    }
}

/// One rank, from its start to its end: its cells.
fn call(case: Case, wire: in_process::InProcess) -> Vec<(usize, i64)> {
    let rank = crate::comm::Transport::rank(&wire);
    let (tracer, memory) = (Arc::<Tracer>::default(), Memory::new(MEMORY_BYTES));
    let place = |worker| Place { units: CpuSet::default(), domain: usize::from(worker >= 2) };
    let places: Vec<Place> = (0..case.workers).map(place).collect();
    let (pool, hands) = Pool::by_hand(&places, Arc::clone(&tracer));
    let pool = Arc::new(pool);
    let mut threads: Vec<_> = hands.into_iter().map(|hand| thread::spawn(move || hand.live())).collect();
    let comm = (case.ranks > 1).then(|| Arc::new(CommThread::by_hand(Box::new(wire), case.workers_drive)));
    if let Some(comm) = &comm {
        pool.send_on(Arc::clone(comm) as Arc<dyn Errand>);
        let (comm, trace) = (Arc::clone(comm), tracer.recorder(Who::Comm));
        threads.push(thread::spawn(move || comm.live(trace)));
    }
    let cells = launch(case, rank, &memory, &pool, comm.as_ref());
    comm.iter().for_each(|comm| comm.stop());
    drop((pool, comm));
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
    cells
}

/// Launches the program's graph again and again, after a launch that failed if one shall.
fn launch(
    case: Case,
    rank: Rank,
    memory: &Arc<Memory>,
    pool: &Arc<Pool>,
    comm: Option<&Arc<CommThread>>,
) -> Vec<(usize, i64)> {
    let program = Program::random(case.seed, case.ranks).of_words(case.words);
    let builder = GraphBuilder::new("random", rank, case.ranks, Arc::clone(memory));
    let recorded = program.record(builder, memory).expect("there is room");
    let mut collectives = 0;
    let mut run = || {
        let together = Together { ranks: case.ranks, first_collective: collectives, print: case.seed };
        let run = Run::start(&recorded.graph, rank, pool, comm, together, None, true);
        collectives += recorded.graph.collectives();
        let outcome = run.wait(&|| false, &mut |_, _| Ok(())).expect("nobody gives up");
        assert!(!outcome.diverged, "ranks that run the same were told that they do not");
        outcome
    };
    if let (Some(_), Some(task)) = (case.fails, program.last_task()) {
        recorded.fail(Some(task));
        // A graph that sends nothing fails where its task is.
        let outcome = run();
        let heard = outcome.failed_anywhere || recorded.graph.agreement().is_none();
        assert!(heard, "{rank} did not hear of a failure");
        recorded.fail(None);
    }
    recorded.reset();
    for _ in 0..case.epochs {
        assert!(!run().failed_anywhere, "a task failed that was not told to");
    }
    recorded.cells()
}
