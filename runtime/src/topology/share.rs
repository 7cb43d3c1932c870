//! Which cores of a node are one rank's, given what each rank on the node may use.
//!
//! Invariant: each core that some rank may use goes to exactly one rank, unless a rank would be left with none.
//! Every rank finds its part alone, from the same masks and the same machine.
//! Never here: workers, the comm thread.

use super::{CpuSet, Machine, Place};
use crate::error::{Error, Result};

/// A rank's cores.
pub(super) struct Share {
    /// In hwloc's logical order; at least one.
    pub(super) cores: Vec<Place>,
    /// True if other ranks compute on these cores too.
    pub(super) crowded: bool,
    /// What the user should know; said by one rank of those concerned.
    pub(super) warnings: Vec<String>,
}

/// The cores of `local_rank`.
///
/// A mask that meets no other is used whole. Ranks with one and the same mask divide it into runs whose lengths
/// differ by one at most, cut at the borders of packages and domains where that allows. Masks that overlap in part
/// are divided core by core: first the cores that fewest may use, each to the rank that has least.
///
/// # Errors
/// Local: `Error::Topology` if the machine has none of the rank's hardware threads.
pub(super) fn share(machine: &Machine, masks: &[CpuSet], local_rank: usize) -> Result<Share> {
    let mine = &masks[local_rank];
    if !machine.units().intersects(mine) {
        let text = format!("hwloc shows none of the hardware threads \"{mine}\" that local rank {local_rank} may use");
        return Err(Error::Topology(text));
    }
    let group = connected(masks, local_rank);
    let position = group.iter().position(|&rank| rank == local_rank).expect("a rank is in its own group");
    let mut warnings = Vec::new();
    let (cores, crowded) = if group.len() == 1 {
        (places(machine, mine), false)
    } else if group.iter().all(|&rank| masks[rank] == *mine) {
        let cores = places(machine, mine);
        if position == 0 && cores.len() < group.len() {
            warnings.push(crowd_warning(group.len(), cores.len(), machine.cores().count()));
        }
        run_of(machine, cores, group.len(), position)
    } else {
        if position == 0 {
            warnings.push(overlap_warning(masks, &group));
        }
        part_of_overlap(machine, masks, &group, position)
    };
    Ok(Share { cores, crowded, warnings })
}

/// The ranks whose masks meet that of `rank`, directly or through others; ascending.
fn connected(masks: &[CpuSet], rank: usize) -> Vec<usize> {
    let mut inside = vec![false; masks.len()];
    inside[rank] = true;
    let mut open = vec![rank];
    while let Some(current) = open.pop() {
        for other in 0..masks.len() {
            if !inside[other] && masks[other].intersects(&masks[current]) {
                inside[other] = true;
                open.push(other);
            }
        }
    }
    (0..masks.len()).filter(|&other| inside[other]).collect()
}

/// The cores, or parts of cores, within a mask.
fn places(machine: &Machine, mask: &CpuSet) -> Vec<Place> {
    let within = |(domain, core): (usize, &super::Core)| Place { units: core.units.intersection(mask), domain };
    machine.cores().map(within).filter(|place| !place.units.is_empty()).collect()
}

/// One of `ranks` runs of the cores; with more ranks than cores, one core by turns.
fn run_of(machine: &Machine, mut cores: Vec<Place>, ranks: usize, position: usize) -> (Vec<Place>, bool) {
    if cores.len() < ranks {
        let core = cores.swap_remove(position % cores.len());
        return (vec![core], true);
    }
    let cuts = cuts(&borders(machine, &cores), ranks);
    cores.truncate(cuts[position + 1]);
    cores.drain(..cuts[position]);
    (cores, false)
}

/// What a cut before each core is worth: 2 between packages, 1 between domains, 0 elsewhere.
fn borders(machine: &Machine, cores: &[Place]) -> Vec<u32> {
    let package = |place: &Place| machine.domains[place.domain].package;
    let worth = |pair: &[Place]| match (pair[0].domain == pair[1].domain, package(&pair[0]) == package(&pair[1])) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    };
    std::iter::once(0).chain(cores.windows(2).map(worth)).chain([0]).collect()
}

