"""Values that tasks name instead of carrying them: pickled once, in the shared memory of each rank that needs them.

A handle stands for such a value in arguments, closures and containers; where a task runs, it is the value. Large arrays
in it are not copied for a task, so they are read-only there.
Invariant: a value stays in a rank's memory as long as its handle, or a task that names it, exists.
Never here: which ranks have a value (`leader`, `follower`), messages. No NumPy before somebody brings an array.
"""

from __future__ import annotations

import itertools
import pickle
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from girih.futures import wire
from girih.futures.arena import Arena
from girih.futures.loose import Loose, count_bytes, loosen
from girih.futures.sheet import Sheet, shown_where_they_lie
from girih.futures.wire import Parcel, Reference

# A pickle of up to so many bytes travels in each message that names the value.
INLINE_BYTES = 1024

_numbers = itertools.count(1)


class Held:
    """An object that is pickled once for many tasks; its large buffers lie in one arena once, read-only for workers."""

    def __init__(self, value: Any, number: int | None = None) -> None:
        self.value = value
        self.number = next(_numbers) if number is None else number
        self.named: list[Held] = []  # those that its own pickle names
        self.forgotten: Callable[[int], None] | None = None  # told at its end
        self.source: weakref.ref[Future[Any]] | None = None  # whose value it is
        self._sheet: Sheet | None = None
        self._parcel: Parcel | None = None
        self._loose: Loose | None = None
        self._arena: Arena | None = None
        self._stored: list[Reference] = []
        self._borrowed: list[Any] = []  # buffers that lie in the arena already, kept
        self._lock = threading.RLock()

    spread = False  # whether each rank has a part of it
    sheeted = False  # whether it lies on a sheet on every node
    node_is_shared = False  # whether other ranks read what this one has

    def parcel(self, arena: Arena) -> Parcel:
        """The pickled object, its large parts in the arena, or all of it on its sheet if there is one.

        Raises `ValueError` for the arena of another executor.
        """
        with self._lock:
            if self._sheet is not None or (self._parcel is None and self.is_for_node()):
                return self.sheet()
            if self._parcel is None:
                self._arena = arena
                with naming() as self.named:
                    self._parcel = wire.wrap(self.value, self._store, INLINE_BYTES)
            elif self._arena is not arena:
                raise ValueError("a handle is an argument for tasks of the executor that made it, not of another one")
            return self._parcel

    def loose(self) -> Loose:
        """The pickled object as bytes for other ranks."""
        with self._lock:
            if self._loose is None:
                with naming() as self.named:
                    self._loose = loosen(self.value)
            return self._loose

    def sheet(self) -> Parcel:
        """The pickled object on a sheet, from now on for this rank's workers too."""
        with self._lock:
            if self._sheet is None:
                if self._loose is None:
                    buffers: list[pickle.PickleBuffer] = []
                    with naming() as self.named:
                        data = wire.dumps(self.value, buffers)
                    self._sheet = Sheet(data, [buffer.raw() for buffer in buffers])
                else:
                    self._sheet = Sheet(*self._loose)
            return self._sheet.parcel

    def is_for_node(self) -> bool:
        """True if ranks of this node should have it together: a large value that is nobody's result."""
        return Held.node_is_shared and self.source is None and not self.spread and self.is_large()

    def is_large(self) -> bool:
        """True if it is worth a sheet."""
        if getattr(self.value, "nbytes", 0) >= wire.BUFFER_BYTES or self._sheet is not None:
            return True
        return count_bytes(self.loose()) >= wire.BUFFER_BYTES

    def count_bytes(self) -> int:
        """About how many bytes a rank is sent that has not got it."""
        if self._loose is not None:
            return count_bytes(self._loose)
        if self._parcel is not None:
            return len(self._parcel.inline) + sum(one.length for one in self._parcel.references())
        return int(getattr(self.value, "nbytes", 0))

    def _store(self, buffer: Any) -> Reference:
        assert self._arena is not None, "a value without its arena"
        found = self._arena.find(buffer) if isinstance(buffer, pickle.PickleBuffer) else None
        if found is not None:
            # What a worker left there is shown to others where it lies.
            self._borrowed.append(buffer)
            return Reference(found.offset, found.length, True)
        stored = self._arena.store(buffer, shared=True)
        self._stored.append(stored)
        return stored

    def __del__(self) -> None:
        if self._arena is not None:
            for reference in self._stored:
                self._arena.unpin(reference)
        if self.forgotten is not None:
            self.forgotten(self.number)


