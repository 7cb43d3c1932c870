//! Tests of topology on synthetic machines, and of binding on this one.
//!
//! Expected placements are written out by hand; the checks that hold for all divisions are in `check_division`.

use super::{
    CommSeat, CpuSet, Demand, Machine, Placement, allowed_units, bind_this_thread, binding_of_this_thread, divide,
    domain_of_tile,
};
use crate::error::Error;

const TWO_BY_TWO: &str = "Package:2 NUMANode:2 L3Cache:1 L2Cache:4 Core:1 PU:2";
const NO_SIBLINGS: &str = "Package:2 NUMANode:2 Core:4 PU:1";

fn machine(description: &str) -> Machine {
    Machine::from_synthetic(description, None).expect("a description that hwloc takes")
}

fn set(units: impl IntoIterator<Item = u32>) -> CpuSet {
    CpuSet::new(units.into_iter().collect())
}

fn placements(machine: &Machine, masks: &[CpuSet], demand: Demand) -> Vec<Placement> {
    (0..masks.len()).map(|rank| divide(machine, masks, rank, demand).expect("a placement")).collect()
}

fn share_of(placement: &Placement) -> CpuSet {
    placement.workers.iter().fold(placement.comm.clone(), |all, worker| all.union(&worker.units))
}

/// Domains each rank computes on, without repeats.
fn domains(placement: &Placement) -> Vec<usize> {
    let mut domains: Vec<_> = placement.workers.iter().map(|worker| worker.domain).collect();
    domains.dedup();
    domains
}

/// All hardware threads within the masks are used, and none by two ranks.
#[track_caller]
fn check_division(machine: &Machine, masks: &[CpuSet]) -> Vec<Placement> {
    let placements = placements(machine, masks, Demand::default());
    let mut used: Vec<u32> = placements.iter().flat_map(|placement| share_of(placement).units().to_vec()).collect();
    used.sort_unstable();
    let allowed = masks.iter().fold(set([]), |all, mask| all.union(mask)).intersection(&machine.units());
    assert_eq!(used, allowed.units(), "every hardware thread once");
    for (placement, mask) in placements.iter().zip(masks) {
        assert!(placement.workers.iter().all(|worker| !worker.units.is_empty()));
        assert_eq!(share_of(placement).intersection(mask), share_of(placement), "a rank stays in its mask");
        for worker in &placement.workers {
            let domain = &machine.domains[worker.domain];
            assert!(domain.cores.iter().any(|core| core.units.intersection(&worker.units) == worker.units));
        }
    }
    placements
}

#[track_caller]
fn check_domains(description: &str, ranks: usize, expected: &[&[usize]]) {
    let machine = machine(description);
    let placements = check_division(&machine, &vec![machine.units(); ranks]);
    assert_eq!(placements.iter().map(domains).collect::<Vec<_>>(), expected);
    assert!(placements.iter().all(|placement| placement.warnings.is_empty()), "{placements:?}");
}

#[track_caller]
fn check_tiles(tiles: usize, workers_per_domain: &[usize], expected: &[usize]) {
    let domains: Vec<_> = (0..tiles).map(|tile| domain_of_tile(tile, tiles, workers_per_domain)).collect();
    assert_eq!(domains, expected);
}

