//! Shares the cores of a node among the ranks on it: workers and one comm thread each.
//!
//! Invariant: a rank's workers and its comm thread run on cores of its share only (`share`).
//! Plain arithmetic on what `hwloc` read and the ranks exchanged, so each rank finds its own placement alone, and any
//! process can find all of them for a picture.
//! Never here: binding, tiles (but for the rule that maps them to domains), MPI.

use super::share::{Share, count, share};
use super::{CpuSet, Machine};
use crate::error::{Error, Result};
use std::fmt;

/// With this many cores without siblings, one of them is worth more to the comm thread than to a worker.
const OWN_CORE_CORES_MIN: usize = 8;

/// Where a worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The hardware threads it is bound to: those of one core.
    pub units: CpuSet,
    /// The core's domain, as an index into [`Machine::domains`].
    pub domain: usize,
}

/// How the comm thread is seated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommSeat {
    /// On a hardware thread of its own, in a core where a worker has another.
    Sibling,
    /// On a core of its own.
    OwnCore,
    /// Anywhere on the rank's cores, together with the workers.
    Shared,
}

impl fmt::Display for CommSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CommSeat::Sibling => "beside a worker, on a hardware thread of its own",
            CommSeat::OwnCore => "on a core of its own",
            CommSeat::Shared => "on the workers' cores",
        })
    }
}

/// What a rank asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// Workers of this rank, from `GIRIH_NUM_THREADS`; `None` leaves the number to the machine.
    pub threads: Option<usize>,
    /// Whole CPUs that the ranks of this node may keep busy together, from [`quota`](super::quota).
    pub quota: Option<usize>,
    /// True in a world of one rank: it sends nothing, so no core is kept free for its comm thread.
    pub alone: bool,
}

/// Where the threads of one rank run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The workers; at least one.
    pub workers: Vec<Place>,
    /// The hardware threads of the comm thread.
    pub comm: CpuSet,
    /// How it sits there.
    pub comm_seat: CommSeat,
    /// What the user should know, with the option that mends it; each said by one of the ranks concerned.
    pub warnings: Vec<String>,
}

impl Placement {
    /// The number of workers on each of a machine's domains.
    pub fn workers_per_domain(&self, domains: usize) -> Vec<usize> {
        let mut counts = vec![0; domains];
        self.workers.iter().for_each(|worker| counts[worker.domain] += 1);
        counts
    }
}

/// Places the threads of `local_rank` of a node; `masks[i]` is what local rank i may use.
///
/// `machine` is the node as all its ranks see it ([`Machine::node`]), or at least all that the rank's mask holds.
/// The rank's cores: all of its mask if that meets no other; ranks that share a mask divide it into runs of cores
/// whose lengths differ by one at most, cut at packages and domains where that allows.
/// Workers: `threads` if given, spread evenly over the rank's cores, or over again if they are more; else one per
/// core, within the rank's part of the quota.
/// Comm thread: the sibling of a worker, else a core that no worker uses, else all the rank's cores. If nothing is
/// asked for and there are no siblings, a rank that is not alone and has at least 8 cores keeps one for it.
///
/// # Errors
/// Replicated: `Error::Config` if no threads are asked for.
/// Local: `Error::Topology` if the machine has none of the rank's hardware threads.
pub fn divide(machine: &Machine, masks: &[CpuSet], local_rank: usize, demand: Demand) -> Result<Placement> {
    assert!(local_rank < masks.len(), "local rank {local_rank} of {}", masks.len());
    if demand.threads == Some(0) {
        return Err(Error::Config("GIRIH_NUM_THREADS must be at least 1".into()));
    }
    let Share { cores, crowded, mut warnings } = share(machine, masks, local_rank)?;
    let part_of_quota = demand.quota.map(|quota| part(quota, masks.len(), local_rank).max(1));
    let siblings = !crowded && cores.iter().any(|core| core.units.len() > 1);
    let keeps_core = !crowded && !siblings && !demand.alone && cores.len() >= OWN_CORE_CORES_MIN;
    let default = (cores.len() - usize::from(keeps_core)).min(part_of_quota.unwrap_or(usize::MAX));
    let threads = demand.threads.unwrap_or(default);
    warnings.extend(thread_warnings(&cores, threads, part_of_quota));
    if local_rank == 0 && !demand.alone {
        warnings.extend(idle_warning(machine, masks));
    }

    let mut workers: Vec<Place> = spread(cores.len(), threads).map(|core| cores[core].clone()).collect();
    let seat = if crowded { None } else { own_seat(&cores, &mut workers) };
    let (comm_seat, comm) = seat.unwrap_or_else(|| (CommSeat::Shared, units(&cores)));
    Ok(Placement { workers, comm, comm_seat, warnings })
}

