"""Where an executor's tasks go: to this rank's workers, to those of all ranks, or to the rank of the worker we are in.

A home is made with its executor, which asks it for a future for each submission.
Invariant: under a launcher of several ranks making an executor is collective, and the homes of all ranks number the
submissions alike.
Never here: the public face.
"""

from __future__ import annotations

import functools
import os
import pickle
import socket
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from girih.futures import cores, nested, notebook, wire
from girih.futures.arguments import is_array
from girih.futures.balance import Counts
from girih.futures.crew import Settings
from girih.futures.dispatch import Dispatcher
from girih.futures.follower import Follower
from girih.futures.held import Handle, Held
from girih.futures.leader import LeadingDispatcher
from girih.futures.nodes import divide, own_node
from girih.futures.post import LEADER, Post, post
from girih.futures.post import close as close_post
from girih.futures.rows import Shown, own_rows
from girih.futures.task import Options, SharedFunction, Shelf, Task
from girih.launched import rank_and_size


NO_TRAFFIC = {"stolen_by_rank": [0], "bytes_sent_by_rank": [0], "bytes_received_by_rank": [0], "node_by_rank": [0]}


# Of a task that is of no `map`.
NO_KEY = (0, 0)


class Call(NamedTuple):
    """A submission."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    options: Options
    shared: SharedFunction | None = None
    shelf: Shelf | None = None
    key: tuple[int, int] = NO_KEY  # which `map` of this executor, 0 for none, and which of its chunks
    label: str = ""
    special: tuple[Any, ...] | list[Any] = ()  # futures, handles and rows among the arguments


class OneRank:
    """This rank's own workers, started at the first submission."""

    follows = False

    def __init__(self, settings: Settings) -> None:
        self.workers = settings.workers
        self.dispatcher: Dispatcher | None = None
        self._settings = settings
        self._lock = threading.Lock()
        self._shut = False
        self._arrays = 0
        self._shown = Shown()
        _end_with_interpreter()

    def submit(self, call: Call) -> Future[Any]:
        """Accepts a task. Raises `RuntimeError` after the end, `BrokenExecutor` if it is broken."""
        with self._lock:
            dispatcher = self.dispatcher
            if _interpreter_ends and not self._shut:
                raise RuntimeError("cannot schedule new futures after interpreter shutdown")
            if self._shut or (dispatcher is not None and dispatcher.closed):
                raise RuntimeError("cannot schedule new futures after shutdown")
            if dispatcher is None:
                dispatcher = self._start()
            if dispatcher.broken is not None:
                raise type(dispatcher.broken)(*dispatcher.broken.args) from dispatcher.broken.__cause__
            task = Task(call.function, call.arguments, call.keywords, call.options, call.shared, call.shelf)
            if call.special:
                task.special = call.special
            self._label(task, call)
            dispatcher.accept(task)
        dispatcher.feed()
        return task.future

    def _start(self) -> Dispatcher:
        notebook.watch()
        dispatcher = self.dispatcher = Dispatcher(self._settings)
        weakref.finalize(self, Dispatcher.close, dispatcher).atexit = False
        return dispatcher

    def _label(self, task: Task, call: Call) -> None:
        task.label = call.label

    def broadcast(self, value: Any) -> Handle:
        """Puts a value into the shared memory of every rank."""
        return self._hold(value, None)

    def scatter(self, values: list[Any]) -> list[Handle]:
        """Puts each value into the shared memory of one rank."""
        return [self._hold(value, place) for place, value in enumerate(values)]

    def rows(self, array: Any) -> Handle:
        """Puts the rows of an array that lie on this rank into its shared memory; collective."""
        self._arrays += 1
        held = own_rows(array, -self._arrays, self._shown)
        self._started().keep_here(held)
        return Handle(array, held)

    def share(self, items: Any) -> tuple[Any, Shelf | None]:
        """The tuples of arguments of a `map`, and a shelf for what appears in several of them."""
        return items, Shelf() if repeated(items) else None

    def _hold(self, value: Any, place: int | None) -> Handle:
        held = Held(value)
        self._started().keep_here(held)
        return Handle(value, held)

    def _started(self) -> Dispatcher:
        with self._lock:
            if self._shut:
                raise RuntimeError("cannot hold values after shutdown")
            return self.dispatcher or self._start()

    def close(self, *, wait: bool, cancel: bool = False, kill: bool = False) -> None:
        """Accepts nothing more."""
        with self._lock:
            self._shut = True
            dispatcher = self.dispatcher
        self._shown.end()
        if dispatcher is not None:
            dispatcher.close(cancel=cancel, kill=kill)
            if wait:
                dispatcher.receiver.join()

    def is_over(self) -> bool:
        """True if nothing is accepted any more."""
        return self._shut or (self.dispatcher is not None and self.dispatcher.broken is not None)

    def stop(self, future: Future[Any]) -> bool:
        """Ends a task that runs."""
        return self.dispatcher is not None and self.dispatcher.stop_running(future)

    def counts(self) -> list[Counts]:
        """What each rank has done, as far as this one knows."""
        return [Counts() if self.dispatcher is None else self.dispatcher.counts]

    def traffic(self) -> dict[str, list[int]]:
        """What went between ranks, by rank."""
        return dict(NO_TRAFFIC)