class HeldRows(Held):
    """The rows of a distributed array that lie on this rank, and the number of the first of them."""

    def __init__(self, rows: Any, first: int, number: int, *, spread: bool) -> None:
        super().__init__((first, rows), number)
        self.spread = spread
        self.same: HeldRows | None = None  # the same rows of the same array, held before
        self._lent = shown_where_they_lie(self.value, rows)

    def parcel(self, arena: Arena) -> Parcel:
        """The rows where they lie, if workers can open that; else in the arena, or where they lie there already."""
        if self._lent is not None:
            return self._lent
        return super().parcel(arena) if self.same is None else self.same.parcel(arena)


class Handle(Future[Any]):
    """A value in the shared memory of ranks; a future that is done. As an argument of tasks, or anywhere in one, it is
    the value itself, which is not sent again. Made by `RankExecutor.scatter` and `RankExecutor.broadcast`.

    The memory is free for others when the handle and the tasks that use it are gone.

    >>> from girih.futures import Handle, RankExecutor
    >>> with RankExecutor(max_workers=2) as executor:
    ...     table = executor.broadcast({"a": 1})
    ...     print(isinstance(table, Handle), executor.submit(lambda key: table[key], "a").result(), table.result())
    True 1 {'a': 1}
    """

    def __init__(self, value: Any, held: Held | None) -> None:
        super().__init__()
        self.held = held
        self.set_running_or_notify_cancel()
        self.set_result(value)

    def __reduce__(self) -> Any:
        if self.held is None:
            return _itself, (self.result(),)
        name(self.held)
        return (show_rows if isinstance(self.held, HeldRows) else show), (self.held.number,)


class NamesNeededError(pickle.PicklingError):
    """A handle was met by a pickle that does not collect names."""


class Rows:
    """Some rows of a distributed array, in an argument; where a task runs, they are a view on the rank's own."""

    def __init__(self, handle: Handle, start: int, stop: int) -> None:
        self.handle, self.start, self.stop = handle, start, stop

    def __reduce__(self) -> Any:
        held = self.handle.held
        name(held)
        assert held is not None, "a name without its value"
        return show_rows, (held.number, self.start, self.stop)


# --- names in pickles -------------------------------------------------------------------------------------------------

_open = threading.local()


class naming:  # noqa: N801 - used as a function
    """Collects the values that are named in pickles made by this thread: `with naming() as names`."""

    def __enter__(self) -> list[Held]:
        self._outer = getattr(_open, "names", None)
        names: list[Held] = []
        _open.names = names
        return names

    def __exit__(self, *_: object) -> None:
        _open.names = self._outer


def name(held: Held | None) -> None:
    """Notes that the pickle which is being made names a value."""
    names = getattr(_open, "names", None)
    if names is None or held is None:
        raise NamesNeededError("a handle is pickled as an argument of a task only; elsewhere use its result()")
    if all(known is not held for known in names):
        names.append(held)


def all_named(names: list[Held]) -> list[Held]:
    """With those that are named in values that are named."""
    found = list(names)
    for held in found:
        found += [inner for inner in held.named if all(known is not inner for known in found)]
    return found


def _itself(value: Any) -> Any:
    return value


def show(number: int) -> Any:
    """The value of a name, in a worker."""
    from girih.futures import nested

    line = nested.line()
    if line is None:
        raise pickle.UnpicklingError("a handle is a value in workers only")
    return line.worker.shown(number)


def show_rows(number: int, start: int | None = None, stop: int | None = None) -> Any:
    """The rank's rows of a distributed array, or some of them, in a worker."""
    first, rows = show(number)
    return rows if start is None or stop is None else rows[start - first : stop - first]
