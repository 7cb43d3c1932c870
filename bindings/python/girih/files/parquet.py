"""Matrices in Parquet files, by pyarrow: a column of the matrix is a column of the table.

A table that is written is a folder with a file for each rank, as Spark, Dask and pandas write and read it; one that is
read is such a folder, or a single file.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, from_rank_0, required
from girih.files.rows import Described, Reader, described, own_rows, read_rows, replacing


def load_parquet(
    path: str | os.PathLike[str], columns: str | Sequence[str] | None = None, dtype: Any = None
) -> Array:
    """Reads columns of a Parquet file, or of all files of a folder in the order of their names. Collective.

    `columns` names them in the order wanted, all of them without it; one name as a string gives an array of one axis.
    The type of the array is NumPy's common type of the columns. A missing value is NaN in a column of floating-point
    numbers. Every rank reads the row groups that hold its rows.

    Raises KeyError for a column that is not there, ValueError for a column that is not of numbers or misses values of
    integers.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "table")
    ...     gr.save_parquet(path, gr.ones((3, 2)), columns=["a", "b"])
    ...     gr.load_parquet(path, "b").shape
    (3,)
    """
    opened = parquet_rows(path, columns)
    return read_rows(opened.path, opened.inspect, opened.read, dtype)


def parquet_rows(path: str | os.PathLike[str], columns: str | Sequence[str] | None) -> Reader:
    """Columns of a Parquet file or folder, not yet read; the rows of a row group are read together. Collective."""
    folder = os.fspath(path)
    parquet = required("pyarrow.parquet", "pyarrow")

    def inspect() -> list[Any]:
        files = _files(folder)
        schema = parquet.ParquetFile(files[0]).schema_arrow
        wanted = [columns] if isinstance(columns, str) else list(columns or schema.names)
        kinds = [_kind(schema, name) for name in wanted]
        groups = []
        for index, file in enumerate(files):
            opened = parquet.ParquetFile(file)
            if [_kind(opened.schema_arrow, name) for name in wanted] != kinds:
                raise ValueError(f"the columns of {file} have other types than those of {files[0]}")
            metadata = opened.metadata
            groups += [[index, group, metadata.row_group(group).num_rows] for group in range(metadata.num_row_groups)]
        return [files, wanted, np.result_type(*kinds).name if kinds else "float64", groups]

    files, wanted, kind, groups = from_rank_0(folder, inspect)
    rows = sum(group[2] for group in groups)
    whole = not isinstance(columns, str)

    def known() -> Described:
        return described((rows, len(wanted)) if whole else (rows,), np.dtype(kind))

    def read(start: int, stop: int) -> NDArray[Any]:
        part = np.empty((stop - start, len(wanted)), kind)
        first = 0
        for index, group, count in groups:
            low, high = max(start, first), min(stop, first + count)
            if low < high:
                table = parquet.ParquetFile(files[index]).read_row_group(group, columns=list(dict.fromkeys(wanted)))
                table = table.slice(low - first, high - low)
                for at, name in enumerate(wanted):
                    part[low - start : high - start, at] = _numbers(table[name], name)
            first += count
        return part if whole else part[:, 0]

    return Reader(folder, known, read, lambda: max((group[2] for group in groups), default=1))


def save_parquet(path: str | os.PathLike[str], x: Any, columns: Sequence[str] | None = None) -> None:
    """Writes a matrix, or an array of one axis as one column, as a folder of Parquet files. Collective.

    Every rank writes a file of its own rows, `part-00000.parquet` and so on. Columns without names are called `0`,
    `1`, and so on. A folder that is there is replaced.
    """
    folder, array = os.fspath(path), _native.asarray(x)
    pyarrow, parquet = required("pyarrow", "pyarrow"), required("pyarrow.parquet", "pyarrow")
    if array.ndim not in (1, 2):
        raise ValueError(f"x must have one or two axes to be a table, not the shape {array.shape}")
    if np.dtype(array.dtype).kind == "c":
        raise ValueError("x is complex, which Parquet has no type for: save x.real and x.imag")
    width = array.shape[1] if array.ndim == 2 else 1
    names = [str(name) for name in (range(width) if columns is None else columns)]
    if len(names) != width or len(set(names)) != width:
        raise ValueError(f"columns must be {width} different names, not {names}")
    _, _, part = own_rows(array)
    part = part.reshape(len(part), width)

    def write(beside: str) -> None:
        table = pyarrow.table({name: np.ascontiguousarray(part[:, at]) for at, name in enumerate(names)})
        parquet.write_table(table, os.path.join(beside, f"part-{_native.rank():05}.parquet"))

    with replacing(folder) as beside:
        everywhere(folder, lambda: os.mkdir(beside) if _native.rank() == 0 else None)
        everywhere(folder, lambda: write(beside))


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    files = [os.path.join(path, name) for name in sorted(os.listdir(path)) if name.endswith((".parquet", ".parq"))]
    if not files:
        raise FileNotFoundError(2, "no file in the folder ends in .parquet", path)
    return files


def _kind(schema: Any, name: str) -> np.dtype[Any]:
    if name not in schema.names:
        raise KeyError(f"there is no column {name!r}; there are {', '.join(schema.names)}")
    column = schema.field(name).type
    try:
        kind = np.dtype(column.to_pandas_dtype())
    except (NotImplementedError, TypeError):
        kind = np.dtype(object)
    if kind.kind not in "biuf":
        raise ValueError(f"column {name!r} holds {column}, not numbers; columns= leaves it out")
    return kind


def _numbers(column: Any, name: str) -> NDArray[Any]:
    if column.null_count and np.dtype(column.type.to_pandas_dtype()).kind != "f":
        raise ValueError(f"column {name!r} misses {column.null_count} values, for which {column.type} has no number")
    return np.asarray(column.to_numpy())
