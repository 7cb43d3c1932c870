//! A rank starts its workers and one comm thread, nothing else, each where it was meant to be; an idle world sleeps.

use girih_runtime::config::Config;
use girih_runtime::graph::{Access, Context};
use girih_runtime::ids::Rank;
use girih_runtime::local;
use girih_runtime::topology::Machine;
use girih_runtime::world::World;
use rayon::iter::{IntoParallelIterator, ParallelIterator};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The tests count threads of this process, so they take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Names of this process's threads that girih started, with their number.
fn threads() -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").expect("threads are listed").flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if let Some(rest) = name.trim().strip_prefix("girih-") {
            let kind = rest.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-');
            *names.entry(kind.to_string()).or_insert(0) += 1;
        }
    }
    names
}

/// Processor time of all girih threads, in clock ticks.
fn ticks() -> u64 {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").expect("threads are listed").flatten() {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        if let Some((_, behind)) = stat.split_once(") ").filter(|(name, _)| name.contains("girih-")) {
            let fields: Vec<&str> = behind.split_whitespace().collect();
            total += fields[11].parse::<u64>().unwrap_or(0) + fields[12].parse::<u64>().unwrap_or(0);
        }
    }
    total
}

#[test]
fn a_world_of_one_rank_has_workers_and_no_comm_thread() {
    let _turn = TURN.lock();
    let world = World::solo(Config { threads: Some(3), ..Config::default() }).expect("a world of one rank");
    assert_eq!(threads(), BTreeMap::from([("worker".to_string(), 3)]));
    drop(world);
    assert_eq!(threads(), BTreeMap::new(), "a world takes its threads with it");
}

#[test]
fn every_rank_has_its_workers_and_one_comm_thread() {
    let _turn = TURN.lock();
    local::run(3, 2, 0, |world| {
        world.barrier().expect("all ranks come");
        let expected = BTreeMap::from([("worker".to_string(), 6), ("comm".to_string(), 3)]);
        assert_eq!(threads(), expected, "on {}", world.rank());
        world.barrier().expect("all ranks come");
    })
    .expect("the worlds start");
}

#[test]
fn workers_are_bound_to_cores_of_this_process() {
    let _turn = TURN.lock();
    let world = World::solo(Config::default()).expect("a world of one rank");
    let usable = Machine::detect().expect("a machine").units();
    for (place, binding) in world.placement().workers.iter().zip(world.bindings()) {
        let binding = binding.as_ref().expect("bound where the system allows it");
        assert_eq!(binding, &place.units);
        assert_eq!(&binding.intersection(&usable), binding, "{binding} is not ours");
    }
}

#[test]
fn an_idle_world_uses_no_processor_time() {
    let _turn = TURN.lock();
    local::run(2, 2, 0, |world| {
        world.barrier().expect("all ranks come");
        thread::sleep(Duration::from_millis(200));
        let before = ticks();
        thread::sleep(Duration::from_millis(1000));
        let used = ticks() - before;
        // 100 ticks a second: two workers and a comm thread on each of two ranks, spinning, would use hundreds.
        assert!(used <= 2, "{used} ticks in a second of idleness");
        world.barrier().expect("all ranks come");
    })
    .expect("the worlds start");
}

#[test]
fn a_kernel_that_divides_itself_stays_on_the_workers() {
    let _turn = TURN.lock();
    let world =
        World::solo(Config { threads: Some(2), bind: false, ..Config::default() }).expect("a world of one rank");
    let names = Arc::new(Mutex::new(BTreeSet::new()));
    let mut graph = world.graph("nested");
    for _ in 0..20 {
        let (block, names) = (graph.block(Rank(0), 8).expect("room"), Arc::clone(&names));
        let body = move |_: &Context<'_>| {
            let found = (0..64).into_par_iter().map(|_| thread::current().name().map(str::to_string));
            let found: Vec<Option<String>> = found.collect();
            names.lock().expect("no task fails").extend(found);
            Ok(())
        };
        graph.task("divides", Rank(0), 0, &[Access::Write(block)], || Box::new(body)).expect("no block is missing");
    }
    world.run(&Arc::new(graph.finish().expect("a graph of one rank"))).expect("no task fails");
    let names = names.lock().expect("no task fails");
    let workers = [0, 1].map(|worker| Some(format!("girih-worker-{worker}")));
    assert!(!names.is_empty() && names.iter().all(|name| workers.contains(name)), "{names:?}");
    assert_eq!(threads(), BTreeMap::from([("worker".to_string(), 2)]), "no other thread was started");
    drop(world);
    // A worker that was the last to hold the pool ends a little later.
    while !threads().is_empty() {
        thread::yield_now();
    }
}
