"""Raw bytes of elements in a file, as `numpy.ndarray.tofile` leaves them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih._native import Array
from girih.files.rows import Described, described, read_rows


def fromfile(
    file: str | os.PathLike[str], dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0
) -> Array:
    """Reads elements that stand in a file without a header. Collective; every rank reads its own.

    `count` elements, or as many as there are, from `offset` bytes on. `sep` must be empty: numbers in text are read by
    `gr.loadtxt`. Raises ValueError if the file holds fewer than `count`, OSError if it cannot be read.

    >>> import numpy as np, girih as gr, tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     np.arange(4.0).tofile(file.name)
    ...     gr.fromfile(file.name).sum().item()
    6.0
    """
    path, kind = os.fspath(file), np.dtype(dtype)
    if sep:
        raise ValueError("sep must be empty, for raw bytes; numbers in text are read by girih.loadtxt")

    def inspect() -> Described:
        there = max(0, os.stat(path).st_size - offset) // kind.itemsize
        if count > there:
            raise ValueError(f"count is {count}, but there are {there} elements of {kind} behind byte {offset}")
        return described((there if count < 0 else count,), kind)

    def read(start: int, stop: int) -> NDArray[Any]:
        return np.fromfile(path, kind, stop - start, offset=offset + start * kind.itemsize)

    return read_rows(path, inspect, read)
