//! Reads the machine through hwloc, and binds threads.
//!
//! Invariant: the process's binding is read once, before any thread is bound here, so it stays what the launcher gave.
//! hwloc also answers for a machine that is described to it (`HWLOC_SYNTHETIC`, `HWLOC_XMLFILE`);
//! then all its cores count as allowed, and binding does nothing.
//! Never here: who gets which core.

use super::{Caches, Core, CpuSet, Domain, Machine};
use crate::error::{Error, Result};
use hwlocality::Topology;
use hwlocality::bitmap::BitmapIndex;
use hwlocality::cpu::binding::CpuBindingFlags;
use hwlocality::object::TopologyObject;
use hwlocality::object::attributes::ObjectAttributes;
use hwlocality::object::types::ObjectType;
use hwlocality::topology::builder::TopologyBuilder;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::OnceLock;

type HwlocSet = hwlocality::cpu::cpuset::CpuSet;

impl Machine {
    /// The part of this node that this process may use: hwloc's topology within the binding the process started with.
    ///
    /// Cost: the first call reads `/sys`, some milliseconds; later calls do not.
    ///
    /// # Errors
    /// Local: `Error::Topology` if hwloc fails, or shows none of the cores that the process may use.
    pub fn detect() -> Result<Machine> {
        read(topology()?, Some(&allowed_units()?))
    }

    /// The whole node as far as the cgroup shows it, whatever binding this process has; the same on all its ranks.
    ///
    /// Cost: as [`Machine::detect`].
    ///
    /// # Errors
    /// Local: `Error::Topology` if hwloc fails.
    pub fn node() -> Result<Machine> {
        read(topology()?, None)
    }

    /// The machine of a synthetic description, such as `Package:2 NUMANode:2 Core:4 PU:2`, within `allowed` if given.
    ///
    /// # Errors
    /// Local: `Error::Topology` if hwloc refuses the description, or `allowed` holds none of its hardware threads.
    pub fn from_synthetic(description: &str, allowed: Option<&CpuSet>) -> Result<Machine> {
        let refused = |error: &dyn Display| Error::Topology(format!("hwloc refuses \"{description}\": {error}"));
        let builder = TopologyBuilder::new().from_synthetic(description).map_err(|error| refused(&error))?;
        read(&builder.build().map_err(|error| refused(&error))?, allowed)
    }
}

/// The hardware threads this process may use, as its launcher and cgroup left them.
///
/// # Errors
/// Local: `Error::Topology` if hwloc fails.
pub fn allowed_units() -> Result<CpuSet> {
    static ALLOWED: OnceLock<Result<CpuSet>> = OnceLock::new();
    let read_binding = || {
        let topology = topology()?;
        // The union over the threads: a library that has bound the main thread must not shrink the process.
        let bound = topology
            .cpu_binding(CpuBindingFlags::PROCESS)
            .map_err(|error| Error::Topology(format!("the binding of this process cannot be read: {error}")))?;
        let allowed = from_hwloc(&bound).intersection(&from_hwloc(&topology.cpuset()));
        match allowed.is_empty() {
            true => Err(Error::Topology(format!("hwloc shows none of the hardware threads {bound} of this process"))),
            false => Ok(allowed),
        }
    };
    ALLOWED.get_or_init(read_binding).clone()
}

/// Binds the calling thread to these hardware threads.
///
/// # Errors
/// Local: `Error::Topology` if the set is empty, or the system refuses it.
pub fn bind_this_thread(units: &CpuSet) -> Result<()> {
    if units.is_empty() {
        return Err(Error::Topology("a thread cannot be bound to no hardware thread".into()));
    }
    // Once a thread is bound, the union over the threads could be less than what the process started with.
    allowed_units()?;
    let set: HwlocSet = units.units().iter().map(|&unit| index(unit)).collect();
    topology()?
        .bind_cpu(&set, CpuBindingFlags::THREAD)
        .map_err(|error| Error::Topology(format!("a thread cannot be bound to hardware threads {units}: {error}")))
}

/// The hardware threads that the calling thread is bound to.
///
/// # Errors
/// Local: `Error::Topology` if hwloc fails.
pub fn binding_of_this_thread() -> Result<CpuSet> {
    let bound = topology()?
        .cpu_binding(CpuBindingFlags::THREAD)
        .map_err(|error| Error::Topology(format!("the binding of a thread cannot be read: {error}")))?;
    Ok(from_hwloc(&bound))
}

