//! Memory that other processes can open: large slabs in files without a name.
//!
//! Invariant: a file belongs to one slab's pages, from its first byte on. Its memory is free when the slab is gone and
//! nobody has it mapped any more.
//! Never here: who is shown a slab.

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use rustix::process::{Resource, getrlimit};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Smaller slabs are copied faster than a process opens a file.
pub(super) const FILE_BYTES_MIN: usize = 1 << 20;
/// So many descriptors are left to the program.
const DESCRIPTORS_LEFT: u64 = 512;

static SHARINGS: AtomicUsize = AtomicUsize::new(0);

/// While one exists, fresh slabs of a MiB and more lie in memory that other processes can open ([`super::Slab::lend`]).
///
/// Cost: the first touch of such a page takes longer, for the system seldom has huge ones for them.
#[derive(Debug)]
pub struct Sharing(());

impl Sharing {
    /// Begins it, for all memories of the process.
    pub fn begin() -> Sharing {
        SHARINGS.fetch_add(1, Relaxed); // Relaxed: what is in memory already stays where it is, so order means nothing
        Sharing(())
    }

    /// Whether fresh slabs of this length should lie in files.
    pub(super) fn is_wanted(bytes: usize) -> bool {
        bytes >= FILE_BYTES_MIN && SHARINGS.load(Relaxed) > 0 // Relaxed: as in `begin`
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        SHARINGS.fetch_sub(1, Relaxed); // Relaxed: as in `begin`
    }
}

/// A file in memory of so many bytes, all zero; none if the system has none for this process.
pub(super) fn new_file(bytes: usize) -> Option<OwnedFd> {
    let file = memfd_create("girih-slab", MemfdFlags::CLOEXEC).ok()?;
    let number = u64::try_from(file.as_raw_fd()).ok()?;
    if getrlimit(Resource::Nofile).current.is_some_and(|most| number + DESCRIPTORS_LEFT > most) {
        return None;
    }
    ftruncate(&file, u64::try_from(bytes).ok()?).ok()?;
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Memory, Slab};

    #[test]
    fn a_slab_is_seen_through_its_file_and_never_serves_another_once_it_was_lent() {
        let memory = Memory::new(64 << 20);
        let sharing = Sharing::begin();
        let slab = memory.slab(3 << 20).unwrap();
        let cell = Slab::split(&slab, &[3 << 20]).pop().unwrap();
        cell.write().fill(7);
        let seen = std::fs::read(format!("/proc/self/fd/{}", slab.lend().unwrap())).unwrap();
        assert!(seen.len() >= 3 << 20 && seen[..3 << 20].iter().all(|&byte| byte == 7));
        assert!(slab.is_lent() && memory.slab(FILE_BYTES_MIN / 2).unwrap().lend().is_none());
        drop((cell, slab));
        assert_eq!(memory.bytes_in_use(), 0);
        // Another one has fresh pages.
        let next = memory.slab(3 << 20).unwrap();
        assert_eq!(Slab::split(&next, &[3 << 20])[0].read()[0], 0);
        drop(next);
        drop(sharing);
    }
}
