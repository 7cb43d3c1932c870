//! The machine as hwloc sees it, and who computes where.
//!
//! Plain data here; `hwloc` fills it, `divide` shares a node among the ranks on it.
//! All processor numbers are the operating system's; all lists are in hwloc's logical order, all sets ascend.
//! Never here: threads (but for their binding), memory, which rank is which in the world.

mod divide;
mod hwloc;
mod quota;
mod share;
#[cfg(test)]
mod tests;

pub use divide::{CommSeat, Demand, Place, Placement, divide, domain_of_tile};
pub use hwloc::{allowed_units, bind_this_thread, binding_of_this_thread};
pub use quota::quota;

use std::fmt;

/// A set of processing units (hardware threads) by their operating-system numbers, sorted, without repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CpuSet(Vec<u32>);

/// A core this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Core {
    /// Its hardware threads that this process may use; at least one.
    pub units: CpuSet,
}

/// A NUMA domain with at least one core this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The domain's number for the operating system; `None` for cores that have no memory near them.
    pub os_index: Option<u32>,
    /// The package (socket) that holds it, counted over the node; 0 where the system does not say.
    pub package: u32,
    /// Its local memory, in bytes; 0 where the system does not say.
    pub bytes: u64,
    /// Its cores that this process may use, in hwloc's logical order.
    pub cores: Vec<Core>,
}

/// Data cache sizes of the first usable core, in bytes; 0 where the system does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// First level, per core.
    pub l1_bytes: u64,
    /// Second level.
    pub l2_bytes: u64,
    /// Third level.
    pub l3_bytes: u64,
}

/// One node, or the part of it that a process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// Usable domains, in hwloc's logical order; at least one.
    pub domains: Vec<Domain>,
    /// Cache sizes.
    pub caches: Caches,
}

impl Machine {
    /// All cores with the index of their domain, domain by domain.
    pub fn cores(&self) -> impl Iterator<Item = (usize, &Core)> {
        self.domains.iter().enumerate().flat_map(|(index, domain)| domain.cores.iter().map(move |core| (index, core)))
    }

    /// All hardware threads.
    pub fn units(&self) -> CpuSet {
        CpuSet::new(self.cores().flat_map(|(_, core)| core.units.units().iter().copied()).collect())
    }
}

impl CpuSet {
    /// The set of these numbers.
    pub fn new(mut units: Vec<u32>) -> CpuSet {
        units.sort_unstable();
        units.dedup();
        CpuSet(units)
    }

    /// The numbers, ascending.
    pub fn units(&self) -> &[u32] {
        &self.0
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if the two share a unit.
    pub fn intersects(&self, other: &CpuSet) -> bool {
        self.0.iter().any(|unit| other.0.binary_search(unit).is_ok())
    }

    /// The units in both.
    pub fn intersection(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.0.iter().copied().filter(|unit| other.0.binary_search(unit).is_ok()).collect())
    }

    /// The units in either.
    pub fn union(&self, other: &CpuSet) -> CpuSet {
        CpuSet::new(self.0.iter().chain(&other.0).copied().collect())
    }

    /// The units of this set that are not in the other.
    pub fn difference(&self, other: &CpuSet) -> CpuSet {
        CpuSet(self.0.iter().copied().filter(|unit| other.0.binary_search(unit).is_err()).collect())
    }
}

impl fmt::Display for CpuSet {
    /// As the kernel writes it: `0-3,8`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        let mut separator = "";
        while let Some(&first) = rest.first() {
            let run = rest.iter().zip(first..).take_while(|&(&unit, expected)| unit == expected).count();
            match run {
                1 => write!(f, "{separator}{first}")?,
                _ => write!(f, "{separator}{first}-{}", rest[run - 1])?,
            }
            rest = &rest[run..];
            separator = ",";
        }
        Ok(())
    }
}
