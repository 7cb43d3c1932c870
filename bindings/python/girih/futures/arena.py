"""Memory that a rank shares with its workers: one sparse file in memory, cut into slices of one writer each.

Each process allocates in its own slice alone, so a process that is killed leaves nothing half changed for the others.
A block begins with a page of hold marks, one byte for each process that may use it; whoever has a view on the block
keeps its byte set. The owner takes a block again when no byte is set and nobody else pins it.
The file has no name: when its last process is gone, however it went, the memory is the system's again.
Invariant: a block that is pinned or held is neither given out again nor returned to the system.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import pickle
import resource
import struct
import threading
import weakref
from typing import Any

from girih.futures.wire import Reference, parcel_of

PAGE = mmap.PAGESIZE
# Hold marks fill a page, so slots are numbered below this.
SLOTS_MAX = PAGE
# The rank itself, in hold marks; workers count from 1.
HOME = 0
# The board: one row for each slot, before the first slice.
ROW = struct.Struct("<QQ")  # the task that the worker runs, and since when (ns of the monotonic clock); 0: none
BOARD_BYTES = SLOTS_MAX * ROW.size
LOW_MARK = BOARD_BYTES  # functions with lower numbers will not be called again
FIRST_SLICE = BOARD_BYTES + PAGE
# Of the 128 TiB of addresses that a process has; arenas live as long as anybody looks at a result in them.
ADDRESS_BYTES = 4 << 40
# A copy longer than this lets other threads run in between.
COPY_BYTES = 8 << 20
# Free blocks of more than this altogether go back to the system.
FREE_BYTES_MAX = 512 << 20
# Of blocks from this size on, one more is kept than was ever needed at once: to get their pages takes milliseconds.
SPARE_BYTES = 1 << 20
# Pages of a rank's slice that the system gives before anybody waits for them, and how many at a time.
WARM_BYTES = 64 << 20
WARM_STEP_BYTES = 2 << 20
_POPULATE_WRITE = 23  # MADV_POPULATE_WRITE, Linux 5.14
_REMOVE = 9  # MADV_REMOVE
_NO_MARKS = bytes(PAGE)


class Layout:
    """The sizes of an arena, from the memory of this node: enough room, of which only what is touched exists."""

    def __init__(self, slices: int) -> None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        room = ADDRESS_BYTES if limit == resource.RLIM_INFINITY else min(limit // 4, ADDRESS_BYTES)
        # The rank's own slice holds the arguments of all tasks, a worker's the results of its own.
        self._home_bytes = min(2 * memory, room // 4) // PAGE * PAGE
        self._slice_bytes = min(2 * memory, room * 3 // 4 // slices) // PAGE * PAGE
        self.total_bytes = self.start(slices)

    def start(self, index: int) -> int:
        """Where slice `index` begins; 0 is the rank's own."""
        return FIRST_SLICE if index == 0 else FIRST_SLICE + self._home_bytes + (index - 1) * self._slice_bytes