class Leading(OneRank):
    """Rank 0 among several."""

    def __init__(self, settings: Settings, office: Post, workers: list[int], nodes: list[int], *, tell: bool) -> None:
        super().__init__(settings)
        self.workers = sum(workers)
        self._submissions = 0
        self.leading = LeadingDispatcher(settings, office, workers, nodes, tell=tell)
        self.dispatcher = self.leading
        weakref.finalize(self, Dispatcher.close, self.leading).atexit = False

    def _label(self, task: Task, call: Call) -> None:
        task.label = call.label
        if call.key == NO_KEY:
            self._submissions += 1
            task.key = (0, self._submissions)
        else:
            task.key = call.key

    def counts(self) -> list[Counts]:
        """What each rank has done, as far as this one knows."""
        return [site.counts for site in self.leading.sites]

    def traffic(self) -> dict[str, list[int]]:
        """What went between this rank and the others, by rank."""
        sites = self.leading.sites
        return {
            "stolen_by_rank": [site.stolen for site in sites],
            "bytes_sent_by_rank": [site.bytes_sent for site in sites],
            "bytes_received_by_rank": [site.bytes_received for site in sites],
            "node_by_rank": list(self.leading.values.nodes),
        }

    def share(self, items: Any) -> tuple[Any, Shelf | None]:
        """As on one rank; here large arrays are named instead, so that each node is sent them once."""
        found = repeated(items)
        if found:
            handles = {id(value): Handle(value, Held(value)) for value in found}
            items = [tuple([handles.get(id(value), value) for value in item]) for item in items]
        return items, None

    def rows(self, array: Any) -> Handle:
        """As on one rank; the other ranks let go of their rows with the handle that is returned here."""
        handle = super().rows(array)
        assert handle.held is not None, "rows without a name"
        handle.held.forgotten = self.leading.forget
        return handle

    def _hold(self, value: Any, place: int | None) -> Handle:
        leading, held = self.leading, Held(value)
        working = [site for site in leading.sites for _ in range(site.workers)]
        # The pickle is made now, so the value may be changed afterwards.
        leading.hold(held, leading.sites if place is None else [working[place % len(working)]])
        return Handle(value, held)