/// The domain of one of a rank's tiles: runs of tiles go to the domains in proportion to the workers there.
///
/// Domains without workers get none; a rank without tiles asks nothing.
pub fn domain_of_tile(tile_index: usize, tiles: usize, workers_per_domain: &[usize]) -> usize {
    assert!(tile_index < tiles, "tile {tile_index} of {tiles}");
    let workers: usize = workers_per_domain.iter().sum();
    let worker = tile_index as u128 * workers as u128 / tiles as u128;
    let mut passed = 0;
    let holds = |&count: &usize| {
        passed += count as u128;
        worker < passed
    };
    workers_per_domain.iter().position(holds).expect("a rank has a worker")
}

/// The part at `position` when a number is divided by so many; the first parts get what is left over.
fn part(number: usize, parts: usize, position: usize) -> usize {
    number / parts + usize::from(position < number % parts)
}

/// The core of each worker, by its index; the last core is free if there are fewer workers than cores.
fn spread(cores: usize, workers: usize) -> impl Iterator<Item = usize> {
    (0..workers).map(move |worker| if workers <= cores { worker * cores / workers } else { worker % cores })
}

/// A seat for the comm thread that no worker shares. A sibling is taken away from its worker.
fn own_seat(cores: &[Place], workers: &mut [Place]) -> Option<(CommSeat, CpuSet)> {
    if workers.len() > cores.len() {
        return None;
    }
    if let Some(worker) = workers.iter_mut().rev().find(|worker| worker.units.len() > 1) {
        let sibling = CpuSet::new(worker.units.units().last().copied().into_iter().collect());
        worker.units = worker.units.difference(&sibling);
        return Some((CommSeat::Sibling, sibling));
    }
    match cores.last() {
        Some(core) if workers.len() < cores.len() => Some((CommSeat::OwnCore, core.units.clone())),
        _ => None,
    }
}

fn units(cores: &[Place]) -> CpuSet {
    CpuSet::new(cores.iter().flat_map(|core| core.units.units().iter().copied()).collect())
}

fn thread_warnings(cores: &[Place], threads: usize, part_of_quota: Option<usize>) -> Vec<String> {
    let mut warnings = Vec::new();
    let hardware_threads = units(cores).len();
    if threads > hardware_threads {
        warnings.push(format!(
            "{threads} workers share {} of this rank: set GIRIH_NUM_THREADS to at most {hardware_threads}, or give the \
             rank more cores: `mpirun --map-by ppr:1:node:PE=n`",
            count(hardware_threads, "hardware thread")
        ));
    }
    if let Some(cpus) = part_of_quota.filter(|&cpus| threads > cpus) {
        warnings.push(format!(
            "{threads} workers have the time of {}, by this control group's quota: set GIRIH_NUM_THREADS to at most \
             {cpus}, or raise the quota (for a container: `--cpus`)",
            count(cpus, "CPU")
        ));
    }
    warnings
}

/// Launchers bind to one core unless told otherwise, which leaves most of a node idle without a word.
fn idle_warning(machine: &Machine, masks: &[CpuSet]) -> Option<String> {
    let all = machine.cores().count();
    let used = machine.cores().filter(|(_, core)| masks.iter().any(|mask| mask.intersects(&core.units))).count();
    (2 * used <= all).then(|| {
        format!(
            "{} of this node may use {used} of its {} together; to use all, start with `mpirun --bind-to none` or \
             `mpirun --map-by ppr:{}:node:PE={}`",
            count(masks.len(), "rank"),
            count(all, "core"),
            masks.len(),
            (all / masks.len()).max(1)
        )
    })
}
