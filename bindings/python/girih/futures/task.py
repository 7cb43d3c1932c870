"""A task from its submission to its end, and a function that many tasks call.

Never here: where tasks run.
"""

from __future__ import annotations

import itertools
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from girih.futures import wire
from girih.futures.arena import Arena
from girih.futures.loose import Loose, loosen
from girih.futures.recall import Recalled, recall
from girih.futures.wire import Parcel, Reference


class Options(NamedTuple):
    """How a task is to be run."""

    timeout: float | None = None  # seconds from its start in a worker
    retries: int = 0  # how often it is started again after its worker was lost
    threads: int = 1  # cores that it reserves


# Takes a kind of outcome and its content: bytes, or a flat parcel.
Sink = Callable[[int, Any], None]

PLAIN = Options()
_numbers = itertools.count(1)


class SharedFunction:
    """A function that is pickled once for many tasks, and unpickled once by each worker that runs one of them.

    Its large buffers lie in the arena once, and workers see them read-only.
    """

    live: set[int] = set()
    _lock = threading.Lock()

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.number = next(_numbers)
        self._parcel: Parcel | None = None
        self._loose: Loose | None = None
        self._arena: Arena | None = None
        with SharedFunction._lock:
            SharedFunction.live.add(self.number)

    def parcel(self, arena: Arena) -> Parcel:
        """The pickled function, its large parts in the arena."""
        if self._parcel is None:
            self._parcel = wire.wrap(self.function, lambda data: arena.store(data, shared=True))
            self._arena = arena
        return self._parcel

    def loose(self) -> Loose:
        """The pickled function as bytes for other ranks."""
        if self._loose is None:
            self._loose = loosen(self.function)
        return self._loose

    def __del__(self) -> None:
        with SharedFunction._lock:
            SharedFunction.live.discard(self.number)
        if self._parcel is not None and self._arena is not None:
            for reference in self._parcel.references():
                self._arena.unpin(reference)

    @staticmethod
    def low_mark() -> int:
        """No function below this number is called any more."""
        with SharedFunction._lock:
            return min(SharedFunction.live, default=1 << 62)


class Shelf:
    """Buffers of one `map` or of one call of joblib that were stored already, by the object they came from.

    Whatever appears a second time under the same address is shared, read-only, from its first appearance on: the caller
    says so by using a shelf.
    """

    def __init__(self) -> None:
        self._arena: Arena | None = None
        self._known: dict[tuple[int, int], tuple[Reference, Any]] = {}

    def store(self, arena: Arena, buffer: Any) -> Reference:
        """A reference to the buffer's bytes, pinned once more."""
        self._arena = arena
        raw = buffer.raw() if isinstance(buffer, pickle.PickleBuffer) else None
        if raw is None or raw.nbytes == 0:
            return arena.store(buffer, shared=True)
        import numpy

        key = (numpy.frombuffer(raw, numpy.uint8).__array_interface__["data"][0], raw.nbytes)
        found = self._known.get(key)
        if found is None:
            # The buffer is kept, so that nothing else comes to lie at its address.
            found = self._known[key] = (arena.store(buffer, shared=True), buffer)
        arena.pin(found[0])
        return found[0]

    def __del__(self) -> None:
        if self._arena is not None:
            for reference, _ in self._known.values():
                self._arena.unpin(reference)


class Task:
    """One call, its future, and what was sent of it."""

    __slots__ = (
        "number", "future", "function", "arguments", "keywords", "options", "shared", "shelf",
        "begun", "tries", "message", "given", "pinned", "foreign", "sink", "parent", "seat", "fence",
        "key", "label", "remote",
    )  # fmt: skip

    def __init__(
        self,
        function: Callable[..., Any] | None,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        options: Options,
        shared: SharedFunction | Recalled | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.number = 0
        self.future: Future[Any] = Future()
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.options = options
        self.shared = shared
        self.shelf = shelf
        self.begun = False  # the future says that it runs
        self.tries = 0
        self.message: bytes | None = None
        self.given: Parcel | None = None  # function and arguments, if they were pickled elsewhere
        self.pinned: tuple[Reference, ...] = ()  # in this rank's own slice
        self.foreign: tuple[Reference, ...] = ()  # held for this rank in the slice of a worker
        self.sink: Sink | None = None  # who takes the outcome as it comes, unopened, instead of the future
        self.parent = 0  # the task that submitted it
        self.seat: list[int] | None = None  # cores reserved beyond the worker's own
        self.fence = 0  # the last question after its whereabouts
        self.key: tuple[int, int] | None = None  # which submission of the script it is, if other ranks want to know
        self.label = ""  # its function's name, for them
        self.remote: Any = None  # the shared function that another rank sent it with

    def encode(self, arena: Arena) -> bytes:
        """The message of this task. Raises what pickling raises."""
        if self.message is None:
            if self.given is not None:
                function = None if self.remote is None else self.remote.parcel(arena)
                self.message = self._message(function, self.given)
            elif self.options.threads > 1 or type(self._remember()) is SharedFunction:
                self.message = self._parts(arena, None)
            else:
                self.message = self._small(arena)
            # What was pickled is not needed again: a second try sends the same bytes.
            self.function = None
            self.arguments, self.keywords = (), {}
        return self.message

    def _small(self, arena: Arena) -> bytes:
        """The message of a task that goes its own way, most often a short one."""
        shared: Any = self.shared
        given = (self.arguments, self.keywords) if shared else (self.function, self.arguments, self.keywords)
        buffers: list[pickle.PickleBuffer] = []
        data = wire.dumps(given, buffers)
        if buffers or len(data) > wire.INLINE_BYTES:
            return self._parts(arena, _shelve(data, buffers, arena))
        if shared is None:
            return wire.TASK_HEAD.pack(wire.TASK, self.number) + data
        return wire.pack(wire.TASK_PARTS, self.number, (shared.number, shared.flat, (data, None, ()), None))

    def _remember(self) -> Any:
        """Its shared function, if it has one or if it was sent before."""
        if self.shared is None:
            self.shared = recall(self.function)
        return self.shared

    def _parts(self, arena: Arena, parcel: Parcel | None) -> bytes:
        function = None if self.shared is None else self.shared.parcel(arena)
        if parcel is None:
            shelf = self.shelf
            store = arena.store if shelf is None else lambda buffer: shelf.store(arena, buffer)
            given = (self.arguments, self.keywords)
            parcel = wire.wrap((self.function, *given) if function is None else given, store)
        self.pinned = parcel.references()
        return self._message(function, parcel)

    def _message(self, function: Parcel | None, parcel: Parcel) -> bytes:
        shared = self.shared or self.remote
        number = 0 if shared is None else shared.number
        threads = (self.seat or [], self.options.threads) if self.options.threads > 1 else None
        return wire.pack(wire.TASK_PARTS, self.number, (number, wire.flat(function), wire.flat(parcel), threads))

    def drop_blocks(self, arena: Arena) -> None:
        """Lets go of the blocks of its message, at its end."""
        pinned, self.pinned = self.pinned, ()
        for reference in pinned:
            arena.unpin(reference)
        foreign, self.foreign = self.foreign, ()
        for reference in foreign:
            arena.release_home(reference)


def _shelve(data: bytes, buffers: list[pickle.PickleBuffer], arena: Arena) -> Parcel:
    """A pickle and its buffers, put into the arena where they are large."""
    references = tuple([arena.store(buffer) for buffer in buffers])
    if len(data) <= wire.INLINE_BYTES:
        return Parcel(data, None, references)
    return Parcel(b"", arena.store(data), references)
