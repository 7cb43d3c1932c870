//! A rank starts its workers and one comm thread, nothing else, each where it was meant to be; an idle world sleeps.

use girih_runtime::config::Config;
use girih_runtime::local;
use girih_runtime::topology::Machine;
use girih_runtime::world::World;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
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
        std::thread::sleep(Duration::from_millis(200));
        let before = ticks();
        std::thread::sleep(Duration::from_millis(1000));
        let used = ticks() - before;
        // 100 ticks a second: two workers and a comm thread on each of two ranks, spinning, would use hundreds.
        assert!(used <= 2, "{used} ticks in a second of idleness");
        world.barrier().expect("all ranks come");
    })
    .expect("the worlds start");
}
