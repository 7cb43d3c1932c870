//! Blocks: runs of bytes that have one writer or many readers, never both.
//!
//! Invariant 1: the blocks of one slab are disjoint (kept by [`Slab::split`], which may be called once).
//! Invariant 2: `users` counts the guards alive: one writer, or any number of readers.
//! Invariant 3: an epoch of a graph stands in `users` as one guard for all its tasks, a writer's if any of them writes.
//! Within the epoch its edges order the accesses ([`Grant`]), so that tasks change no counter that workers share.
//! A graph orders all declared accesses of a block, so taking a guard never has to wait; a guard that
//! cannot be had is a mistake in the runtime, and panics instead of racing.

#![allow(unsafe_code, reason = "raw pages become slices here, under the invariants above")]

use super::Memory;
use super::count::Count;
use super::shared::new_file;
use bytemuck::Pod;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const LINE: usize = 64;
/// From this size on, pages come from the system untouched, so that the first writer places them.
const MAPPED_BYTES_MIN: usize = 256 << 10;
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Owned bytes, aligned to a cache line.
#[derive(Debug)]
pub(super) struct Pages {
    start: NonNull<u8>,
    bytes: usize,
    /// Where they lie, if other processes may look at them.
    file: Option<OwnedFd>,
}

// SAFETY: `Pages` owns its bytes, like a `Box<[u8]>`; nothing about them belongs to a thread.
unsafe impl Send for Pages {}
// SAFETY: a shared `Pages` gives out no bytes; only blocks do, through guards.
unsafe impl Sync for Pages {}

impl Pages {
    pub(super) fn fresh(bytes: usize) -> Pages {
        if bytes < MAPPED_BYTES_MIN {
            let layout = Layout::from_size_align(bytes, LINE).expect("a block smaller than the address space");
            // SAFETY: the layout has a size of at least one line (`size_class`).
            let start = unsafe { alloc_zeroed(layout) };
            let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
            return Pages { start, bytes, file: None };
        }
        Pages::mapped(bytes, None)
    }

    /// Pages of a file in memory that is theirs alone; private ones if the process has no room for another file.
    pub(super) fn in_file(bytes: usize) -> Pages {
        Pages::mapped(bytes, new_file(bytes))
    }

    fn mapped(bytes: usize, file: Option<OwnedFd>) -> Pages {
        let (kind, descriptor) = file
            .as_ref()
            .map_or((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1), |file| (libc::MAP_SHARED, file.as_raw_fd()));
        let (kind, access) = (kind | libc::MAP_NORESERVE, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a new mapping of memory that nobody else knows, or of a file that nobody else has written; whoever
        // opens it later maps it for reading, which `Slab::lend` demands.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, kind, descriptor, 0) };
        if start == libc::MAP_FAILED {
            handle_alloc_error(Layout::from_size_align(bytes, LINE).expect("a block smaller than the address space"));
        }
        if bytes >= 2 * HUGE_PAGE_BYTES {
            // SAFETY: advice on the mapping just made; a refusal costs speed only.
            unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
        }
        Pages { start: NonNull::new(start.cast()).expect("mmap returned an address"), bytes, file }
    }

    /// Whether other processes may look at them.
    pub(super) fn is_in_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether they came from the system untouched; then their domain is that of who touched them first.
    pub(super) fn are_mapped(&self) -> bool {
        self.bytes >= MAPPED_BYTES_MIN
    }

    pub(super) fn address(&self) -> usize {
        self.start.addr().get()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.bytes < MAPPED_BYTES_MIN {
            let layout = Layout::from_size_align(self.bytes, LINE).expect("checked when it was made");
            // SAFETY: made in `fresh` with the same layout, and dropped once.
            unsafe { dealloc(self.start.as_ptr(), layout) };
        } else {
            // SAFETY: mapped in `fresh` with the same length, and dropped once.
            unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
        }
    }
}

/// A run of bytes of one rank, from which blocks are cut.
#[derive(Debug)]
pub struct Slab {
    /// `None` only while `drop` hands the pages back.
    pages: Option<Pages>,
    bytes: usize,
    cut: AtomicBool,
    /// Another process may look at the pages from now on, longer than this one knows.
    lent: AtomicBool,
    memory: Arc<Memory>,
}

impl Slab {
    pub(super) fn new(pages: Pages, bytes: usize, memory: Arc<Memory>) -> Arc<Slab> {
        let (cut, lent) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Slab { pages: Some(pages), bytes, cut, lent, memory })
    }

