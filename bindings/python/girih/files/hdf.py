"""Arrays in HDF5 files, by h5py.

Writing needs no parallel HDF5: rank 0 makes a contiguous dataset whose place in the file is fixed at once, and every
rank writes its rows there. A chunked or compressed dataset has no such place, so there the ranks take turns.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, from_rank_0, required
from girih.files.rows import Reader, described, own_rows, read_rows, replacing, write_at


def load_hdf5(file: str | os.PathLike[str], dataset: str | None = None, dtype: Any = None) -> Array:
    """Reads a dataset of an HDF5 file. Collective; every rank reads its own rows.

    Without a name the file must hold exactly one dataset. Raises KeyError for a dataset that is not there, ValueError
    for elements that are not numbers, OSError for what is no HDF5 file.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "points.h5")
    ...     gr.save_hdf5(path, gr.ones((3, 2)), "points")
    ...     gr.load_hdf5(path, "points").shape
    (3, 2)
    """
    opened = hdf5_rows(file, dataset)
    return read_rows(opened.path, opened.inspect, opened.read, dtype)


def hdf5_rows(file: str | os.PathLike[str], dataset: str | None) -> Reader:
    """A dataset of an HDF5 file, not yet read; the rows of a chunk are read together. Collective."""
    path = os.fspath(file)
    h5py = required("h5py", "h5py")

    def inspect() -> list[Any]:
        with h5py.File(path, "r") as opened:
            name = dataset or _only_dataset(h5py, opened)
            found = opened.get(name)
            if not isinstance(found, h5py.Dataset):
                raise KeyError(f"{path} has no dataset {name!r}; it has {', '.join(_datasets(h5py, opened)) or 'none'}")
            if found.shape is None:
                raise ValueError(f"dataset {name!r} is empty: it has no shape")
            return [name, described(found.shape, found.dtype), found.chunks[0] if found.chunks else 1]

    name, known, together = from_rank_0(path, inspect)

    def read(start: int, stop: int) -> NDArray[Any]:
        with h5py.File(path, "r") as opened:
            found = opened[name]
            return np.asarray(found[start:stop] if found.shape else found[()])

    return Reader(path, lambda: (known[0], known[1]), read, lambda: int(together))


def save_hdf5(
    file: str | os.PathLike[str],
    x: Any,
    dataset: str = "data",
    *,
    mode: str = "w",
    chunks: Any = None,
    compression: Any = None,
    compression_opts: Any = None,
) -> None:
    """Writes an array as a dataset of an HDF5 file. Collective; every rank writes its own rows.

    `mode` is `"w"` for a new file, which replaces one that is there, or `"a"` to add to one, in place. `chunks`,
    `compression` and `compression_opts` are h5py's; with any of them the ranks write one after the other.
    Raises ValueError for a dataset that is there already, OSError if the file cannot be written.
    """
    path, array = os.fspath(file), _native.asarray(x)
    if mode not in ("w", "a"):
        raise ValueError(f"mode must be 'w' or 'a', not {mode!r}")
    filters = {"chunks": chunks, "compression": compression, "compression_opts": compression_opts}
    filters = {name: value for name, value in filters.items() if value is not None}
    if mode == "a" and from_rank_0(path, lambda: os.path.exists(path)):
        _write(path, array, dataset, filters)
    else:
        with replacing(path) as beside:
            _write(beside, array, dataset, filters)


def _write(path: str, array: Array, dataset: str, filters: dict[str, Any]) -> None:
    h5py = required("h5py", "h5py")
    start, stop, part = own_rows(array)

    def create() -> int | None:
        with h5py.File(path, "a") as opened:
            if dataset in opened:
                raise ValueError(f"there is a dataset {dataset!r} already")
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            if not filters:
                layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
                layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            made = opened.create_dataset(dataset, array.shape, array.dtype, dcpl=layout, **filters)
            offset: int | None = made.id.get_offset()
        return offset

    offset = from_rank_0(path, create)
    if offset is not None and not filters:
        row_bytes = part.nbytes // max(1, stop - start)
        everywhere(path, lambda: write_at(path, offset + start * row_bytes, part.data) if part.nbytes else None)
        return

    def take_turn() -> None:
        with h5py.File(path, "r+") as opened:
            opened[dataset][() if array.ndim == 0 else slice(start, stop)] = part[0] if array.ndim == 0 else part

    for rank in range(_native.size()):
        mine = rank == _native.rank() and part.size > 0
        everywhere(path, lambda mine=mine: take_turn() if mine else None)  # type: ignore[misc]


def _only_dataset(h5py: Any, opened: Any) -> str:
    names = _datasets(h5py, opened)
    if len(names) != 1:
        raise ValueError(f"dataset must name one of {', '.join(names)}" if names else "the file has no dataset")
    return names[0]


def _datasets(h5py: Any, opened: Any) -> list[str]:
    names: list[str] = []
    opened.visititems(lambda name, found: names.append(name) if isinstance(found, h5py.Dataset) else None)
    return names
