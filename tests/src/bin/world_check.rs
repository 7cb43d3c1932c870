//! Checks a world over MPI from within: run by `tests/mpi_graph.rs` on every rank of a launcher.
//!
//! `world_check PLUGINS` prints one line `ok rank R of N` and exits with 0, or says what is wrong. With `diverge` after
//! it the ranks diverge while they run a graph again, and each prints `ok rank R: ` and its error.

use girih_runtime::comm::Reduction;
use girih_runtime::config::Config;
use girih_runtime::error::Error;
use girih_runtime::ids::{BlockId, Rank};
use girih_runtime::world::World;
use girih_tests::collectives::{check_calls, check_graph};
use girih_tests::random_graph::Program;
use girih_tests::random_worlds::count_ranks;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

type Checked = Result<(), String>;

fn main() -> ExitCode {
    let plugins = PathBuf::from(std::env::args_os().nth(1).expect("usage: world_check PLUGINS"));
    let config = Config { threads: Some(1), bind: false, ..Config::default() };
    let world = match World::join(config, plugins) {
        Ok(world) => world,
        Err(error) => return refuse(&error.to_string()),
    };
    if std::env::args().nth(2).is_some_and(|mode| mode == "diverge") {
        return diverge(&world);
    }
    let checks = [random_graphs, collectives, faults, bytes, idleness];
    let outcome = checks.iter().try_for_each(|check| check(&world));
    if let Err(text) = outcome {
        // The other ranks may wait for this one.
        let code = refuse(&format!("{}: {text}", world.rank()));
        world.abort(1);
        return code;
    }
    let line = format!("ok {} of {}", world.rank(), world.size());
    if let Err(error) = world.shut_down() {
        return refuse(&error.to_string());
    }
    say(&line);
    ExitCode::SUCCESS
}

/// The last rank has left a loop that the others are in.
fn diverge(world: &World) -> ExitCode {
    let mut graph = world.graph("again");
    let blocks = (0..world.size()).map(|rank| graph.block(Rank::from(rank), 32)).collect::<Result<Vec<_>, _>>();
    let run = |blocks: Vec<BlockId>| {
        graph.all_reduce(Reduction::MaxI64, &blocks);
        let graph = Arc::new(graph.finish()?);
        (0..9).try_for_each(|_| world.run_again(&graph))?;
        if world.rank().index() + 1 == world.size() { world.barrier() } else { world.run_again(&graph) }
    };
    match blocks.and_then(run) {
        Err(error @ Error::Divergence { .. }) => say(&format!("ok {}: {error}", world.rank())),
        outcome => say(&format!("{}: {outcome:?}", world.rank())),
    }
    // A launcher that hears of the end drops what ranks have just written.
    std::thread::sleep(Duration::from_secs(1));
    world.abort(1);
    ExitCode::FAILURE
}

fn refuse(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::FAILURE
}

#[allow(clippy::print_stdout, reason = "this is a program")]
fn say(line: &str) {
    println!("{line}");
}

fn random_graphs(world: &World) -> Checked {
    for seed in 0..60 {
        let program = Program::random(seed, world.size());
        let expected = program.serial(3);
        for (cell, value) in program.run(world, 3).map_err(|error| error.to_string())? {
            if value != expected[cell] {
                return Err(format!("seed {seed}, cell {cell}: {value} where {} was expected", expected[cell]));
            }
        }
    }
    Ok(())
}

fn collectives(world: &World) -> Checked {
    (0..20).try_for_each(|seed| check_graph(world, seed).and_then(|()| check_calls(world, seed)))
}

/// A task that fails on one rank fails on all, and the world goes on.
fn faults(world: &World) -> Checked {
    if world.size() > 1 {
        for _ in 0..3 {
            match count_ranks(world, true) {
                Err(Error::Task { .. }) if world.rank() == Rank(1) => {}
                Err(Error::Remote { rank: Rank(1), message }) if message.contains("told to fail") => {}
                other => return Err(format!("rank 1 failed, and here is {other:?}")),
            }
        }
    }
    match count_ranks(world, false) {
        Ok(count) if count == world.size() as i64 => Ok(()),
        other => Err(format!("{other:?} ranks")),
    }
}

fn bytes(world: &World) -> Checked {
    let give = |rank: usize| vec![rank as u8; 1000 * rank];
    let all = world.all_gather_bytes(give(world.rank().index())).map_err(|error| error.to_string())?;
    let expected: Vec<Vec<u8>> = (0..world.size()).map(give).collect();
    if all != expected {
        return Err("gathered bytes are wrong".into());
    }
    world.barrier().map_err(|error| error.to_string())
}

/// A world that waits for nothing uses no processor time.
fn idleness(world: &World) -> Checked {
    world.barrier().map_err(|error| error.to_string())?;
    // Until the other ranks have left the barrier too.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let before = ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    match ticks() - before {
        used if used <= 5 => Ok(()),
        used => Err(format!("{used} of 50 ticks were used while idle")),
    }
}

/// Processor time of this process so far, in hundredths of a second.
fn ticks() -> u64 {
    let line = std::fs::read_to_string("/proc/self/stat").expect("Linux describes every process");
    let after_name = line.rsplit(')').next().expect("a line has an end");
    after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().expect("a number of ticks")).sum()
}
