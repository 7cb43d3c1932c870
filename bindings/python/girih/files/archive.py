"""Several arrays in one file: `.npz`, a zip archive of `.npy` files, written and read by all ranks at once.

Every rank writes its rows of each member: as they are, or as a run of deflate blocks, which may follow one another in
one stream. The checksum of a member is put together from those of its parts; rank 0 writes only names and lengths.
"""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere, from_rank_0
from girih.files.rows import Described, described, own_rows, read_rows, replacing, write_at

# What ends a deflate stream whose blocks all said that more follow: an empty last block.
_LAST_BLOCK = b"\x03\x00"
# The polynomial of zip's checksum, lowest power first.
_POLYNOMIAL = 0xEDB88320
_PIECE = 1 << 20
# What stands before a member's name; the lengths of the name and of the extra field are its last four bytes.
_FRONT_BYTES = 30


class Archive(Mapping[str, Array]):
    """The arrays of a `.npz` file by name, each read when it is asked for. Collective.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "both.npz")
    ...     gr.savez(path, x=gr.ones(3), y=gr.arange(2))
    ...     with gr.load(path) as archive:
    ...         archive.files, archive["x"].sum().item()
    (['x', 'y'], 3.0)
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self._path = os.fspath(file)
        self.files: list[str] = from_rank_0(self._path, self._names)

    def _names(self) -> list[str]:
        with zipfile.ZipFile(self._path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]

    def __getitem__(self, name: str) -> Array:
        member = name if name.endswith(".npy") else f"{name}.npy"
        if member.removesuffix(".npy") not in self.files:
            raise KeyError(f"{name} is not a file in the archive")

        def inspect() -> Described:
            with zipfile.ZipFile(self._path) as archive, archive.open(member) as stream:
                shape, _, dtype = _read_header(stream)
                header = stream.tell()
                there, claimed = archive.getinfo(member).file_size, header + dtype.itemsize * int(np.prod(shape))
                if there != claimed:
                    raise ValueError(f"{name} claims {claimed} bytes, but has {there}")
                return described(shape, dtype)

        return read_rows(self._path, inspect, lambda start, stop: _read_member(self._path, member, start, stop))

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __repr__(self) -> str:
        return f"Archive {self._path!r} with {', '.join(self.files)}"

    def close(self) -> None:
        """Does nothing: no file is open between two reads."""

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(file: str | os.PathLike[str], dtype: Any = None) -> Any:
    """Reads an `Array` from a `.npy` file, or opens a `.npz` file as an `Archive`. Collective.

    Every rank reads its own rows. The name tells which: one that ends in `.npz` is an archive. Arrays of Python objects
    are refused.
    Raises ValueError for a file that is not what it says, OSError for one that cannot be read; alike on all ranks.

    >>> import girih as gr, tempfile, os
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "x.npy")
    ...     gr.save(path, gr.arange(5))
    ...     gr.load(path).sum().item()
    10
    """
    if os.fspath(file).endswith(".npz"):
        if dtype is not None:
            raise TypeError("dtype is for one array; take it from the archive and use astype")
        return Archive(file)
    return _native.load(os.fspath(file), dtype)


def savez(file: str | os.PathLike[str], *args: Any, **kwds: Any) -> None:
    """Writes arrays to a `.npz` file, by their keywords, or as `arr_0` and so on. Collective.

    Every rank writes its own rows. The name gets `.npz` appended if it does not end so.
    """
    _save(file, args, kwds, compressed=False)


def savez_compressed(file: str | os.PathLike[str], *args: Any, **kwds: Any) -> None:
    """As `savez`, with every rank's rows compressed by that rank. Collective."""
    _save(file, args, kwds, compressed=True)


def _save(file: str | os.PathLike[str], args: tuple[Any, ...], kwds: dict[str, Any], *, compressed: bool) -> None:
    path = os.fspath(file)
    path = path if path.endswith(".npz") else f"{path}.npz"
    arrays = dict(kwds)
    for at, array in enumerate(args):
        if f"arr_{at}" in arrays:
            raise ValueError(f"Cannot use un-named variables and keyword arr_{at}")
        arrays[f"arr_{at}"] = array
    members: list[zipfile.ZipInfo] = []
    with replacing(path) as beside:
        everywhere(path, lambda: open(beside, "xb").close() if _native.rank() == 0 else None)
        end = 0
        for name, array in arrays.items():
            member, end = _write_member(path, beside, end, name, _native.asarray(array), compressed)
            members.append(member)
        everywhere(path, lambda: _finish(beside, end, members) if _native.rank() == 0 else None)


