"""Arrays in Zarr stores, by the package zarr: format 3 is written, formats 2 and 3 are read.

Chunks are cut so that each lies within the rows of one rank; so no two ranks write to the same chunk.
"""

from __future__ import annotations

import functools
import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, required
from girih.files.rows import Described, Reader, described, own_rows, read_rows, replacing

# Long enough to be worth a file of its own, short enough to be read by many.
_CHUNK_BYTES = 8 << 20


def load_zarr(store: str | os.PathLike[str], name: str | None = None, dtype: Any = None) -> Array:
    """Reads an array of a Zarr store in a folder. Collective; every rank reads the chunks that hold its rows.

    `name` is the path of the array within a group. Raises FileNotFoundError if there is no such folder, ValueError if
    there is no such array in it or its elements are not numbers.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "points.zarr")
    ...     gr.save_zarr(path, gr.ones((3, 2)))
    ...     gr.load_zarr(path).shape
    (3, 2)
    """
    opened = zarr_rows(store, name)
    return read_rows(opened.path, opened.inspect, opened.read, dtype)


def zarr_rows(store: str | os.PathLike[str], name: str | None) -> Reader:
    """An array of a Zarr store, not yet read; the rows of a chunk are read together."""
    path = os.fspath(store)
    zarr = required("zarr", "zarr")

    @functools.cache
    def opened() -> Any:
        if not os.path.isdir(path):
            raise FileNotFoundError(2, "no such Zarr store", path)
        return zarr.open_array(path, mode="r", path=name or "")

    def inspect() -> Described:
        found = opened()
        return described(found.shape, np.dtype(found.dtype))

    def read(start: int, stop: int) -> NDArray[Any]:
        found = opened()
        return np.asarray(found[start:stop] if found.shape else found[()])

    return Reader(path, inspect, read, lambda: opened().chunks[0])


def save_zarr(store: str | os.PathLike[str], x: Any) -> None:
    """Writes an array as a Zarr store of format 3, in a folder that is replaced. Collective.

    Every rank writes the chunks of its rows; chunks are whole rows, of at most 8 MiB where rows allow.
    """
    path, array = os.fspath(store), _native.asarray(x)
    zarr = required("zarr", "zarr")
    start, stop, part = own_rows(array)
    chunks = (chunk_rows(array), *(max(1, length) for length in array.shape[1:])) if array.ndim else ()

    def create(beside: str) -> None:
        zarr.create_array(beside, shape=array.shape, dtype=array.dtype, chunks=chunks)

    def write(beside: str) -> None:
        made = zarr.open_array(beside, mode="r+")
        if part.size:
            made[() if array.ndim == 0 else slice(start, stop)] = part[0] if array.ndim == 0 else part

    with replacing(path) as beside:
        everywhere(path, lambda: create(beside) if _native.rank() == 0 else None)
        everywhere(path, lambda: write(beside))


def chunk_rows(array: Array) -> int:
    """Rows of a chunk: a divisor of every rank's first row, so that no chunk belongs to two ranks."""
    rows = array.shape[0]
    starts = [_native.rows_of_rank(rows, rank)[0] for rank in range(_native.size())]
    chunk = math.gcd(*starts) or max(1, rows)
    row_bytes = array.nbytes // max(1, rows)
    while chunk % 2 == 0 and chunk * row_bytes > _CHUNK_BYTES:
        chunk //= 2
    return chunk