class Following:
    """Any other rank: futures that rank 0's outcomes fill, and workers for rank 0's tasks."""

    follows = True

    def __init__(self, settings: Settings, office: Post, workers: list[int]) -> None:
        self.workers = sum(workers)
        self._follower = Follower(settings, office)
        self.dispatcher = self._follower.dispatcher
        self._submissions = 0
        self._arrays = 0
        self._shown = Shown()
        self._shut = False
        _followers.append(self._follower)
        _end_with_interpreter()

    def submit(self, call: Call) -> Future[Any]:
        """The future of what rank 0 submits at the same place of the script."""
        if self._shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        key = call.key
        if key == NO_KEY:
            self._submissions += 1
            key = (0, self._submissions)
        return self._follower.expect(key, call.label, call.special)

    def share(self, items: Any) -> tuple[Any, Shelf | None]:
        """Rank 0 sees to it."""
        return items, None

    def broadcast(self, value: Any) -> Handle:
        """A handle of what rank 0 puts into every rank's memory."""
        return Handle(value, None)

    def scatter(self, values: list[Any]) -> list[Handle]:
        """Handles of what rank 0 puts into the ranks' memory."""
        return [Handle(value, None) for value in values]

    def rows(self, array: Any) -> Handle:
        """Puts the rows of an array that lie on this rank into its shared memory; collective."""
        self._arrays += 1
        held = own_rows(array, -self._arrays, self._shown)
        self._follower.bring(held)
        return Handle(array, held)

    def close(self, *, wait: bool, cancel: bool = False, kill: bool = False) -> None:
        """Accepts nothing more; rank 0 decides about the rest."""
        self._shut = True
        self._shown.end()
        if wait and not kill:
            self._follower.wait()

    def is_over(self) -> bool:
        """True if nothing is accepted any more."""
        return self._shut

    def stop(self, future: Future[Any]) -> bool:
        """Rank 0 ends the task; here it is only asked."""
        return not future.done()

    def counts(self) -> list[Counts]:
        """What this rank's workers have done."""
        return [self.dispatcher.counts]

    def traffic(self) -> dict[str, list[int]]:
        """Rank 0 alone counts this."""
        return dict(NO_TRAFFIC)


class Within:
    """A worker: its tasks go to the rank that it works for."""

    follows = False
    dispatcher = None

    def __init__(self, line: nested.Line, workers: int) -> None:
        self.workers = workers
        self._line = line
        self._shut = False
        self._futures: weakref.WeakSet[Future[Any]] = weakref.WeakSet()

    def submit(self, call: Call) -> Future[Any]:
        """Hands a task to the rank."""
        if self._shut:
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = self._line.submit(call.function, call.arguments, call.keywords, tuple(call.options), call.special)
        self._futures.add(future)
        return future

    def share(self, items: Any) -> tuple[Any, Shelf | None]:
        """Each task takes its arguments along."""
        return items, None

    def broadcast(self, value: Any) -> Handle:
        """A handle that is the value; it is sent with each task that names it."""
        return Handle(value, None)

    def scatter(self, values: list[Any]) -> list[Handle]:
        """Handles that are the values; each is sent with each task that names it."""
        return [Handle(value, None) for value in values]

    def rows(self, array: Any) -> Handle:
        """In a task girih's arrays are those of one rank."""
        return Handle(array.local, None)

    def close(self, *, wait: bool, cancel: bool = False, kill: bool = False) -> None:
        """Accepts nothing more."""
        self._shut = True
        for future in list(self._futures) if wait else []:
            future.exception()

    def is_over(self) -> bool:
        """True if nothing is accepted any more."""
        return self._shut

    def stop(self, future: Future[Any]) -> bool:
        """A task of a task cannot be ended from there."""
        return False

    def counts(self) -> list[Counts]:
        """Nothing is counted here."""
        return [Counts()]

    def traffic(self) -> dict[str, list[int]]:
        """Nothing is counted here."""
        return dict(NO_TRAFFIC)


Home = OneRank | Following | Within


