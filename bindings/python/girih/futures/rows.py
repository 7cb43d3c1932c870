"""`map` over the rows of girih's arrays: each call where its row lies.

Invariant: the values do not depend on the number of ranks, nor on how rows are divided among them.
Never here: how a chunk is run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from girih.futures.arguments import is_array
from girih.futures.held import HeldRows, Rows
from girih.futures.mapping import run_chunk
from girih.launched import rank_and_size


class Shown:
    """Rows that an executor shows its tasks; until its end, fresh large arrays lie where workers can open them."""

    def __init__(self) -> None:
        from girih import _native

        # By the place of the rows in memory. Whoever holds rows keeps them there; an array that is written has others.
        self.known: weakref.WeakValueDictionary[Any, HeldRows] = weakref.WeakValueDictionary()
        self._sharing: _native.Sharing | None = _native.Sharing()

    def end(self) -> None:
        """Fresh arrays are for this process alone again."""
        self._sharing = None


def own_rows(array: Any, number: int, shown: Shown) -> HeldRows:
    """This rank's rows of an array, and where they begin; those of one array share a copy, if any. Collective."""
    array = array.redistribute(0) if array.ndim else array
    rows = array.local
    if rank_and_size()[1] == 1 or array.distribution == "replicated":
        held = HeldRows(rows, 0, number, spread=False)
    else:
        held = HeldRows(rows, row_starts(array)[rank_and_size()[0]], number, spread=True)
    if rows.nbytes:
        key = (rows.__array_interface__["data"][0], rows.shape, rows.strides, rows.dtype.str, held.value[0])
        held.same = shown.known.get(key)
        if held.same is None:
            shown.known[key] = held
    return held


def row_starts(array: Any) -> list[int]:
    """The first row of each rank, and the number of all rows. Collective."""
    from girih import _native

    counts = [int(part) for part in _native.all_gather_bytes(b"%d" % len(array.redistribute(0).local))]
    return [sum(counts[:rank]) for rank in range(len(counts) + 1)]


class RowChunk:
    """A function that runs on columns of arguments; a class, so that it is pickled by its name and its function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *columns: Any) -> tuple[float, list[Any]]:
        return run_chunk(self.function, list(zip(*columns, strict=True)))


class Run(NamedTuple):
    """Consecutive rows that lie on one rank; on every rank if that is `None`."""

    rank: int | None
    rows: range


class Columns:
    """The arguments of a `map` of which some are arrays."""

    def __init__(self, hold: Callable[[Any], Any], iterables: tuple[Any, ...]) -> None:
        for one in iterables:
            if is_array(one) and one.ndim == 0:
                raise TypeError("iteration over a 0-d array")
        spread = [one for one in iterables if is_array(one) and _is_spread(one)]
        if len({len(one) for one in spread}) > 1:
            text = ", ".join(str(len(one)) for one in spread)
            raise ValueError(f"distributed arrays in one map must have equally many rows, not {text}")
        self._columns = [hold(one) if is_array(one) else list(one) for one in iterables]
        self._are_arrays = [is_array(one) for one in iterables]
        lengths = [len(one) for one in (*(one for one in iterables if is_array(one)), *self._lists())]
        self._count = min(lengths)
        self._starts = row_starts(spread[0]) if spread else [0, self._count]
        self._spread = bool(spread)

    def _lists(self) -> list[list[Any]]:
        return [column for column, array in zip(self._columns, self._are_arrays, strict=True) if not array]

    def runs(self) -> list[Run]:
        """All rows, in their order."""
        ends = [min(start, self._count) for start in self._starts]
        pieces = [range(start, end) for start, end in zip(ends, ends[1:], strict=False)]
        return [Run(rank if self._spread else None, rows) for rank, rows in enumerate(pieces) if rows]

    def chunk(self, rows: list[int]) -> tuple[Any, ...]:
        """The arguments for some consecutive rows."""
        if not rows:
            return ()
        start, stop = rows[0], rows[-1] + 1
        pairs = zip(self._columns, self._are_arrays, strict=True)
        return tuple([_rows(column, start, stop) if array else column[start:stop] for column, array in pairs])


def _rows(handle: Any, start: int, stop: int) -> Rows:
    return Rows(handle, start, stop)


def _is_spread(array: Any) -> bool:
    return rank_and_size()[1] > 1 and array.distribution != "replicated"
