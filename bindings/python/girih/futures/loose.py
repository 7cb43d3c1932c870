"""Pickled objects as plain bytes, to and from other ranks.

A loose parcel is a pickle and the bytes of its out-of-band buffers; nothing of it lies in an arena.
Never here: mailboxes.
"""

from __future__ import annotations

import pickle
from typing import Any

from girih.futures import wire
from girih.futures.arena import Arena
from girih.futures.wire import Parcel

Loose = tuple[bytes, list[bytes]]


def loosen(value: Any) -> Loose:
    """A value, pickled. Raises what pickling raises."""
    buffers: list[pickle.PickleBuffer] = []
    data = wire.dumps(value, buffers)
    return data, [bytes(buffer.raw()) for buffer in buffers]


def take_out(arena: Arena, plain: Any) -> Loose:
    """The bytes of a worker's parcel, whose blocks are let go."""
    parcel = wire.parcel_of(plain)
    assert parcel is not None, "a result without its object"
    data = parcel.inline if parcel.body is None else bytes(arena.open(parcel.body, writable=False))
    return data, [bytes(arena.open(one, writable=False)) for one in parcel.buffers]


def put_in(arena: Arena, loose: Loose, *, shared: bool) -> Parcel:
    """A parcel for workers of this rank; its blocks are pinned once."""
    data, buffers = loose
    references = tuple([arena.store(one, shared=shared) for one in buffers])
    if len(data) <= wire.INLINE_BYTES:
        return Parcel(data, None, references)
    return Parcel(b"", arena.store(data, shared=shared), references)


def open_loose(loose: Loose) -> Any:
    """The object; its arrays are writable."""
    data, buffers = loose
    return pickle.loads(data, buffers=[bytearray(one) for one in buffers])


def count_bytes(loose: Loose) -> int:
    """Bytes of a loose parcel."""
    return len(loose[0]) + sum(map(len, loose[1]))
