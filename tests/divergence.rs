//! Ranks that diverge: all of them return in time with an error that names what two of them were about to do.

use girih_arrays::{Array, DType, Scalar};
use girih_runtime::comm::in_process::{self, InProcess};
use girih_runtime::comm::{Reduction, Transport};
use girih_runtime::config::Config;
use girih_runtime::error::{Error, Result};
use girih_runtime::graph::Graph;
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::topology::allowed_units;
use girih_runtime::world::{Node, World};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Runs a program in which all ranks diverge once; every rank's error names both texts, and the world goes on.
#[track_caller]
fn check(program: impl Fn(&World) -> Result<()> + Sync, texts: [&str; 2]) {
    for ranks in [2, 3, 6] {
        let outcomes = local::run(ranks, 1, ranks as u64, |world| (program(world), world.max(7)));
        for (outcome, most) in outcomes.expect("all ranks come to the end") {
            expect(&outcome.expect_err("the ranks diverge"), texts);
            assert_eq!(most.expect("the world goes on"), 7);
        }
    }
}

#[track_caller]
fn expect(error: &Error, texts: [&str; 2]) {
    let Error::Divergence { here, there, .. } = error else { panic!("{error}") };
    let named = [here.as_str(), there.as_str()];
    assert!(named == texts || named == [texts[1], texts[0]], "{error}");
}

fn reduce(world: &World, name: &'static str, words: usize, reduction: Reduction) -> Result<()> {
    world.run(&recorded(world, name, words, reduction)?)
}

fn recorded(world: &World, name: &'static str, words: usize, reduction: Reduction) -> Result<Arc<Graph>> {
    let mut graph = world.graph(name);
    let block = |rank| graph.block(Rank::from(rank), 8 * words);
    let blocks: Vec<_> = (0..world.size()).map(block).collect::<Result<_>>()?;
    graph.all_reduce(reduction, &blocks);
    Ok(Arc::new(graph.finish()?))
}

fn first(world: &World) -> bool {
    world.rank() == Rank(0)
}

#[test]
fn graphs_of_other_names_diverge() {
    let program = |world: &World| reduce(world, if first(world) { "one" } else { "two" }, 4, Reduction::SumI64);
    check(program, ["one", "two"]);
}

#[test]
fn graphs_with_other_collectives_diverge() {
    check(|world| reduce(world, "a", if first(world) { 4 } else { 400 }, Reduction::SumI64), ["a", "a"]);
    let reduction = |world: &World| if first(world) { Reduction::SumI64 } else { Reduction::MaxI64 };
    check(|world| reduce(world, "a", 4, reduction(world)), ["a", "a"]);
}

#[test]
fn a_graph_and_a_barrier_diverge() {
    let program = |world: &World| if first(world) { world.barrier() } else { reduce(world, "a", 1, Reduction::SumI64) };
    check(program, ["barrier", "a"]);
    let program = |world: &World| if first(world) { world.barrier() } else { world.max(1).map(drop) };
    check(program, ["barrier", "maximum of a word"]);
    let program = |world: &World| {
        if first(world) {
            world.all_gather_bytes(vec![1; 9]).map(drop)
        } else {
            world.broadcast_bytes(Rank(1), vec![]).map(drop)
        }
    };
    check(program, ["gather of bytes", "broadcast from rank 1"]);
}

#[test]
fn reductions_of_other_kinds_and_shapes_diverge() {
    let sums = |world: &World, rows: usize, max: bool| -> girih_arrays::Result<()> {
        let x = Array::full(world, &[rows], Scalar::Int(1), DType::Float64)?;
        (if max { x.max(None, false)? } else { x.sum(None, false)? }).wait()
    };
    let plain = |outcome: girih_arrays::Result<()>| match outcome {
        Ok(()) => Ok(()),
        Err(girih_arrays::Error::Runtime(error)) => Err(error),
        Err(other) => panic!("{other}"),
    };
    let texts = ["evaluate: sum over axes [0] of float64 [100000]", "evaluate: max over axes [0] of float64 [100000]"];
    check(|world| plain(sums(world, 100_000, !first(world))), texts);
    let texts = ["evaluate: sum over axes [0] of float64 [100000]", "evaluate: sum over axes [0] of float64 [90000]"];
    check(|world| plain(sums(world, if first(world) { 100_000 } else { 90_000 }, false)), texts);
}

#[test]
fn one_collective_more_on_one_rank_meets_the_end_of_the_others() {
    let errors = Mutex::new(Vec::new());
    let outcome = local::run(3, 1, 5, |world| {
        world.barrier().expect("all ranks come here");
        if world.rank() == Rank(1) {
            let error = world.max(3).expect_err("nobody else comes here");
            errors.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        }
    });
    expect(&outcome.expect_err("the others end"), ["maximum of a word", "the end of the program"]);
    let errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
    expect(&errors[0], ["maximum of a word", "the end of the program"]);
}