#[test]
fn a_synthetic_machine_is_read_as_described() {
    let machine = machine(TWO_BY_TWO);
    assert_eq!(machine.domains.iter().map(|domain| domain.package).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(machine.domains[3].os_index, Some(3));
    assert!(machine.domains.iter().all(|domain| domain.bytes > 0));
    assert_eq!(machine.domains[1].cores.iter().map(|core| core.units.len()).collect::<Vec<_>>(), [2; 4]);
    assert_eq!(machine.domains[1].cores[0].units, set([8, 9]));
    assert_eq!(machine.units(), set(0..32));
    assert!(machine.caches.l2_bytes > 0 && machine.caches.l3_bytes > machine.caches.l2_bytes);
}

#[test]
fn a_cpuset_drops_domains_and_halves_cores() {
    let allowed = set([9, 12, 13, 14, 15, 30]);
    let machine = Machine::from_synthetic(TWO_BY_TWO, Some(&allowed)).expect("a machine");
    assert_eq!(machine.domains.iter().map(|domain| domain.os_index).collect::<Vec<_>>(), [Some(1), Some(3)]);
    assert_eq!(machine.cores().map(|(_, core)| core.units.len()).collect::<Vec<_>>(), [1, 2, 2, 1]);
    assert_eq!(machine.units(), allowed);
}

#[test]
fn a_cpuset_elsewhere_and_a_wrong_description_are_errors() {
    let elsewhere = Machine::from_synthetic(TWO_BY_TWO, Some(&set([99])));
    assert!(matches!(elsewhere, Err(Error::Topology(text)) if text.contains("99")));
    let wrong = Machine::from_synthetic("Package:2 nonsense", None);
    assert!(matches!(wrong, Err(Error::Topology(text)) if text.contains("nonsense")));
}

#[test]
fn ranks_that_share_a_node_are_cut_at_packages_and_domains() {
    check_domains(TWO_BY_TWO, 1, &[&[0, 1, 2, 3]]);
    check_domains(TWO_BY_TWO, 2, &[&[0, 1], &[2, 3]]);
    check_domains(TWO_BY_TWO, 3, &[&[0, 1], &[1, 2], &[2, 3]]);
    check_domains(TWO_BY_TWO, 4, &[&[0], &[1], &[2], &[3]]);
    // 3, 3, 2 cores to each package.
    check_domains(TWO_BY_TWO, 6, &[&[0], &[0, 1], &[1], &[2], &[2, 3], &[3]]);
    check_domains(
        TWO_BY_TWO,
        16,
        &[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3].each_ref().map(std::slice::from_ref),
    );
}

#[test]
fn no_core_is_lost_or_given_twice_at_any_rank_count() {
    for description in [TWO_BY_TWO, NO_SIBLINGS, "Package:1 NUMANode:3 Core:5 PU:1", "Core:7 PU:4"] {
        let machine = machine(description);
        for ranks in 1..=machine.cores().count() {
            let placements = check_division(&machine, &vec![machine.units(); ranks]);
            let cores = placements.iter().map(|placement| placement.workers.len()).collect::<Vec<_>>();
            assert!(cores.iter().max() <= cores.iter().min().map(|least| least + 1).as_ref(), "{cores:?}");
        }
    }
}

#[test]
fn an_odd_core_goes_where_the_cut_meets_a_border() {
    // 3 cores on the first package, 4 on the second: the second rank gets the odd core.
    let machine = Machine::from_synthetic("Package:2 Core:4 PU:1", Some(&set(1..8))).expect("a machine");
    let placements = check_division(&machine, &[set(0..8), set(0..8)]);
    assert_eq!(placements.iter().map(domains).collect::<Vec<_>>(), [[0], [1]]);
}

#[test]
fn ranks_bound_apart_use_all_of_their_masks() {
    let masks = [set([0, 1, 2, 3, 8, 9]), set(16..32)];
    let placements = check_division(&machine(TWO_BY_TWO), &masks);
    assert_eq!(placements[0].workers.iter().map(|worker| worker.domain).collect::<Vec<_>>(), [0, 0, 1]);
    assert_eq!(placements[1].workers.len(), 8);
}

#[test]
fn ranks_bound_to_the_two_halves_of_a_core_get_one_each() {
    let placements = check_division(&machine("Core:1 PU:2"), &[set([0]), set([1])]);
    assert_eq!(placements[0].workers[0].units, set([0]));
    assert_eq!(placements[1].workers[0].units, set([1]));
    assert_eq!(placements[1].comm_seat, CommSeat::Shared);
}

#[test]
fn two_groups_divide_their_own_packages() {
    let masks = [set(0..16), set(16..32), set(0..16), set(16..32)];
    let placements = check_division(&machine(TWO_BY_TWO), &masks);
    assert_eq!(placements.iter().map(domains).collect::<Vec<_>>(), [[0], [2], [1], [3]]);
}

#[test]
fn masks_that_overlap_in_part_are_divided_and_named() {
    let machine = machine(NO_SIBLINGS);
    let placements = check_division(&machine, &[set(0..8), set(4..8), set(12..16)]);
    assert_eq!(share_of(&placements[0]), set(0..4));
    assert_eq!(share_of(&placements[1]), set(4..8));
    assert!(placements[0].warnings[0].contains("--bind-to none"), "{:?}", placements[0].warnings);
    assert!(placements[1].warnings.is_empty());
    let chain = check_division(&machine, &[set([0, 1]), set([0]), set([1, 2])]);
    assert_eq!(chain.iter().map(share_of).collect::<Vec<_>>(), [set([1]), set([0]), set([2])]);
    let starved = placements_of_starved(&machine);
    assert!(starved.iter().all(|placement| placement.comm_seat == CommSeat::Shared));
}

/// Three ranks on one core, one of which may use another core too.
fn placements_of_starved(machine: &Machine) -> Vec<Placement> {
    let starved = placements(machine, &[set([0]), set([0]), set([0, 1])], Demand::default());
    assert_eq!(
        starved.iter().map(|placement| placement.workers[0].units.clone()).collect::<Vec<_>>(),
        [set([0]), set([0]), set([1])]
    );
    starved[..2].to_vec()
}

#[test]
fn more_ranks_than_cores_take_turns_and_one_says_so() {
    let machine = machine("Core:2 PU:1");
    let placements = placements(&machine, &vec![set([0, 1]); 5], Demand::default());
    let cores: Vec<_> = placements.iter().map(|placement| placement.workers[0].units.clone()).collect();
    assert_eq!(cores, [set([0]), set([1]), set([0]), set([1]), set([0])]);
    assert!(placements.iter().all(|placement| placement.workers.len() == 1));
    assert!(placements[0].warnings[0].contains("ppr:1:node:PE=2"), "{:?}", placements[0].warnings);
    assert!(placements[1..].iter().all(|placement| placement.warnings.is_empty()));
}

#[test]
fn ranks_bound_to_one_core_of_many_are_told() {
    let placements = placements(&machine(NO_SIBLINGS), &[set([0]), set([0])], Demand::default());
    assert!(placements[0].warnings[0].contains("--bind-to none"), "{:?}", placements[0].warnings);
    assert!(placements[0].warnings[1].contains("1 of its 16 cores"), "{:?}", placements[0].warnings);
}

#[test]
fn one_core_has_one_worker_and_the_comm_thread_beside_it() {
    let placement = divide(&machine("Core:1 PU:1"), &[set([0])], 0, Demand::default()).expect("a placement");
    assert_eq!((placement.workers.len(), placement.comm_seat), (1, CommSeat::Shared));
    assert_eq!((&placement.workers[0].units, &placement.comm), (&set([0]), &set([0])));
    assert!(placement.warnings.is_empty());
}

#[test]
fn a_sibling_seats_the_comm_thread_where_there_is_one() {
    let placement = divide(&machine(TWO_BY_TWO), &[set(0..32)], 0, Demand::default()).expect("a placement");
    assert_eq!(placement.workers.len(), 16);
    assert_eq!((placement.comm_seat, &placement.comm), (CommSeat::Sibling, &set([31])));
    assert_eq!(placement.workers[0].units, set([0, 1]));
    assert_eq!(placement.workers[15].units, set([30]));
    // The last core is halved by the mask, so the one before gives its sibling.
    let placement = divide(&machine(TWO_BY_TWO), &[set(0..31)], 0, Demand::default()).expect("a placement");
    assert_eq!((placement.comm_seat, &placement.comm), (CommSeat::Sibling, &set([29])));
}

#[track_caller]
fn check_seat(mask: CpuSet, demand: Demand, workers: usize, seat: CommSeat, comm: CpuSet) {
    let placement = divide(&machine(NO_SIBLINGS), &[mask], 0, demand).expect("a placement");
    assert_eq!((placement.workers.len(), placement.comm_seat, placement.comm), (workers, seat, comm));
}

#[test]
fn without_siblings_the_comm_thread_gets_a_core_that_can_be_spared() {
    let demand = |threads, alone| Demand { threads, alone, quota: None };
    check_seat(set(0..16), demand(None, false), 15, CommSeat::OwnCore, set([15]));
    check_seat(set(0..16), demand(None, true), 16, CommSeat::Shared, set(0..16));
    check_seat(set(0..16), demand(Some(16), false), 16, CommSeat::Shared, set(0..16));
    check_seat(set(0..8), demand(None, false), 7, CommSeat::OwnCore, set([7]));
    check_seat(set(0..7), demand(None, false), 7, CommSeat::Shared, set(0..7));
    check_seat(set(0..7), demand(Some(3), false), 3, CommSeat::OwnCore, set([6]));
}

#[test]
fn asked_for_threads_are_spread_over_the_domains() {
    let demand = Demand { threads: Some(4), ..Demand::default() };
    let placement = divide(&machine(TWO_BY_TWO), &[set(0..32)], 0, demand).expect("a placement");
    assert_eq!(placement.workers_per_domain(4), [1, 1, 1, 1]);
    let demand = Demand { threads: Some(6), ..Demand::default() };
    let placement = divide(&machine(NO_SIBLINGS), &[set(0..16)], 0, demand).expect("a placement");
    assert_eq!(placement.workers_per_domain(4), [2, 1, 2, 1]);
}

#[test]
fn threads_beyond_the_hardware_share_cores_and_are_told() {
    let demand = Demand { threads: Some(5), ..Demand::default() };
    let placement = divide(&machine("Core:2 PU:1"), &[set([0, 1])], 0, demand).expect("a placement");
    let cores: Vec<_> = placement.workers.iter().map(|worker| worker.units.units()[0]).collect();
    assert_eq!(cores, [0, 1, 0, 1, 0]);
    assert_eq!((placement.comm_seat, &placement.comm), (CommSeat::Shared, &set([0, 1])));
    assert!(placement.warnings[0].contains("GIRIH_NUM_THREADS"), "{:?}", placement.warnings);
    // A worker on each hardware thread is more than one per core, but no worker waits.
    let demand = Demand { threads: Some(4), ..Demand::default() };
    let placement = divide(&machine("Core:2 PU:2"), &[set(0..4)], 0, demand).expect("a placement");
    assert!(placement.warnings.is_empty() && placement.comm_seat == CommSeat::Shared);
}

#[test]
fn no_threads_and_no_hardware_are_errors() {
    let demand = Demand { threads: Some(0), ..Demand::default() };
    assert!(matches!(divide(&machine("Core:2 PU:1"), &[set([0])], 0, demand), Err(Error::Config(_))));
    let elsewhere = divide(&machine("Core:2 PU:1"), &[set([0]), set([7])], 1, Demand::default());
    assert!(matches!(elsewhere, Err(Error::Topology(_))));
}

#[test]
fn a_quota_is_divided_among_the_ranks() {
    let machine = machine(NO_SIBLINGS);
    let workers = |ranks: usize, threads| {
        let demand = Demand { threads, quota: Some(5), alone: false };
        let placements = placements(&machine, &vec![set(0..16); ranks], demand);
        let told = placements.iter().filter(|placement| !placement.warnings.is_empty()).count();
        (placements.iter().map(|placement| placement.workers.len()).collect::<Vec<_>>(), told)
    };
    assert_eq!(workers(1, None), (vec![5], 0));
    assert_eq!(workers(2, None), (vec![3, 2], 0));
    assert_eq!(workers(6, None), (vec![1; 6], 0));
    assert_eq!(workers(2, Some(3)), (vec![3, 3], 1));
}

#[test]
fn tiles_go_to_domains_in_runs_as_long_as_the_workers_there_are_many() {
    check_tiles(8, &[2, 2], &[0, 0, 0, 0, 1, 1, 1, 1]);
    check_tiles(5, &[4, 1], &[0, 0, 0, 0, 1]);
    check_tiles(6, &[1, 0, 2], &[0, 0, 2, 2, 2, 2]);
    check_tiles(1, &[3, 3], &[0]);
    check_tiles(2, &[4, 4, 4, 4], &[0, 2]);
    check_tiles(3, &[0, 1], &[1, 1, 1]);
    for (tiles, workers) in [(1000, vec![3, 1, 0, 7]), (17, vec![8, 8]), (4099, vec![1; 13])] {
        let total: usize = workers.iter().sum();
        for (domain, &count) in workers.iter().enumerate() {
            let given = (0..tiles).filter(|&tile| domain_of_tile(tile, tiles, &workers) == domain).count();
            assert!((given * total).abs_diff(tiles * count) < total, "{given} tiles for {count} of {total} workers");
        }
    }
}

#[test]
fn this_machine_holds_what_the_process_may_use() {
    let machine = Machine::detect().expect("this machine");
    assert_eq!(machine.units(), allowed_units().expect("a binding"));
    let node = Machine::node().expect("this node").units();
    assert_eq!(node.intersection(&machine.units()), machine.units());
}

#[test]
fn a_bound_thread_reads_its_binding_back() {
    // A thread of its own, since a binding stays with the thread.
    let bound = || {
        for unit in allowed_units().expect("a binding").units() {
            bind_this_thread(&set([*unit])).expect("an allowed hardware thread");
            assert_eq!(binding_of_this_thread().expect("a binding"), set([*unit]));
        }
        let all = allowed_units().expect("a binding");
        bind_this_thread(&all).expect("all allowed hardware threads");
        assert_eq!(binding_of_this_thread().expect("a binding"), all);
        assert!(matches!(bind_this_thread(&set([])), Err(Error::Topology(_))));
        assert!(matches!(bind_this_thread(&set([1 << 20])), Err(Error::Topology(_))));
    };
    std::thread::spawn(bound).join().expect("no panic");
}
