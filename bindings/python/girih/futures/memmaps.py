"""Arrays of joblib's tasks, in shared memory once per call and seen by workers as `numpy.memmap`.

An array above the limit is copied into a file in memory when the first task that holds it is pickled. Tasks name the
file by the process that has it open: nothing appears in any folder, and a process that is gone takes its files along.
Other nodes are sent the array once each, and have a file of their own: there nobody sees what tasks write elsewhere.
An array that is a part of a `numpy.memmap` travels as the name of its file, so what a task writes there is seen by all.
Never here: other buffers, which go the executor's own way.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
from collections.abc import Callable
from typing import Any, Literal

import cloudpickle
import numpy as np

from girih.futures import nested
from girih.futures.arena import Arena
from girih.futures.held import Held, name
from girih.futures.loose import Loose
from girih.futures.sheet import Sheet
from girih.futures.wire import Parcel


class Memmaps:
    """The arrays of one call that are in shared memory."""

    def __init__(self, bytes_max: int | None, mode: str | None, *, nodes: int) -> None:
        self._bytes_max = bytes_max
        self._nodes = nodes
        self._mapped: dict[int, Mapped] = {}  # as `_files`, for several nodes
        self._mode = None if mode is None else ("r+" if mode == "w+" else mode)
        self._files: dict[int, tuple[int, np.ndarray[Any, Any]]] = {}  # by the array's identity; the array is kept

    def wrap(self, call: Callable[[], Any]) -> Wrapped:
        """A call whose arrays above the limit will be seen as memmaps."""
        return Wrapped(call, self)

    def reduce(self, array: np.ndarray[Any, Any]) -> Any:
        """How an array is pickled; `NotImplemented` for its own way."""
        found = _backing(array)
        if found is not None:
            mapped, offset = found
            mode = "r+" if mapped.mode == "w+" else mapped.mode
            place = (os.fspath(mapped.filename), mode, offset, array.shape, array.strides, array.dtype)
            return _open_file, place
        if self._bytes_max is None or self._mode is None or array.nbytes <= self._bytes_max or array.dtype.hasobject:
            return NotImplemented
        if self._nodes > 1:
            mapped = self._mapped.get(id(array)) or self._mapped.setdefault(id(array), Mapped(array))
            name(mapped)
            return _open_mapped, (mapped.number, self._mode, array.shape, array.dtype, _order(array))
        file = self._file(array)
        return _open_copy, (f"/proc/{os.getpid()}/fd/{file}", self._mode, array.shape, array.dtype, _order(array))

    def _file(self, array: np.ndarray[Any, Any]) -> int:
        known = self._files.get(id(array))
        if known is None:
            file = os.memfd_create("girih-joblib", os.MFD_CLOEXEC)
            os.ftruncate(file, array.nbytes)
            with mmap.mmap(file, array.nbytes) as memory:
                copy = np.ndarray(array.shape, array.dtype, memory, order=_order(array))
                copy[...] = array
                del copy
            known = self._files[id(array)] = (file, array)
        return known[0]

    def clear(self) -> None:
        """Closes the files; workers that still map one keep its memory until they do not."""
        files, self._files = self._files, {}
        self._mapped.clear()
        for file, _ in files.values():
            os.close(file)


class Mapped(Held):
    """An array whose bytes alone lie on a sheet of each node."""

    sheeted = True

    def loose(self) -> Loose:
        """Its bytes, for other nodes."""
        return b"", [self.value.tobytes(_order(self.value))]

    def is_large(self) -> bool:
        """It is, for whoever set the limit."""
        return True

    def sheet(self) -> Parcel:
        """Its bytes on a sheet."""
        with self._lock:
            if self._sheet is None:
                self._sheet = Sheet(*self.loose())
            return self._sheet.parcel

    def parcel(self, _: Arena) -> Parcel:
        """Its sheet, whoever else is on the node."""
        return self.sheet()


class Wrapped:
    """A call that is pickled with its arrays as memmaps."""

    def __init__(self, call: Callable[[], Any], maps: Memmaps | None) -> None:
        self.call = call
        self._maps = maps

    def __reduce__(self) -> Any:
        target = io.BytesIO()
        _Pickler(target, self._maps).dump(self.call)
        return _unwrap, (target.getvalue(),)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """cloudpickle's, with the arrays of a call reduced by `Memmaps`."""

    def __init__(self, target: io.BytesIO, maps: Memmaps | None) -> None:
        super().__init__(target, protocol=5)
        self._maps = maps

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, np.ndarray) and self._maps is not None and type(value) in (np.ndarray, np.memmap):
            reduced = self._maps.reduce(value)
            if reduced is not NotImplemented:
                return reduced
        return super().reducer_override(value)


def _order(array: np.ndarray[Any, Any]) -> Literal["C", "F"]:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _unwrap(data: bytes) -> Any:
    return pickle.loads(data)


def _open_copy(path: str, mode: str, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> Any:
    return np.memmap(path, dtype, mode, 0, shape, order)  # type: ignore[call-overload]


def _open_mapped(number: int, mode: str, shape: tuple[int, ...], dtype: np.dtype[Any], order: Any) -> Any:
    line = nested.line()
    if line is None:
        raise pickle.UnpicklingError("an array of a task is opened in workers only")
    place = line.worker.place(number)
    return np.memmap(place.file, dtype, mode, place.buffers[0].offset, shape, order)  # type: ignore[call-overload]


def _open_file(path: str, mode: Any, offset: int, shape: Any, strides: Any, dtype: np.dtype[Any]) -> Any:
    reach = sum(step * (count - 1) for step, count in zip(strides, shape, strict=True)) + dtype.itemsize
    whole: Any = np.memmap(path, np.uint8, mode, offset, (reach,))
    shown = np.ndarray(shape, dtype, whole, 0, strides).view(np.memmap)
    for name in ("_mmap", "filename", "offset", "mode"):
        setattr(shown, name, getattr(whole, name))
    return shown


def _backing(array: np.ndarray[Any, Any]) -> tuple[Any, int] | None:
    """The memmap that an array shows a part of, and the part's offset in the file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.filename is not None and getattr(base, "_mmap", None) is not None:
            root: Any = base
            while isinstance(root.base, np.memmap):
                root = root.base
            low, _ = np.lib.array_utils.byte_bounds(array)
            offset = root.offset + low - root.__array_interface__["data"][0]
            return (root, offset) if all(step >= 0 for step in array.strides) else None
        base = base.base
    return None