/// The topology of this node, loaded once.
fn topology() -> Result<&'static Topology> {
    static TOPOLOGY: OnceLock<Result<Topology, String>> = OnceLock::new();
    let load = || {
        // hwloc's x86 backend visits every core by rebinding the calling thread; Linux tells the same without that.
        let builder = TopologyBuilder::new().without_component("x86").map_err(|error| error.to_string())?;
        builder.build().map_err(|error| error.to_string())
    };
    let cannot = |error: &String| Error::Topology(format!("hwloc cannot read this machine: {error}"));
    TOPOLOGY.get_or_init(load).as_ref().map_err(cannot)
}

fn read(topology: &Topology, allowed: Option<&CpuSet>) -> Result<Machine> {
    let mut caches = None;
    // Domains by package and logical index: cores without memory near them come last in their package.
    let mut domains: BTreeMap<(u32, usize), Domain> = BTreeMap::new();
    for core in core_objects(topology) {
        let units = core.cpuset().map(|set| from_hwloc(&set)).unwrap_or_default();
        let units = allowed.map_or(units.clone(), |allowed| units.intersection(allowed));
        if units.is_empty() {
            continue;
        }
        caches.get_or_insert_with(|| caches_of(core));
        let package = core.first_ancestor_with_type(ObjectType::Package).map_or(0, |package| package.logical_index());
        let package = u32::try_from(package).expect("a package's number fits in 32 bits");
        let near = nearest_memory(topology, core);
        let domain = domains.entry((package, near.map_or(usize::MAX, |node| node.logical_index())));
        domain.or_insert_with(|| empty_domain(near, package)).cores.push(Core { units });
    }
    let Some(caches) = caches else {
        let within = allowed.map(|allowed| format!(" among hardware threads {allowed}")).unwrap_or_default();
        return Err(Error::Topology(format!("hwloc shows no core{within}")));
    };
    Ok(Machine { domains: domains.into_values().collect(), caches })
}

/// The cores in logical order; where the system knows hardware threads only, each counts as a core.
fn core_objects(topology: &Topology) -> Vec<&TopologyObject> {
    let cores: Vec<_> = topology.objects_with_type(ObjectType::Core).collect();
    match cores.is_empty() {
        true => topology.objects_with_type(ObjectType::PU).collect(),
        false => cores,
    }
}

/// The NUMA node nearest to a core: the one that the fewest hardware threads share; of equals the first, which is the
/// one with ordinary memory where there is also a fast one. Nodes without cores are near to none.
fn nearest_memory<'a>(topology: &'a Topology, core: &TopologyObject) -> Option<&'a TopologyObject> {
    let units = core.cpuset()?;
    let shared_by = |node: &TopologyObject| node.cpuset().and_then(|set| set.weight()).unwrap_or(usize::MAX);
    topology
        .objects_with_type(ObjectType::NUMANode)
        .filter(|node| node.cpuset().is_some_and(|set| set.includes(units)))
        .min_by_key(|node| (shared_by(node), node.logical_index()))
}

fn empty_domain(node: Option<&TopologyObject>, package: u32) -> Domain {
    let bytes = match node.and_then(|node| node.attributes()) {
        Some(ObjectAttributes::NUMANode(memory)) => memory.local_memory().map_or(0, |bytes| bytes.get()),
        _ => 0,
    };
    let os_index = node.and_then(|node| node.os_index()).and_then(|index| u32::try_from(index).ok());
    Domain { os_index, package, bytes, cores: Vec::new() }
}

fn caches_of(core: &TopologyObject) -> Caches {
    let mut caches = Caches::default();
    for cache in core.ancestors() {
        let bytes = match cache.attributes() {
            Some(ObjectAttributes::Cache(attributes)) => attributes.size().map_or(0, |bytes| bytes.get()),
            _ => continue,
        };
        match cache.object_type() {
            ObjectType::L1Cache => caches.l1_bytes = bytes,
            ObjectType::L2Cache => caches.l2_bytes = bytes,
            ObjectType::L3Cache => caches.l3_bytes = bytes,
            _ => (),
        }
    }
    caches
}

fn from_hwloc(set: &HwlocSet) -> CpuSet {
    // A set without end (hwloc's "all") has no list; every set that comes here was cut to a machine by hwloc.
    assert!(set.weight().is_some(), "hwloc gave an endless set of hardware threads");
    let number = |index: BitmapIndex| u32::try_from(usize::from(index)).expect("a hardware thread fits in 32 bits");
    CpuSet::new(set.iter_set().map(number).collect())
}

fn index(unit: u32) -> BitmapIndex {
    BitmapIndex::try_from(unit as usize).expect("hwloc counts hardware threads in 31 bits")
}