def _write_member(
    path: str, beside: str, at: int, name: str, array: Array, compressed: bool
) -> tuple[zipfile.ZipInfo, int]:
    """Writes this rank's part of a member that begins at `at`; how the archive lists it, and where it ends."""
    rank, size = _native.rank(), _native.size()
    plain = np.ascontiguousarray(own_rows(array)[2])
    parts: list[bytes | memoryview] = [_header(array)] if rank == 0 else []
    parts.append(plain.data.cast("B") if plain.nbytes else b"")
    checksum, length = 0, sum(len(part) for part in parts)
    for part in parts:
        checksum = zlib.crc32(part, checksum)
    if compressed:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        last = _LAST_BLOCK if rank == size - 1 else b""
        parts = [*map(deflate.compress, parts), deflate.flush(zlib.Z_SYNC_FLUSH), last]
    stored = sum(len(part) for part in parts)
    said = _native.all_gather_bytes(f"{length} {stored} {checksum}".encode())
    numbers = [[int(number) for number in each.split()] for each in said]
    member = zipfile.ZipInfo(f"{name}.npy")
    member.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    member.external_attr = 0o600 << 16
    member.header_offset = at
    for length, stored, checksum in numbers:
        member.CRC = _joined(member.CRC, checksum, length) if member.file_size else checksum
        member.file_size += length
        member.compress_size += stored
    front = member.FileHeader()
    offset = at + len(front) + sum(numbers[each][1] for each in range(rank))

    def write() -> None:
        if rank == 0:
            write_at(beside, at, front)
        begin = offset
        for part in parts:
            write_at(beside, begin, part)
            begin += len(part)

    everywhere(path, write)
    return member, at + len(front) + member.compress_size


def _finish(beside: str, end: int, members: list[zipfile.ZipInfo]) -> None:
    """Writes the list of members behind the last one."""
    with open(beside, "r+b") as file:
        file.seek(end)
        with zipfile.ZipFile(file, "w") as archive:
            archive.filelist.extend(members)


def _header(array: Array) -> bytes:
    out = io.BytesIO()
    described = {"descr": np.lib.format.dtype_to_descr(np.dtype(array.dtype)), "fortran_order": False}
    np.lib.format.write_array_header_1_0(out, {**described, "shape": array.shape})
    return out.getvalue()


def _read_header(stream: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version[0]}.{version[1]} of the format cannot be read")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _read_member(path: str, member: str, start: int, stop: int) -> NDArray[Any]:
    """Rows of a member; of a compressed one all that comes before them is decompressed too."""
    with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
        shape, fortran, dtype = _read_header(stream)
        rows = shape[0] if shape else 1
        row_bytes = dtype.itemsize * int(np.prod(shape[1:]))
        if fortran and len(shape) > 1:
            # Its rows are spread over all of it.
            return np.frombuffer(stream.read(), dtype).reshape(shape, order="F")[start:stop]
        skip = start * row_bytes
        if archive.getinfo(member).compress_type == zipfile.ZIP_STORED:
            offset = _data_offset(path, archive.getinfo(member)) + stream.tell() + skip
            part = np.fromfile(path, dtype, (stop - start) * row_bytes // dtype.itemsize, offset=offset)
            return part.reshape((stop - start, *shape[1:]) if shape else ())
        while skip:
            skip -= len(stream.read(min(skip, _PIECE)))
        part = np.frombuffer(stream.read((stop - start) * row_bytes), dtype)
        if stop == rows:
            # The end of the stream, where its checksum is looked at.
            stream.read(1)
        return part.reshape((stop - start, *shape[1:]) if shape else ())


def _data_offset(path: str, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin in the file: behind a front whose name and extra field have lengths of their own."""
    with open(path, "rb") as file:
        file.seek(member.header_offset)
        front = file.read(_FRONT_BYTES)
    name, extra = struct.unpack_from("<HH", front, 26)
    return int(member.header_offset + len(front) + name + extra)


def _joined(first: int, second: int, length: int) -> int:
    """The checksum of two runs of bytes in sequence, from that of each and the second's length.

    Cost: 32 steps for each bit of the length. The first one's remainder moves up by the second's bits.
    """
    power, square = 1 << 31, 1 << 23  # x⁰ and x⁸
    while length:
        if length & 1:
            power = _product(power, square)
        square = _product(square, square)
        length >>= 1
    return _product(first, power) ^ second


def _product(a: int, b: int) -> int:
    """The product of two polynomials over 0 and 1, modulo the checksum's; the lowest power is the top bit."""
    product = 0
    for bit in range(31, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product
