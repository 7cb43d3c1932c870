"""Which rows of a file a rank reads and writes, and how parts become an array.

Invariant: the rows of the ranks follow one another, cover the array, and are those that the rank holds of every
array with as many rows; so reading moves nothing between ranks, unless the array is small and lives on all of them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, from_rank_0

Described = tuple[list[int], str]
"""Shape and dtype, as JSON can say them."""


class Reader(NamedTuple):
    """An array in a file: `inspect` finds what it is, `read(start, stop)` reads rows, both without other ranks."""

    path: str
    inspect: Callable[[], Described]
    read: Callable[[int, int], NDArray[Any]]
    # How many rows the file gives only together, such as those of a compressed chunk.
    together: Callable[[], int] = lambda: 1


def described(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Described:
    """What rank 0 tells of an array in a file.

    Raises ValueError for a type of element that no array of girih has.
    """
    if dtype.kind not in "biufc" or dtype.itemsize > 16 or dtype.char in "gG":
        raise ValueError(f"elements of type {dtype} cannot be read; numbers and bool can")
    return [int(length) for length in shape], dtype.newbyteorder("=").name


def read_rows(
    path: str,
    inspect: Callable[[], Described],
    read: Callable[[int, int], NDArray[Any]],
    dtype: Any = None,
) -> Array:
    """The array that `inspect` finds and of which `read(start, stop)` reads rows; of no axes, `read(0, 1)` reads it.

    `inspect` runs on rank 0 alone, `read` on each rank for its own rows; either may fail on one rank.
    """
    lengths, name = from_rank_0(path, inspect)
    shape, stored = tuple(lengths), np.dtype(name)
    start, stop = _native.rows_of_rank(shape[0]) if shape else (0, 1)

    def part() -> NDArray[Any]:
        rows = read(start, stop)
        expected = (stop - start, *shape[1:]) if shape else ()
        if rows.shape != expected:
            raise ValueError(f"rows {start} to {stop} have the shape {rows.shape} instead of {expected}")
        return np.ascontiguousarray(rows, dtype=stored).reshape(expected)

    rows = everywhere(path, part)
    array = _native.from_local(rows) if shape else _native.asarray(rows)
    return array if dtype is None else array.astype(dtype)


def own_rows(x: Array) -> tuple[int, int, NDArray[Any]]:
    """The rows of an array that this rank writes, and their elements; an array of no axes counts as one row."""
    if x.ndim == 0:
        start, stop = _native.rows_of_rank(1)
        return start, stop, x.local.reshape(1)[start:stop]
    local = x.redistribute(0).local
    start, stop = _native.rows_of_rank(x.shape[0])
    # A small array is whole on every rank.
    return start, stop, local[start:stop] if len(local) == x.shape[0] else local


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """A name beside `path`, which takes its place when the block succeeds and is gone when it fails.

    What stood there before, a file or a folder, is there until then. The block is collective, and fails on all ranks
    or on none.
    """
    beside = f"{path}.writing"
    everywhere(path, lambda: _remove(beside) if _native.rank() == 0 else None)
    try:
        yield beside
    except BaseException as error:
        if _native.rank() == 0:
            _remove(beside)
        # An interrupt may have come to this rank alone; everything else is raised on all, and all see a clean folder.
        if isinstance(error, Exception):
            _native.barrier()
        raise
    everywhere(path, lambda: _take_place(beside, path) if _native.rank() == 0 else None)


def write_at(path: str, offset: int, data: bytes | memoryview) -> None:
    """Writes bytes into a file that is there, at an offset; complete, or an OSError."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        rest = memoryview(data).cast("B")
        while rest:
            written = os.pwrite(descriptor, rest, offset)
            rest, offset = rest[written:], offset + written
    finally:
        os.close(descriptor)


def _take_place(beside: str, path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        # A folder can be replaced only by moving it away first.
        before = f"{path}.replaced"
        _remove(before)
        os.rename(path, before)
        os.rename(beside, path)
        _remove(before)
    else:
        os.replace(beside, path)


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