def find_home(max_workers: int | None, make: Callable[[int], Settings]) -> Home:
    """The home of a new executor, whose settings `make` gives for a number of workers on this rank.

    Collective under a launcher of several ranks, outside of workers.
    """
    line = nested.line()
    if line is not None:
        return Within(line, max_workers or 1)
    if rank_and_size()[1] == 1:
        return OneRank(make(max_workers or cores.core_count()))
    from girih import _native

    rank = _native.rank()
    counts = _counts or _gather_counts()
    nodes = _gather_nodes()
    size = len(counts)
    shares = [max_workers // size + (other < max_workers % size) for other in range(size)] if max_workers else counts
    office = post()
    if _counts is not None:
        for other in range(1, size):
            office.send(other, CONTROL, shares[other], pickle.dumps(make(max(shares[other], 1)).portable()))
    if rank == LEADER:
        return Leading(make(shares[rank]), office, shares, nodes, tell=_counts is None)
    # A rank that gets none starts a worker when a task is for this rank alone.
    return Following(make(max(shares[rank], 1)), office, shares)


def repeated(items: Any) -> list[Any]:
    """Large arrays that appear in several of these tuples."""
    if not isinstance(items, list) or len(items) < 2:
        return []
    seen: set[int] = set()
    found: dict[int, Any] = {}
    for item in items:
        for value in item:
            if getattr(value, "nbytes", 0) >= wire.BUFFER_BYTES and not is_array(value):
                if id(value) in seen:
                    found[id(value)] = value
                seen.add(id(value))
    return list(found.values())


def where() -> str:
    """What tracebacks call this rank."""
    rank, size = rank_and_size()
    host = socket.gethostname()
    return host if size == 1 else f"rank {rank} on {host}"


def scripts() -> int:
    """How many ranks run the program."""
    return 1 if _counts is not None or nested.line() is not None else rank_and_size()[1]


def nodes() -> int:
    """How many nodes run tasks. Collective the first time."""
    return 1 if nested.line() is not None or rank_and_size()[1] == 1 else len(set(_gather_nodes()))


def all_cores() -> int:
    """The cores of all ranks. Collective the first time."""
    return cores.core_count() if rank_and_size()[1] == 1 else sum(_counts or _gather_counts())


@functools.cache
def _gather_counts() -> list[int]:
    from girih import _native

    return [int(part) for part in _native.all_gather_bytes(b"%d" % cores.core_count())]


@functools.cache
def _gather_nodes() -> list[int]:
    from girih import _native

    return divide([part.decode() for part in _native.all_gather_bytes(own_node().encode())])


# --- programs on one rank of several ----------------------------------------------------------------------------------

# The executor number of words between homes.
CONTROL = -1
# Instead of a number of workers: no more executors are made.
_RELEASED = -1
_released = threading.Event()
# The cores of all ranks, if rank 0 alone runs the program.
_counts: list[int] | None = None


def run_on_one_rank() -> None:
    """From now on executors are made by rank 0 alone; the others make theirs when it says so. Collective."""
    global _counts
    _counts = _gather_counts()
    _gather_nodes()
    office = post()
    _end_with_interpreter()
    if office.rank != LEADER:
        office.listen(CONTROL, _serve)


def _serve(_: int, workers: int, settings: bytes) -> None:
    if workers == _RELEASED:
        _released.set()
        return
    _followers.append(Follower(Settings.opened(pickle.loads(settings), where()), post()))


# --- the end of the program -------------------------------------------------------------------------------------------

_followers: list[Follower] = []
_interpreter_ends = False
_registered = False
_owner = os.getpid()


def _end_with_interpreter() -> None:
    """Lets accepted tasks end before the interpreter does, as executors of the standard library do."""
    global _registered
    if not _registered:
        _registered = True
        # Before `atexit`: threads can no longer be started there.
        threading._register_atexit(_finish_all)  # type: ignore[attr-defined]


def _finish_all() -> None:
    global _interpreter_ends
    _interpreter_ends = True
    if os.getpid() != _owner:
        return
    from girih import failure

    if failure.exit_status():
        return  # the whole job is about to be ended
    alone = _counts is not None
    if alone and post().rank != LEADER:
        _released.wait()
    for follower in _followers:
        follower.ended.wait()
    for dispatcher in list(Dispatcher.alive):
        dispatcher.close()
        dispatcher.receiver.join()
    if alone and post().rank == LEADER:
        post().send_to_all(CONTROL, _RELEASED, b"")
    close_post()