    /// Bytes that were asked for.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Cuts the slab into consecutive blocks of the given lengths.
    ///
    /// # Panics
    /// If the slab was cut before, or the lengths exceed it.
    pub fn split(slab: &Arc<Slab>, lengths: &[usize]) -> Vec<Arc<BlockCell>> {
        // Relaxed: the flag guards nothing but itself; the slab reached this thread by other means.
        assert!(!slab.cut.swap(true, Relaxed), "a slab is cut once");
        assert!(lengths.iter().sum::<usize>() <= slab.bytes, "the blocks exceed their slab");
        let mut offset = 0;
        let cut = |&bytes: &usize| {
            // SAFETY: the sum of the lengths was checked, so offset and length lie within the slab.
            let start = unsafe { slab.start().add(offset) };
            offset += bytes;
            Arc::new(BlockCell { slab: Arc::clone(slab), start, bytes, users: Count::default() })
        };
        lengths.iter().map(cut).collect()
    }

    /// The address of the first byte, for views that outlive every writer.
    pub fn address(&self) -> *const u8 {
        self.start().as_ptr()
    }

    /// The file that the slab fills from its first byte on, for other processes, which must not write it; none if it
    /// lies in none. From now on the slab is never written in place, and its pages never serve another one.
    pub fn lend(&self) -> Option<RawFd> {
        let file = self.pages.as_ref().and_then(|pages| pages.file.as_ref()).map(AsRawFd::as_raw_fd);
        if file.is_some() {
            // Relaxed: who lends holds the slab, and who writes it in place must be the only one who does.
            self.lent.store(true, Relaxed);
        }
        file
    }

    /// Whether another process may look at the slab.
    pub fn is_lent(&self) -> bool {
        self.lent.load(Relaxed) // Relaxed: as in `lend`
    }

    fn start(&self) -> NonNull<u8> {
        self.pages.as_ref().expect("pages are there until drop").start
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        let pages = self.pages.take().expect("pages are there until drop");
        self.memory.take_back(pages, self.is_lent());
    }
}

/// A block: what tasks declare accesses to.
#[derive(Debug)]
pub struct BlockCell {
    slab: Arc<Slab>,
    /// Within the slab, with `bytes` bytes behind it.
    start: NonNull<u8>,
    bytes: usize,
    users: Count,
}

// SAFETY: the bytes belong to the slab, which may go to any thread, and live as long as this share in it.
unsafe impl Send for BlockCell {}
// SAFETY: a shared cell gives out bytes through guards alone, under invariants 1 to 3.
unsafe impl Sync for BlockCell {}

impl BlockCell {
    /// The block's length in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The slab that the block was cut from.
    pub fn slab(&self) -> &Arc<Slab> {
        &self.slab
    }

    /// Opens the block for reading, beside other readers.
    ///
    /// # Panics
    /// If the block is being written: the graph failed to order an access.
    pub fn read(self: &Arc<Self>) -> ReadGuard {
        ReadGuard::open(Arc::clone(self))
    }

    /// As [`BlockCell::read`], without a share in the block.
    ///
    /// # Panics
    /// As [`BlockCell::read`].
    pub fn borrow(&self) -> ReadGuard<&BlockCell> {
        ReadGuard::open(self)
    }

    /// Opens the block for writing, alone.
    ///
    /// # Panics
    /// If the block has a reader or a writer: the graph failed to order an access.
    pub fn write(self: &Arc<Self>) -> WriteGuard {
        WriteGuard::open(Arc::clone(self))
    }

    /// As [`BlockCell::write`], without a share in the block.
    ///
    /// # Panics
    /// As [`BlockCell::write`].
    pub fn borrow_mut(&self) -> WriteGuard<&BlockCell> {
        WriteGuard::open(self)
    }

    /// Opens the block for all tasks of an epoch, as a writer if any of them writes; false if it is open elsewhere.
    pub(crate) fn claim(&self, writes: bool) -> bool {
        if writes { self.users.begin_write() } else { self.users.try_read() }
    }

    /// Ends what `claim` began, when all tasks of the epoch are done.
    pub(crate) fn give_up(&self, writes: bool) {
        if writes { self.users.end_write() } else { self.users.end_read() }
    }
}