/// Where to cut `worth.len() - 1` cores into runs: lengths differ by one at most, and the cuts are worth the most
/// that this allows; of equals, the longer runs come first.
///
/// Cost: ranks · (cores mod ranks) steps.
fn cuts(worth: &[u32], ranks: usize) -> Vec<usize> {
    let cores = worth.len() - 1;
    let (length, longer) = (cores / ranks, cores % ranks);
    // best[cut][extra]: the worth of this and all later cuts if `extra` of the runs before it are longer ones.
    let mut best = vec![vec![None; longer + 2]; ranks + 1];
    best[ranks][longer] = Some(0);
    for cut in (0..ranks).rev() {
        for extra in 0..=longer.min(cut) {
            let later = best[cut + 1][extra].max(best[cut + 1][extra + 1]);
            best[cut][extra] = later.map(|later| later + worth[cut * length + extra]);
        }
    }
    let mut extra = 0;
    let mut cuts = vec![0];
    for (cut, best) in best.iter().enumerate().skip(1) {
        let (shorter, longer) = (best[extra], best[extra + 1]);
        extra += usize::from(longer.is_some() && longer >= shorter);
        cuts.push(cut * length + extra);
    }
    cuts
}

/// The share of the rank at `position` of a group whose masks overlap in part.
fn part_of_overlap(machine: &Machine, masks: &[CpuSet], group: &[usize], position: usize) -> (Vec<Place>, bool) {
    let mut pieces = pieces(machine, masks, group);
    // The sort is stable, so among pieces that equally many may use, the logical order stays.
    pieces.sort_by_key(|(_, users)| users.len());
    let mut shares: Vec<Vec<Place>> = vec![Vec::new(); group.len()];
    for (place, users) in &pieces {
        // Of equals, the one that has the smaller choice.
        let need = |user: usize| (shares[user].len(), masks[group[user]].len(), user);
        let user = users.iter().copied().min_by_key(|&user| need(user)).expect("a piece has a user");
        shares[user].push(place.clone());
    }
    let guest_of = |user: usize| {
        let usable: Vec<_> = pieces.iter().filter(|(_, users)| users.contains(&user)).collect();
        usable[user % usable.len()].0.clone()
    };
    let guests: Vec<_> = (0..group.len()).filter(|&user| shares[user].is_empty()).map(guest_of).collect();
    let mut cores = shares.swap_remove(position);
    if cores.is_empty() {
        return (vec![guest_of(position)], true);
    }
    cores.sort_by_key(|place| order(machine, place));
    let crowded = guests.iter().any(|guest| cores.contains(guest));
    (cores, crowded)
}

/// The cores of a group, split where ranks may use different hardware threads of one; with the positions of the users.
fn pieces(machine: &Machine, masks: &[CpuSet], group: &[usize]) -> Vec<(Place, Vec<usize>)> {
    let mut pieces: Vec<(Place, Vec<usize>)> = Vec::new();
    for (domain, core) in machine.cores() {
        let first = pieces.len();
        for &unit in core.units.units() {
            let unit = CpuSet::new(vec![unit]);
            let users: Vec<_> = (0..group.len()).filter(|&user| masks[group[user]].intersects(&unit)).collect();
            match pieces[first..].iter_mut().find(|(_, known)| *known == users) {
                Some((place, _)) => place.units = place.units.union(&unit),
                None if users.is_empty() => (),
                None => pieces.push((Place { units: unit, domain }, users)),
            }
        }
    }
    pieces
}

/// The position of a place in hwloc's logical order.
fn order(machine: &Machine, place: &Place) -> Option<usize> {
    machine.cores().position(|(_, core)| core.units.intersects(&place.units))
}

fn crowd_warning(ranks: usize, cores: usize, cores_of_node: usize) -> String {
    let few = format!("{ranks} ranks of one node share {}, so they wait for each other", count(cores, "core"));
    match cores < cores_of_node {
        true => format!(
            "{few}: the launcher bound them there although the node has {cores_of_node}; \
             start with `mpirun --bind-to none`, or with one rank per node and all its cores: \
             `mpirun --map-by ppr:1:node:PE={cores_of_node}`"
        ),
        false => format!("{few}: start one per node (`mpirun --map-by ppr:1:node:PE={cores}`), or at most {cores}"),
    }
}

fn overlap_warning(masks: &[CpuSet], group: &[usize]) -> String {
    let shown = group.iter().take(4).map(|&rank| format!("{} for local rank {rank}", masks[rank]));
    let shown = shown.collect::<Vec<_>>().join(", ");
    let more = if group.len() > 4 { ", …" } else { "" };
    format!(
        "the launcher's bindings of {} ranks overlap in part ({shown}{more}), so their cores were divided one by one: \
         start with `mpirun --bind-to none`, or give each rank its own n cores: `mpirun --map-by ppr:1:node:PE=n`",
        group.len()
    )
}

/// A number with its noun.
pub(super) fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}
