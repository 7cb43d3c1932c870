"""A task from its submission to its end, and a function that many tasks call.

Never here: where tasks run.
"""

from __future__ import annotations

import pickle
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from girih.futures import arguments, wire
from girih.futures.arena import Arena
from girih.futures.future import Future as TaskFuture
from girih.futures.held import Held, NamesNeededError, all_named, naming
from girih.futures.loose import Loose, put_in
from girih.futures.recall import Recalled, recall
from girih.futures.wire import Parcel, Reference


class Options(NamedTuple):
    """How a task is to be run."""

    timeout: float | None = None  # seconds from its start in a worker
    retries: int = 0  # how often it is started again after its worker was lost
    threads: int = 1  # cores that it reserves
    rank: int | None = None  # whose workers run it; `None`: whoever has room


# Takes a kind of outcome and its content: bytes, or a flat parcel.
Sink = Callable[[int, Any], None]
# Takes a kind of outcome and its content as bytes.
Relay = Callable[[int, Loose], None]

PLAIN = Options()
# What holds no buffer and names nothing of `__main__` is pickled without a look for these.
_ATOMS = {int, float, complex, bool, str, bytes, type(None)}
# The values of futures that are arguments, as tasks get them; shared by all tasks.
_values_of_futures: weakref.WeakKeyDictionary[Future[Any], Any] = weakref.WeakKeyDictionary()