/// What a guard holds on to: it counts the guards, or knows why they need not be counted.
///
/// # Safety
/// Between `begin_read` and `end_read` nobody writes the block; between `begin_write` and `end_write` nobody else
/// reads or writes it. What cannot be had panics.
pub unsafe trait Holder: Deref<Target = BlockCell> {
    /// Takes note of a reader.
    fn begin_read(&self);
    /// Takes note of a reader's end.
    fn end_read(&self);
    /// Takes note of a writer.
    fn begin_write(&self);
    /// Takes note of a writer's end.
    fn end_write(&self);
}

impl BlockCell {
    pub(super) fn count_reader(&self) {
        assert!(self.users.begin_read(), "a block was read while it was written");
    }

    pub(super) fn count_writer(&self) {
        assert!(self.users.begin_write(), "a block was written while it was used");
    }

    pub(super) fn discount_reader(&self) {
        self.users.end_read();
    }

    pub(super) fn discount_writer(&self) {
        self.users.end_write();
    }
}

macro_rules! counted {
    ($($holder:ty),*) => {$(
        // SAFETY: `users` refuses what would share the block with a writer.
        unsafe impl Holder for $holder {
            fn begin_read(&self) {
                self.count_reader();
            }
            fn end_read(&self) {
                self.discount_reader();
            }
            fn begin_write(&self) {
                self.count_writer();
            }
            fn end_write(&self) {
                self.discount_writer();
            }
        }
    )*};
}
counted!(Arc<BlockCell>, &BlockCell);

/// A block open for reading.
#[derive(Debug)]
pub struct ReadGuard<C: Holder = Arc<BlockCell>> {
    cell: C,
}

impl<C: Holder> ReadGuard<C> {
    pub(super) fn open(cell: C) -> ReadGuard<C> {
        cell.begin_read();
        ReadGuard { cell }
    }

    /// The block's elements.
    ///
    /// # Panics
    /// If the length or the alignment does not fit `T`.
    pub fn of<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self)
    }
}

impl<C: Holder> Deref for ReadGuard<C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are initialised and in bounds, and by invariant 1 and the holder nobody writes them.
        unsafe { std::slice::from_raw_parts(self.cell.start.as_ptr(), self.cell.bytes) }
    }
}

impl<C: Holder> Drop for ReadGuard<C> {
    fn drop(&mut self) {
        self.cell.end_read();
    }
}

/// A block open for writing.
#[derive(Debug)]
pub struct WriteGuard<C: Holder = Arc<BlockCell>> {
    cell: C,
}

impl<C: Holder> WriteGuard<C> {
    pub(super) fn open(cell: C) -> WriteGuard<C> {
        cell.begin_write();
        WriteGuard { cell }
    }

    /// The block's elements.
    ///
    /// # Panics
    /// If the length or the alignment does not fit `T`.
    pub fn of<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(self)
    }

    /// The block's elements, to change.
    ///
    /// # Panics
    /// If the length or the alignment does not fit `T`.
    pub fn of_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(self)
    }
}

impl<C: Holder> Deref for WriteGuard<C> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes are initialised and in bounds, and by invariant 1 and the holder this guard is alone.
        unsafe { std::slice::from_raw_parts(self.cell.start.as_ptr(), self.cell.bytes) }
    }
}

impl<C: Holder> DerefMut for WriteGuard<C> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the bytes are initialised and in bounds, and by invariant 1 and the holder this guard is alone.
        unsafe { std::slice::from_raw_parts_mut(self.cell.start.as_ptr(), self.cell.bytes) }
    }
}

impl<C: Holder> Drop for WriteGuard<C> {
    fn drop(&mut self) {
        self.cell.end_write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_a_slab_are_disjoint_and_keep_their_bytes() {
        let slab = Memory::new(1 << 20).slab(24).unwrap();
        let cells = Slab::split(&slab, &[8, 0, 16]);
        cells[0].write().of_mut::<u64>()[0] = 7;
        cells[2].write().of_mut::<u64>().copy_from_slice(&[8, 9]);
        assert_eq!(cells[0].read().of::<u64>(), [7]);
        assert_eq!(cells[1].read().len(), 0);
        assert_eq!(cells[2].read().of::<u64>(), [8, 9]);
    }

    #[test]
    #[should_panic(expected = "read while it was written")]
    fn a_reader_beside_a_writer_is_refused() {
        let cell = Memory::new(1 << 20).block(8).unwrap();
        let _writer = cell.write();
        let _reader = cell.read();
    }

    #[test]
    #[should_panic(expected = "written while it was used")]
    fn a_writer_beside_a_reader_is_refused() {
        let cell = Memory::new(1 << 20).block(8).unwrap();
        let _reader = cell.read();
        let _writer = cell.write();
    }
}
