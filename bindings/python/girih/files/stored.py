"""Rows of a matrix in a file that are read when they are needed, for data larger than memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import from_rank_0
from girih.files.hdf import hdf5_rows
from girih.files.parquet import parquet_rows
from girih.files.rows import Described, Reader, described, read_rows
from girih.files.zarr import zarr_rows

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class StoredRows:
    """A matrix that stays in its file; made by `gr.open_rows`.

    What takes one, such as `gr.cluster.KMeans`, reads it once for each pass, a piece at a time and ahead of what is
    needed. It has `shape`, `dtype`, `ndim`, `nbytes`, `path` and `memory_budget`. `rows[start:stop]` reads rows as a
    NumPy array, on the rank that asks; `rows.load()` reads all as a girih array.
    """

    ndim = 2

    def __init__(self, reader: Reader, dtype: Any, memory_budget: int | None) -> None:
        lengths, stored = reader.inspect()
        self.path = reader.path
        if len(lengths) != 2:
            raise ValueError(f"{self.path} holds an array of shape {tuple(lengths)}; rows are those of a matrix")
        self.shape: tuple[int, int] = (lengths[0], lengths[1])
        self.dtype: np.dtype[Any] = np.dtype(stored if dtype is None else dtype)
        self.memory_budget = memory_budget
        self._reader = reader
        self._stored = np.dtype(stored)

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        return f"StoredRows({self.path!r}, shape={self.shape}, dtype={self.dtype})"

    @property
    def nbytes(self) -> int:
        """Bytes of all rows, were they in memory."""
        return self.shape[0] * self.shape[1] * self.dtype.itemsize

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        if not isinstance(rows, slice):
            raise TypeError(f"rows are read by a slice, not by {type(rows).__name__}")
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"the step of the slice must be 1, not {step}")
        return self._read(start, max(start, stop), self.dtype)

    def load(self) -> Array:
        """All rows as a girih array. Collective."""
        return read_rows(self.path, self._reader.inspect, self._reader.read, self.dtype)

    def _read(self, start: int, stop: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(self._reader.read(start, stop), dtype=dtype)

    def observations(self, dtype: np.dtype[Any]) -> _native.Observations:
        """The rows as the native module reads them, as float32 or float64. Collective."""
        source: Any = lambda start, stop: self._read(start, stop, dtype)  # noqa: E731
        if isinstance(self._reader, _NpyReader) and self._stored == dtype:
            source = self.path
        parts = (list(self.shape), dtype, self.memory_budget, max(1, self._reader.together()))
        return _native.Observations.stored(source, *parts)


class _NpyReader(Reader):
    """A `.npy` file, which the native module can read by itself."""


def open_rows(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    dtype: Any = None,
    memory_budget: int | None = None,
) -> StoredRows:
    """Opens a matrix in a file, whose rows are read when they are needed. Collective.

    The file is told by its name: `.npy`; `.h5` or `.hdf5`, of which `name` is the dataset; `.parquet` or `.parq`, a
    file or a folder, of which `columns` names the columns; a folder else is a Zarr store, of which `name` is the array
    within a group, or, if it holds Parquet files, a table. All ranks must be able to read it.

    `memory_budget` bounds the bytes of rows that a rank has in memory at a time, an eighth of its memory limit
    (`GIRIH_MEMORY_LIMIT`) if not given. What is computed does not depend on it. Chunks and row groups that do not fit
    into a few parts of it are read again for each part.

    Raises OSError if the file cannot be read, ValueError for what is no matrix of numbers; alike on all ranks.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "points.npy")
    ...     gr.save(path, gr.arange(12.0).reshape(6, 2))
    ...     rows = gr.open_rows(path, memory_budget=1 << 20)
    ...     rows.shape, gr.cluster.KMeans(2, init=[[0, 1], [10, 11]]).fit(rows).inertia_
    ((6, 2), 32.0)
    """
    file = os.fspath(path)
    if memory_budget is not None and (isinstance(memory_budget, bool) or int(memory_budget) < 1):
        raise ValueError(f"memory_budget must be a number of bytes >= 1, not {memory_budget!r}")
    wanted = None if dtype is None else np.dtype(dtype)
    if wanted is not None and wanted not in _FLOATS:
        raise ValueError(f"dtype must be float32 or float64, not {wanted}")
    reader = _reader(file, name, columns)
    known: Described = from_rank_0(file, reader.inspect)
    together = from_rank_0(file, reader.together)
    agreed = type(reader)(reader.path, lambda: known, reader.read, lambda: int(together))
    return StoredRows(agreed, wanted, None if memory_budget is None else int(memory_budget))


def _reader(file: str, name: str | None, columns: Sequence[str] | None) -> Reader:
    ending = os.path.splitext(file.rstrip("/"))[1].lower()
    table = ending in (".parquet", ".parq") or from_rank_0(file, lambda: _holds_parquet(file))
    if columns is not None and not table:
        raise ValueError(f"columns are of Parquet tables, and {file} is none")
    if table:
        return parquet_rows(file, None if columns is None else list(columns))
    if ending in (".h5", ".hdf5", ".hdf"):
        return hdf5_rows(file, name)
    if ending == ".npy":
        return _npy_rows(file)
    if ending == ".zarr" or from_rank_0(file, lambda: os.path.isdir(file)):
        return zarr_rows(file, name)
    raise ValueError(f"path: {file} does not end in .npy, .h5, .hdf5, .parquet or .zarr")


def _holds_parquet(file: str) -> bool:
    return os.path.isdir(file) and any(name.endswith((".parquet", ".parq")) for name in os.listdir(file))


def _npy_rows(file: str) -> Reader:
    def opened() -> NDArray[Any]:
        array: NDArray[Any] = np.load(file, mmap_mode="r")
        return array

    def inspect() -> Described:
        array = opened()
        return described(array.shape, array.dtype)

    return _NpyReader(file, inspect, lambda start, stop: np.array(opened()[start:stop]))