class SharedFunction(Held):
    """A function that is pickled once for many tasks, and unpickled once by each worker that runs one of them."""

    live: set[int] = set()
    _living = threading.Lock()

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        with SharedFunction._living:
            SharedFunction.live.add(self.number)

    def __del__(self) -> None:
        with SharedFunction._living:
            SharedFunction.live.discard(self.number)
        super().__del__()

    @staticmethod
    def low_mark() -> int:
        """No function below this number is called any more."""
        with SharedFunction._living:
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

    # Most tasks need few of these, and what a task does not set costs it nothing.
    number = 0
    begun = False  # the future says that it runs
    tries = 0
    message: bytes | None = None
    given: Parcel | None = None  # function and arguments, if they were pickled elsewhere
    pinned: tuple[Reference, ...] = ()  # in this rank's own slice
    foreign: tuple[Reference, ...] = ()  # held for this rank in the slice of a worker
    sink: Sink | None = None  # who takes the outcome as it comes, unopened, instead of the future
    parent = 0  # the task that submitted it
    seat: list[int] | None = None  # cores reserved beyond the worker's own
    fence = 0  # the last question after its whereabouts
    key: tuple[int, int] | None = None  # which submission of the script it is, if other ranks want to know
    label = ""  # its function's name, for them
    remote: Any = None  # the shared function that another rank sent it with
    special: Sequence[Any] = ()  # futures, handles and rows among its arguments
    named: Sequence[Any] = ()  # values that its message names, kept until its end
    loose: Loose | None = None  # function and arguments as another rank sent them
    relay: Relay | None = None  # who takes the outcome for another rank
    keeps = False  # its arguments after it was pickled, to be pickled again for another rank
    moved = False  # to another rank than was meant

    def __init__(
        self,
        function: Callable[..., Any] | None,
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        options: Options,
        shared: SharedFunction | Recalled | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self.future = TaskFuture()
        self.function = function
        self.arguments = arguments
        self.keywords = keywords
        self.options = options
        self.shared = shared
        self.shelf = shelf

    def may_move(self) -> bool:
        """True if any rank may run it: it is bound to none, and no cores of one are to be reserved."""
        return self.options.rank is None and self.options.threads == 1

    def encode(self, arena: Arena) -> bytes:
        """The message of this task. Raises what pickling raises, and what futures among its arguments raise."""
        if self.message is None:
            if self.loose is not None:
                self.given = put_in(arena, self.loose, shared=False)
                self.pinned = self.given.references()
            if self.given is not None:
                function = None if self.remote is None else self.remote.parcel(arena)
                self.message = self._message(arena, function, self.given)
            else:
                self.message = self._pickled(arena)
            if self.keeps:
                return self.message
            # What was pickled is not needed again: a second try sends the same bytes.
            self.function = None
            self.arguments, self.keywords, self.special = (), {}, []
        return self.message

    def _pickled(self, arena: Arena) -> bytes:
        if not self.special:
            try:
                return self._whole(arena)
            except NamesNeededError:  # a handle somewhere within
                pass
        with naming() as names:
            self.named = names
            self.resolve()
            return self._whole(arena)

    def _whole(self, arena: Arena) -> bytes:
        large = self.options.threads > 1 or type(self._remember()) is SharedFunction
        return self._parts(arena, None) if large else self._small(arena)

    def resolve(self) -> None:
        """Puts values in the place of futures among the arguments."""
        if self.special:
            given = (self.arguments, self.keywords)
            self.arguments, self.keywords = arguments.replace(given, self._resolved)

    def _resolved(self, value: Any) -> Any:
        return arguments.by_name(value, _values_of_futures) if isinstance(value, Future) else value

    def _small(self, arena: Arena) -> bytes:
        """The message of a task that goes its own way, most often a short one."""
        shared: Any = self.shared
        given = (self.arguments, self.keywords) if shared else (self.function, self.arguments, self.keywords)
        buffers: list[pickle.PickleBuffer] = []
        if shared is not None and not self.keywords and _ATOMS.issuperset(map(type, self.arguments)):
            data = pickle.dumps(given, 5)
        else:
            data = wire.dumps(given, buffers)
        if buffers or self.named or len(data) > wire.INLINE_BYTES:
            return self._parts(arena, _shelve(data, buffers, arena))
        if shared is None:
            return wire.TASK_HEAD.pack(wire.TASK, self.number) + data
        function = shared.data
        head = wire.RECALLED_HEAD.pack(wire.TASK_RECALLED, self.number, shared.number, len(function))
        return b"".join((head, function, data))

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
        return self._message(arena, function, parcel)

    def _message(self, arena: Arena, function: Parcel | None, parcel: Parcel) -> bytes:
        shared = self.shared or self.remote
        number = 0 if shared is None else shared.number
        threads = (self.seat or [], self.options.threads) if self.options.threads > 1 else None
        names = self.names(arena)
        message = wire.pack(
            wire.TASK_PARTS, self.number, (number, wire.flat(function), wire.flat(parcel), threads, names)
        )  # fmt: skip
        if len(message) <= wire.MESSAGE_BYTES:
            return message
        far = arena.store(memoryview(message)[wire.TASK_HEAD.size :])
        self.pinned = (*self.pinned, far)
        return wire.pack(wire.TASK_FAR, self.number, tuple(far))

    def check_names(self) -> None:
        """Raises `ValueError` if it names rows of an array, and nobody has said of which rank."""
        if self.options.rank is None and any(getattr(held, "spread", False) for held in self.named):
            raise ValueError(
                "a task sees the rows of a distributed array that lie on its rank: name the rank by options(rank=...), "
                "or use map, which calls the function for each row where it lies"
            )

    def names(self, arena: Arena) -> tuple[Any, ...]:
        """What the message names, by number: parcels."""
        names = [*self.named, *(self.shared.named if isinstance(self.shared, SharedFunction) else ())]
        if not names:
            return ()
        for held in names:
            held.parcel(arena)  # which finds what is named in it
        self.named = all_named(names)
        self.check_names()
        return tuple([(held.number, wire.flat(held.parcel(arena))) for held in self.named])

    def unsend(self, arena: Arena) -> None:
        """Undoes `encode`, for a task that is to be sent elsewhere."""
        self.message = None
        if self.given is None or self.loose is not None:
            self.drop_blocks(arena)
            self.given = None

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
