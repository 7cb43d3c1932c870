"""Numbers in text: every rank reads the lines that begin within its share of the bytes, by NumPy's own reader."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, from_rank_0
from girih.files.rows import own_rows, replacing, write_at

# Bytes looked at in one piece for the end of a line.
_PIECE = 1 << 16


def loadtxt(
    fname: str | os.PathLike[str],
    dtype: Any = float,
    comments: str | Sequence[str] | None = "#",
    delimiter: str | None = None,
    skiprows: int = 0,
    usecols: int | Sequence[int] | None = None,
    ndmin: int = 0,
    encoding: str | None = None,
) -> Array:
    """Reads numbers from text, a row from each line, as `numpy.loadtxt`. Collective; every rank reads its own lines.

    Raises ValueError for what is no number and for rows of different lengths, with the file's name; line numbers in
    such an error count from where the rank began to read.

    >>> import girih as gr, tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     _ = file.write("1,2\\n3,4\\n")
    ...     file.flush()
    ...     gr.loadtxt(file.name, delimiter=",").sum(axis=0).tolist()
    [4.0, 6.0]
    """

    def parse(text: str) -> NDArray[Any]:
        return np.loadtxt(
            io.StringIO(text), dtype, comments=comments, delimiter=delimiter, usecols=usecols, ndmin=2
        )  # fmt: skip

    return _load(os.fspath(fname), parse, np.dtype(dtype), skiprows, ndmin, encoding)


def genfromtxt(
    fname: str | os.PathLike[str],
    dtype: Any = float,
    comments: str | None = "#",
    delimiter: str | None = None,
    skip_header: int = 0,
    missing_values: Any = None,
    filling_values: Any = None,
    usecols: int | Sequence[int] | None = None,
    ndmin: int = 0,
    encoding: str | None = None,
) -> Array:
    """Reads numbers from text in which some may be missing, as `numpy.genfromtxt`. Collective, as `loadtxt`.

    A missing value is `filling_values`, by default NaN, or -1 among integers. Several times slower than `loadtxt`.
    """

    def parse(text: str) -> NDArray[Any]:
        options: dict[str, Any] = {"comments": comments, "missing_values": missing_values, "usecols": usecols}
        return np.genfromtxt(
            io.StringIO(text), dtype, delimiter=delimiter, filling_values=filling_values, ndmin=2, **options
        )  # fmt: skip

    return _load(os.fspath(fname), parse, np.dtype(dtype), skip_header, ndmin, encoding)


def savetxt(
    fname: str | os.PathLike[str],
    X: Any,
    fmt: str | Sequence[str] = "%.18e",
    delimiter: str = " ",
    newline: str = "\n",
    header: str = "",
    footer: str = "",
    comments: str = "# ",
    encoding: str | None = None,
) -> None:
    """Writes an array of one or two axes as text, a row in each line, as `numpy.savetxt`. Collective.

    Every rank writes its own rows; it holds their text in memory.
    """
    path, array = os.fspath(fname), _native.asarray(X)
    if array.ndim not in (0, 1, 2):
        raise ValueError(f"Expected 1D or 2D array, got {array.ndim}D array instead")
    rank, size = _native.rank(), _native.size()
    _, _, part = own_rows(array)

    def text() -> bytes:
        out = io.StringIO()
        first, last = (header if rank == 0 else ""), (footer if rank == size - 1 else "")
        np.savetxt(out, part, fmt, delimiter, newline, first, last, comments)
        return out.getvalue().encode(encoding or "latin1")

    lines = everywhere(path, text)
    lengths = [int(length) for length in _native.all_gather_bytes(str(len(lines)).encode())]
    with replacing(path) as beside:
        everywhere(path, lambda: open(beside, "xb").close() if rank == 0 else None)
        everywhere(path, lambda: write_at(beside, sum(lengths[:rank]), lines) if lines else None)


def _load(
    path: str,
    parse: Callable[[str], NDArray[Any]],
    dtype: np.dtype[Any],
    skipped: int,
    ndmin: int,
    encoding: str | None,
) -> Array:
    if dtype.kind not in "biufc":
        raise ValueError(f"dtype must be of numbers, not {dtype}")
    if ndmin not in (0, 1, 2):
        raise ValueError(f"Illegal value of ndmin keyword: {ndmin}")
    first, size = from_rank_0(path, lambda: _extent(path, skipped))

    def part() -> NDArray[Any]:
        share = size - first
        begin, end = (first + share * each // _native.size() for each in (_native.rank(), _native.rank() + 1))
        text = _lines(path, begin, end, first).decode(encoding or "utf-8")
        # NumPy warns of text without numbers, which here is a rank's empty share.
        return parse(text) if text.strip() else np.empty((0, 0), dtype)

    rows = everywhere(path, part)
    shapes = [json.loads(said) for said in _native.all_gather_bytes(json.dumps(rows.shape).encode())]
    widths = {width for count, width in shapes if count}
    if len(widths) > 1:
        raise ValueError(f"{path}: the number of columns changes: some rows have {min(widths)}, others {max(widths)}")
    width = widths.pop() if widths else 0
    count = sum(count for count, _ in shapes)
    array = _native.from_local(rows if len(rows) else np.empty((0, width), dtype))
    return array.reshape(_shape(count, width, ndmin))


def _shape(rows: int, columns: int, ndmin: int) -> tuple[int, ...]:
    """The shape that NumPy gives to a table: axes of length 1 are left out unless `ndmin` wants them."""
    if not rows:
        return (0, columns or 1) if ndmin == 2 else (0,)
    shape = (rows, columns)
    if ndmin == 2:
        return shape
    squeezed = tuple(length for length in shape if length != 1)
    return squeezed if squeezed or ndmin == 0 else (1,)


def _extent(path: str, skipped: int) -> tuple[int, int]:
    """Where the first line to be read begins, and where the file ends."""
    with open(path, "rb") as file:
        front = file.read(2)
        if front == b"\x1f\x8b":
            raise ValueError("the text is compressed, and lines cannot be found from its middle: decompress it first")
        file.seek(0)
        for _ in range(skipped):
            file.readline()
        return file.tell(), os.stat(path).st_size


def _lines(path: str, begin: int, end: int, first: int) -> bytes:
    """The lines of which the first byte lies in a range."""
    with open(path, "rb") as file:
        begin, end = (at if at == first else _line_start(file, at) for at in (begin, end))
        file.seek(begin)
        return file.read(max(0, end - begin))


def _line_start(file: io.BufferedReader, at: int) -> int:
    """Where the first line begins that does not begin before `at`."""
    at -= 1
    file.seek(at)
    while piece := file.read(_PIECE):
        found = piece.find(b"\n")
        if found >= 0:
            return at + found + 1
        at += len(piece)
    return at
