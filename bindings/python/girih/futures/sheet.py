"""A value that all ranks of a node read where one of them has put it: a file in memory, without a name.

Whoever reads it opens the file by the process that has it, and keeps what was mapped for as long as he looks at it:
nothing of it outlives the processes, and the file may be closed while somebody reads.
Never here: which rank puts a value where (`values`).
"""

from __future__ import annotations

import mmap
import os
import pickle
from collections.abc import Sequence
from typing import Any

from girih.futures.arena import PAGE
from girih.futures.wire import Parcel, Reference, dumps


class Sheet:
    """A pickle and its buffers in a file, each buffer at the beginning of a page. Raises `OSError` without memory."""

    def __init__(self, data: bytes, buffers: Sequence[Any]) -> None:
        views: list[memoryview] = [memoryview(data), *(memoryview(one).cast("B") for one in buffers)]
        places = []
        end = 0
        for view in views:
            places.append(Reference(end, view.nbytes, True))
            end += -(-view.nbytes // PAGE) * PAGE
        self._file = os.memfd_create("girih-sheet", os.MFD_CLOEXEC)
        try:
            # All pages at once, or an error here instead of a signal where one is missing.
            os.posix_fallocate(self._file, 0, max(end, PAGE))
            with mmap.mmap(self._file, max(end, PAGE)) as memory:
                for place, view in zip(places, views, strict=True):
                    memory[place.offset : place.offset + place.length] = view
        except BaseException:
            os.close(self._file)
            raise
        path = f"/proc/{os.getpid()}/fd/{self._file}"
        self.parcel = Parcel(b"", places[0], tuple(places[1:]), path)

    def __del__(self) -> None:
        if hasattr(self, "parcel"):
            os.close(self._file)


def shown_where_they_lie(value: Any, rows: Any) -> Parcel | None:
    """A parcel of a value whose only large buffer is a girih array's local rows; none if other processes cannot open
    these. They are never written again, and their memory is kept by who has it mapped."""
    file = rows.base.lend() if rows.flags.c_contiguous and hasattr(rows.base, "lend") else None
    if file is None:
        return None
    buffers: list[pickle.PickleBuffer] = []
    data = dumps(value, buffers)
    places = [Reference(0, one.raw().nbytes, True) for one in buffers]
    assert [one.length for one in places] == [rows.nbytes], "rows are one buffer"
    return Parcel(data, None, tuple(places), f"/proc/{os.getpid()}/fd/{file}")


def is_here(parcel: Parcel) -> bool:
    """True if this process can open the file of a parcel."""
    assert parcel.file is not None, "a parcel that lies in an arena"
    try:
        os.close(os.open(parcel.file, os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def open_sheet(parcel: Parcel) -> Any:
    """The object of a parcel that lies in a file; its arrays are read-only views on it, which keep it."""
    assert parcel.file is not None, "a parcel that lies in an arena"
    with open(parcel.file, "rb") as file:
        view = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    shown = [view[one.offset : one.offset + one.length] for one in parcel.buffers]
    body = parcel.body
    data = parcel.inline if body is None else view[body.offset : body.offset + body.length]
    return pickle.loads(data, buffers=shown)