class Arena:
    """The shared file as this process sees it: its own slice to write, all of it to read."""

    def __init__(self, file: int, total_bytes: int, first: int, end: int, slot: int) -> None:
        self.memory = mmap.mmap(file, total_bytes)
        self.view = memoryview(self.memory)
        self.slot = slot
        self._fresh = first
        self._warm = first  # up to here pages exist
        self._end = end
        self._first = first
        self.stored_bytes = 0  # copied in by this process so far
        self._lock = threading.RLock()
        self._free: dict[int, list[int]] = {}
        self._cold: dict[int, list[int]] = {}  # free, and without pages
        self._free_bytes = 0
        self._pins: dict[int, int] = {}  # by block
        self._sizes: dict[int, int] = {}  # by block, all that are not free
        self._lingering: list[int] = []  # not pinned, held by somebody
        self._spared: set[int] = set()  # sizes of which a spare was made, or is about to be
        self.wanted: set[int] = set()  # sizes of which a free block should be kept
        self._closed = False
        self._abroad: set[int] = set()  # blocks of other slices that this process was told of
        self._views: dict[int, int] = {}  # views of this process on blocks, by block
        self._watched: dict[int, Any] = {}  # weak references to those views, kept alive
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self._total = total_bytes

    # --- blocks of this process ---------------------------------------------------------------------------------------

    def store(self, data: Any, *, shared: bool = False) -> Reference:
        """Copies bytes or a buffer into a block of this process's slice, pinned once.

        Raises `MemoryError` if the slice is full.
        """
        source = memoryview(data.raw() if hasattr(data, "raw") else data).cast("B")
        block = self._take(source.nbytes)
        offset = block + PAGE
        self.stored_bytes += source.nbytes
        for start in range(0, source.nbytes, COPY_BYTES):
            stop = min(start + COPY_BYTES, source.nbytes)
            self.view[offset + start : offset + stop] = source[start:stop]
        return Reference(offset, source.nbytes, shared)

    def pin(self, reference: Reference) -> None:
        """Keeps a block of this process until it is unpinned once more."""
        with self._lock:
            self._pins[reference.offset - PAGE] += 1

    def unpin(self, reference: Reference) -> None:
        """Takes back one `pin`, or the one that `store` began with."""
        block = reference.offset - PAGE
        with self._lock:
            if self._closed:
                return
            self._pins[block] -= 1
            if self._pins[block] == 0:
                del self._pins[block]
                self._release(block)

    def owns(self, reference: Reference) -> bool:
        """True for a block of this process's slice."""
        return self._first <= reference.offset < self._end

    def forget_slot(self, slot: int) -> None:
        """Clears the marks of a process that is gone."""
        with self._lock:
            for block in (*self._sizes, *self._abroad):
                self.memory[block + slot] = 0

    def note(self, reference: Reference) -> None:
        """Remembers a block of another slice, which may outlive its owner."""
        if not self.owns(reference):
            with self._lock:
                self._abroad.add(reference.offset - PAGE)

    def clear_slice(self, first: int, end: int) -> bool:
        """Gives the memory of a slice back whose owner is gone; false while somebody uses a block of it."""
        with self._lock:
            known = [block for block in self._abroad if first <= block < end]
            if any(self.memory[block : block + PAGE] != _NO_MARKS for block in known):
                return False
            self._abroad.difference_update(known)
            self.memory.madvise(_REMOVE, first, end - first)
            return True

    def make_spares(self) -> None:
        """Makes the system give a free block of each size that had to be waited for, so that the next one need not."""
        while self.wanted:
            size = self.wanted.pop()
            with self._lock:
                if self._closed or self._free.get(size) or self._free_bytes + size > FREE_BYTES_MAX // 2:
                    continue
            try:
                block = self._take(size - PAGE)
            except MemoryError:
                return
            with self._lock:
                del self._pins[block]
                self._release(block)

    def warm(self) -> bool:
        """Makes the system give some more of the first pages of this process's slice; false if that is done."""
        with self._lock:
            start = max(self._warm, self._fresh)
            end = min(start + WARM_STEP_BYTES, self._first + WARM_BYTES, self._end)
            if self._closed or start >= end:
                return False
        # What lies there already stays as it is, so others may store meanwhile.
        if self._fault(start, end - start):
            return False
        with self._lock:
            self._warm = max(self._warm, end)
        return True

    def warm_bytes(self) -> int:
        """Bytes that no block was made of yet, and whose pages exist."""
        return max(self._warm - self._fresh, 0)

    def free_bytes(self) -> int:
        """Bytes kept for later blocks."""
        return self._free_bytes

    def _take(self, length: int) -> int:
        size = _size_class(length + PAGE)
        with self._lock:
            if self._lingering:
                self._sweep()
            stack, cold = self._free.get(size), self._cold.get(size)
            warm = bool(stack)
            if stack:
                block = stack.pop()
                self._free_bytes -= size
            elif cold:
                block = cold.pop()
            else:
                block = self._fresh
                if block + size > self._end:
                    raise MemoryError(f"shared memory for {length} bytes: the arena of this process is full")
                self._fresh += size
                warm = self._fresh <= self._warm
            self._pins[block] = 1
            self._sizes[block] = size
        if not warm:
            self._populate(block, size)
            if size >= SPARE_BYTES and size not in self._spared:
                self._spared.add(size)
                self.wanted.add(size)
                self.tell_wanted()
        return block

    def tell_wanted(self) -> None:
        """Told when a size is wanted; whoever makes spares in another thread puts his own word here."""

    def _populate(self, block: int, size: int) -> None:
        if self._fault(block, size) in (errno.ENOMEM, errno.EFAULT):
            # A page that cannot be had would end the process where it is touched.
            with self._lock:
                del self._pins[block]
                self.memory.madvise(_REMOVE, block, size)
                self._cold.setdefault(self._sizes.pop(block), []).append(block)
            raise MemoryError(f"the system has no {size} bytes of shared memory")

    def _fault(self, start: int, length: int) -> int:
        """Gets all pages of a part in one call instead of a fault for each; the system's error, 0 if there was none.

        A system that does not know how faults page by page, later.
        """
        failed = _libc().madvise(ctypes.c_void_p(self._base + start), ctypes.c_size_t(length), _POPULATE_WRITE)
        return ctypes.get_errno() if failed else 0

    def _sweep(self) -> None:
        waiting, self._lingering = self._lingering, []
        for block in waiting:
            self._release(block)

    def _release(self, block: int) -> None:
        """Makes a block free if nobody holds it; it lingers otherwise."""
        if self.memory[block : block + PAGE] != _NO_MARKS:
            self._lingering.append(block)
            return
        size = self._sizes.pop(block)
        if self._free_bytes + size > FREE_BYTES_MAX:
            self.memory.madvise(_REMOVE, block, size)
            self._cold.setdefault(size, []).append(block)
        else:
            self._free.setdefault(size, []).append(block)
            self._free_bytes += size

    # --- views on blocks of any process -------------------------------------------------------------------------------

    def open(self, reference: Reference, *, writable: bool) -> memoryview:
        """A view on bytes in the arena; while it, or an array made of it, exists the block stays."""
        block = reference.offset - PAGE
        shown = (ctypes.c_char * reference.length).from_buffer(self.memory, reference.offset)
        key = id(shown)

        def closed(_: Any) -> None:
            with self._lock:
                self._watched.pop(key, None)
                self._views[block] -= 1
                if self._views[block] == 0:
                    del self._views[block]
                    if not self._closed:
                        self.memory[block + self.slot] = 0

        self.note(reference)
        with self._lock:
            self._views[block] = self._views.get(block, 0) + 1
            self.memory[block + self.slot] = 1
            self._watched[key] = weakref.ref(shown, closed)
        view = memoryview(shown).cast("B")
        return view if writable else view.toreadonly()

    def open_parcel(self, plain: Any) -> Any:
        """The object of a flat parcel; its arrays are views on shared memory, which they keep."""
        parcel = parcel_of(plain)
        assert parcel is not None, "a message without its object"
        if parcel.file is not None:
            from girih.futures.sheet import open_sheet

            return open_sheet(parcel)
        buffers = [self.open(one, writable=not one.shared) for one in parcel.buffers]
        if parcel.body is None:
            return pickle.loads(parcel.inline, buffers=buffers)
        return pickle.loads(self.open(parcel.body, writable=False), buffers=buffers)

    def find(self, buffer: Any) -> Reference | None:
        """The reference of a writable buffer that is the start of a block in this arena, whole; else `None`."""
        raw = buffer.raw()
        if raw.readonly or raw.nbytes == 0:
            return None
        offset = ctypes.addressof(ctypes.c_char.from_buffer(raw)) - self._base
        if not (0 <= offset < self._total) or (offset - PAGE) not in self._views:
            return None
        return Reference(offset, raw.nbytes, False)

    def hold_for_home(self, reference: Reference) -> None:
        """Marks a block as used by the rank, before it is told of it."""
        self.memory[reference.offset - PAGE + HOME] = 1

    def release_home(self, reference: Reference) -> None:
        """Clears the rank's mark, for a block that the rank was told of and did not open."""
        block = reference.offset - PAGE
        with self._lock:
            if block not in self._views:
                self.memory[block + HOME] = 0

    def close(self) -> None:
        """Gives the addresses back, now or with the last view."""
        with self._lock:
            self._closed = True
            if not self._views:
                self.view.release()
                try:
                    self.memory.close()
                except BufferError:
                    pass  # somebody holds a part of a view; the last one lets go of everything

    # --- the board ----------------------------------------------------------------------------------------------------

    def row(self, slot: int) -> tuple[int, int]:
        """The task that a worker runs, and since when; (0, 0) if it runs none."""
        return ROW.unpack_from(self.memory, slot * ROW.size)

    def write_row(self, slot: int, task: int, since: int) -> None:
        """Says what a worker runs."""
        ROW.pack_into(self.memory, slot * ROW.size, task, since)

    def low_mark(self) -> int:
        """The lowest number of a function that may be called again."""
        return int.from_bytes(self.memory[LOW_MARK : LOW_MARK + 8], "little")

    def write_low_mark(self, mark: int) -> None:
        """Says that functions below `mark` will not be called again."""
        self.memory[LOW_MARK : LOW_MARK + 8] = mark.to_bytes(8, "little")


def new_file(layout: Layout) -> int:
    """The file of a new arena, without a name and without pages."""
    file = os.memfd_create("girih-arena", os.MFD_CLOEXEC)
    os.ftruncate(file, layout.total_bytes)
    return file


def _size_class(size: int) -> int:
    """At least `size`, in whole pages: four classes to a doubling, so that little is wasted and much fits again."""
    pages = -(-size // PAGE)
    step = max(1 << max(pages.bit_length() - 3, 0), 1)
    return -(-pages // step) * step * PAGE


_library: Any = None


def _libc() -> Any:
    global _library
    if _library is None:
        _library = ctypes.CDLL(None, use_errno=True)
    return _library