/// A world whose ranks see of each other only what is sent, as those of different nodes.
fn on_a_node_of_its_own(mut wire: InProcess) -> Result<World> {
    drop(wire.board());
    let masks = vec![allowed_units()?; wire.size()];
    let node = Node { host: "in-process".to_string(), local_rank: wire.rank().index(), masks, mpi: None };
    World::connected(Config { threads: Some(1), bind: false, ..Config::default() }, Box::new(wire), node)
}

#[test]
fn ranks_without_a_board_see_in_the_sum_that_they_diverged() {
    for ranks in [2, 3] {
        let program = |wire| {
            let world = on_a_node_of_its_own(wire)?;
            let (one, two) =
                (recorded(&world, "one", 4, Reduction::SumI64)?, recorded(&world, "two", 4, Reduction::SumI64)?);
            (0..3).try_for_each(|_| world.run_again(&one).and_then(|()| world.run_again(&two)))?;
            let diverged = world.run_again(if first(&world) { &one } else { &two });
            let later = world.max(3).expect_err("nobody can be met any more");
            let ended = world.shut_down();
            assert!(matches!(ended, Err(Error::Divergence { .. })), "the end says so too: {ended:?}");
            Ok::<_, Error>([diverged.expect_err("the ranks diverge"), later])
        };
        let threads: Vec<_> =
            in_process::connect(ranks, 3).into_iter().map(|wire| thread::spawn(move || program(wire))).collect();
        for (rank, thread) in threads.into_iter().enumerate() {
            for error in thread.join().expect("no rank panics").expect("the ranks agree at first") {
                let Error::Divergence { rank: None, here, .. } = &error else { panic!("{error}") };
                assert_eq!(here, if rank == 0 { "one" } else { "two" });
            }
        }
    }
}

/// Ranks that run a graph again diverge from rank 0, whose next step is another: each rank on the way names both.
#[track_caller]
fn check_again(words: usize, other: impl Fn(&World) -> Result<()> + Sync, text: &str) {
    for ranks in [2, 3, 6] {
        let errors = Mutex::new(Vec::new());
        let ended = local::run(ranks, 1, ranks as u64, |world| {
            let again = recorded(world, "again", words, Reduction::MaxI64)?;
            (0..5).try_for_each(|_| world.run_again(&again))?;
            let diverged = if first(world) { other(world) } else { world.run_again(&again) };
            let error = diverged.expect_err("the ranks diverge");
            let later = world.max(3).expect_err("nobody can be met any more");
            errors.lock().unwrap_or_else(PoisonError::into_inner).extend([error, later]);
            Ok::<_, Error>(())
        });
        assert!(matches!(ended, Err(Error::Divergence { .. })), "the end says so too: {ended:?}");
        let errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(errors.len(), 2 * ranks);
        errors.iter().for_each(|error| expect(error, [text, "again"]));
    }
}

#[test]
fn a_barrier_meets_a_graph_that_runs_again() {
    check_again(4, World::barrier, "barrier");
}

#[test]
fn an_agreement_of_other_words_meets_a_graph_that_runs_again() {
    check_again(5, |world| reduce(world, "new", 7, Reduction::SumI64), "new");
}

#[test]
fn a_gather_meets_a_graph_that_runs_again() {
    check_again(70, |world| world.all_gather_bytes(vec![1; 900]).map(drop), "gather of bytes");
}

#[test]
fn graphs_without_messages_need_not_be_alike() {
    let program = |world: &World| {
        let mut graph = world.graph("alone");
        let block = graph.block(world.rank(), 8)?;
        graph.task("write", world.rank(), 0, &[girih_runtime::graph::Access::Write(block)], || Box::new(|_| Ok(())))?;
        let graph = Arc::new(graph.finish()?);
        (0..=world.rank().0).try_for_each(|_| world.run(&graph))?;
        world.barrier()
    };
    local::run(3, 1, 1, program)
        .expect("the worlds start")
        .into_iter()
        .for_each(|outcome| outcome.expect("no trouble"));
}

#[test]
fn one_operation_from_two_places_is_one_program() {
    let outcomes = local::run(3, 1, 1, |world| {
        let line = if first(world) { 3 } else { 4 };
        world.locate_with(move || Some(format!("/folder/of/rank/program.py:{line}")));
        let outcome = world.barrier();
        world.locate_with(|| None);
        outcome
    });
    outcomes.expect("the worlds start").into_iter().for_each(|outcome| outcome.expect("no trouble"));
}
