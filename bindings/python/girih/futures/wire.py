"""What a rank and its workers say to each other, and how objects become bytes.

Messages are datagrams of at most `MESSAGE_BYTES`; what is larger lies in the shared arena and is named by a reference.
Invariant: a task message is taken by exactly one worker, whole; the kernel's queue sees to both, so a worker that is
killed has either taken a task or not touched it.
Never here: sockets, processes. Standard library only: a worker imports nothing else before it runs tasks.
"""

from __future__ import annotations

import marshal
import pickle
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

MESSAGE_BYTES = 48 * 1024
# A pickle of up to so many bytes travels in the message itself.
INLINE_BYTES = 16 * 1024
# A buffer of at least so many bytes goes out of band: below, two copies cost less than the bookkeeping.
BUFFER_BYTES = 64 * 1024
# So many references fit into a message.
BUFFERS_MAX = 1024

# From the rank to whichever worker is free first.
TASK = 1  # a whole task in one pickle
TASK_RECALLED = 2  # a function's pickle, which the worker may know by its number, and one of the arguments
TASK_PARTS = 3  # function and arguments apart, or in the arena
TASK_FAR = 4  # the rest of the message is in the arena
FENCE = 5  # to be answered at once: everything before it has been taken
PARK = 6  # wait at the gate
# From a worker to its rank.
READY = 17
RESULT = 18  # a pickle
RESULT_PARTS = 19  # a pickle with buffers, or in the arena
FAILURE = 20  # a pickled exception and the text of its traceback
BROKEN = 21  # the initializer failed
FENCED = 22
PARKED = 23
SUBMIT = 24  # a task of a task
OPENED = 25  # the blocks of a reply were marked by their reader
LIMITS = 26  # the thread pools of libraries that were loaded, and their sizes
# From the rank's own threads to its receiver.
WORKER_DIED = 33
WAKE = 34
NO_WORKER = 35
# From a rank to the one worker whose task submitted others.
REPLY = 49

TASK_HEAD = struct.Struct("<BQ")  # kind, task
RECALLED_HEAD = struct.Struct("<BQQH")  # kind, task, number and bytes of the function
RESULT_HEAD = struct.Struct("<BHQQQ")  # kind, slot, task, start and end in ns of the monotonic clock
MAIN = b"__main__"


class Reference(NamedTuple):
    """Bytes in the arena: where they start, how many, and whether others read them too."""

    offset: int
    length: int
    shared: bool


class Parcel(NamedTuple):
    """A pickled object: its pickle, here or in the arena, and its out-of-band buffers there.

    If it names a file, its places are in that and not in the arena.
    """

    inline: bytes
    body: Reference | None
    buffers: tuple[Reference, ...]
    file: str | None = None

    def references(self) -> tuple[Reference, ...]:
        """All its places in the arena."""
        if self.file is not None:
            return ()
        return self.buffers if self.body is None else (self.body, *self.buffers)


def pack(kind: int, task: int, content: Any) -> bytes:
    """A message with structured content, of the types that `marshal` knows."""
    return TASK_HEAD.pack(kind, task) + marshal.dumps(content)


def flat(parcel: Parcel | None) -> Any:
    """A parcel as plain tuples, for `marshal`."""
    if parcel is None:
        return None
    body = None if parcel.body is None else tuple(parcel.body)
    return parcel.inline, body, tuple(tuple(one) for one in parcel.buffers), parcel.file


def parcel_of(plain: Any) -> Parcel | None:
    """The parcel that `flat` flattened."""
    if plain is None:
        return None
    inline, body, buffers, file = plain
    places = tuple(Reference(*one) for one in buffers)
    return Parcel(inline, None if body is None else Reference(*body), places, file)


def dumps(value: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    """The pickle of a value; large contiguous buffers are added to `buffers` instead.

    Plain pickle where it will do; cloudpickle for what it cannot name, and for what lives in `__main__`, which is
    another module in a worker.

    Raises what cloudpickle raises for a value that cannot be pickled.
    """

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        try:
            large = len(buffers) < BUFFERS_MAX and buffer.raw().nbytes >= BUFFER_BYTES
        except BufferError:  # not contiguous
            return True
        if large:
            buffers.append(buffer)
        return not large

    try:
        data = pickle.dumps(value, 5, buffer_callback=keep_in_band)
        if MAIN not in data:
            return data
    except Exception:  # noqa: BLE001 - whatever it was, cloudpickle has the last word
        pass
    import cloudpickle

    buffers.clear()
    return cloudpickle.dumps(value, 5, buffer_callback=keep_in_band)


# Puts bytes or buffers into an arena.
Store = Callable[[Any], Reference]


def wrap(value: Any, store: Store, inline_bytes: int = INLINE_BYTES) -> Parcel:
    """A value as a parcel whose large parts `store` has put away."""
    buffers: list[pickle.PickleBuffer] = []
    data = dumps(value, buffers)
    references = tuple([store(buffer) for buffer in buffers])
    if len(data) <= inline_bytes:
        return Parcel(data, None, references)
    return Parcel(b"", store(data), references)
