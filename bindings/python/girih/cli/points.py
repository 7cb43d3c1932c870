"""Reads the points of `girih kmeans`: rows of a `.npy` file, lines of numbers, or the pixels of an image.

A `.npy` file is read in parts, each rank its own; text and images are read whole by every rank, which then keeps its
part. Every mistake is found by `agree` and so raised alike on every rank, with the file's name.
"""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import girih as gr
from girih.cli.mistake import Mistake, agree

_TEXT = (".csv", ".txt", ".tsv")
_IMAGE = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Points:
    """The rows to cluster; `image` is the picture they came from, height × width × 3 with values in 0…1."""

    rows: gr.Array
    image: NDArray[Any] | None = None


def read(path: str, dtype: str) -> Points:
    """The points in a file, as floats of this dtype. Collective; raises `Mistake` on every rank."""
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        return Points(_read_npy(path, dtype))
    if suffix in _TEXT:
        return Points(gr.asarray(agree(lambda: numbers_in_text(path, dtype))))
    if suffix in _IMAGE:
        image = agree(lambda: _read_image(path, dtype))
        return Points(gr.asarray(image.reshape(-1, 3)), image)
    raise Mistake(f"{path}: unknown kind of file; FILE ends in .npy, {', '.join(_TEXT)} or {', '.join(_IMAGE)}")


def _read_npy(path: str, dtype: str) -> gr.Array:
    agree(lambda: Path(path).open("rb").close())
    try:
        rows = gr.load(path)
    except (OSError, TypeError, ValueError) as error:
        # `load` raises the same on every rank.
        text = str(error)
        raise Mistake(text if path in text else f"{path}: {text}") from None
    if rows.ndim != 2:
        raise Mistake(f"{path}: the array must have two axes (points × coordinates), not the shape {rows.shape}")
    if 0 in rows.shape:
        raise Mistake(f"{path}: the array is empty: its shape is {rows.shape}")
    return rows.astype(dtype)


def _read_image(path: str, dtype: str) -> NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"), dtype=dtype) / np.asarray(255, dtype=dtype)
    except UnidentifiedImageError:
        raise Mistake(f"{path}: not an image, or damaged") from None
    except OSError as error:
        # Pillow's own errors (a file that ends too early) do not name the file; the system's do.
        if error.filename is not None:
            raise
        raise Mistake(f"{path}: {error}") from None


def numbers_in_text(path: str, dtype: str = "float64") -> NDArray[Any]:
    """The table of numbers in a text file, without its header line if it has one.

    Fields are separated by commas, semicolons, tabs or spaces, whichever the first line shows; `#` opens a comment.
    Raises `Mistake` that names the file, the line and the column of the first field that is no number.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise Mistake(f"{path}: not a text file (byte {error.start} is not UTF-8)") from None
    lines = text.splitlines()
    begin = next((index for index, line in enumerate(lines) if _content(line)), None)
    if begin is None:
        raise Mistake(f"{path}: the file holds no numbers")
    first = lines[begin]
    delimiter = next((mark for mark in ",;\t" if mark in _content(first)), None)
    header = _is_header(_fields(first, delimiter))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            rows = np.loadtxt(
                lines[begin + header :],
                dtype=dtype, delimiter=delimiter, ndmin=2, comments="#", quotechar='"',
            )  # fmt: skip
    except ValueError as error:
        _locate(path, text, delimiter, header)
        raise Mistake(f"{path}: {error}") from None
    if rows.size == 0:
        raise Mistake(f"{path}: the file holds no numbers below its header")
    if header and rows.shape[1] != len(_fields(first, delimiter)):
        _locate(path, text, delimiter, header)
    return rows


def _content(line: str) -> str:
    return line.partition("#")[0].strip(" \r\n") if "\t" in line else line.partition("#")[0].strip()


def _fields(line: str, delimiter: str | None) -> list[str]:
    content = _content(line)
    if delimiter is None:
        return content.split()
    return [field.strip() for field in next(csv.reader([content], delimiter=delimiter), [])]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    # Python's numbers may hold underscores; a table's may not.
    return "_" not in field


def _is_header(fields: list[str]) -> bool:
    """True if no field of the first line is a number and not all are empty."""
    return any(fields) and not any(_is_number(field) for field in fields)


def _locate(path: str, text: str, delimiter: str | None, header: bool) -> None:
    """Raises `Mistake` for the first line that is not like the others, if there is one."""
    width = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not _content(line):
            continue
        fields = _fields(line, delimiter)
        if width == 0:
            width, width_line = len(fields), number
            if header:
                continue
        if len(fields) != width:
            raise Mistake(f"{path}, line {number}: {len(fields)} fields, but line {width_line} has {width}")
        for column, field in enumerate(fields, start=1):
            if not field:
                raise Mistake(f"{path}, line {number}, column {column}: the field is empty")
            if not _is_number(field):
                shown = field if len(field) <= 40 else field[:37] + "..."
                raise Mistake(f"{path}, line {number}, column {column}: {shown!r} is not a number")
