"""The program of a worker: takes tasks one by one, runs them, sends what came of them.

It is started clean, without the user's script, and imports nothing of girih but this folder until a task asks for more.
It ends when its rank is gone, whatever it is doing then: the lifeline's signal ends it.
Invariant: the board names the task that runs here from before its first line until after its result was sent.
"""

from __future__ import annotations

import fcntl
import marshal
import os
import pickle
import signal
import socket
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from time import monotonic_ns
from typing import Any

from girih.futures import nested, setup, wire
from girih.futures.arena import Arena
from girih.futures.cores import THREAD_VARIABLES
from girih.futures.wire import Parcel

# Tasks that follow each other one by one come sooner than a process sleeps and wakes.
SPIN_NS = 100_000
# So many functions stay unpickled, the oldest goes first.
FUNCTIONS_MAX = 64
# So many values that tasks name stay unpickled.
VALUES_MAX = 8
# Modules that bring libraries with threads of their own.
_WITH_POOLS = ("numpy", "scipy", "torch", "numba", "mkl")
# A file that is ready raises this signal instead of SIGIO; its default action ends the process.
_SETSIG = 10  # F_SETSIG


class Worker:
    """One worker: its sockets, its part of the arena, the functions it has seen."""

    def __init__(self, place: dict[str, Any], tasks: socket.socket, results: socket.socket, gate: int) -> None:
        self.slot: int = place["slot"]
        self.arena = Arena(place["arena"], place["arena_bytes"], place["first"], place["end"], self.slot)
        self.tasks = tasks
        self.results = results
        self.gate = gate
        self.where: str = place["where"]
        self._seat: list[int] = place["cores"]
        self._tasks_left: float = place["tasks_max"] or float("inf")
        self._functions: OrderedDict[int, Callable[..., Any]] = OrderedDict()
        self._names: dict[int, Any] = {}  # what the message that is being opened names
        self._values: OrderedDict[int, Any] = OrderedDict()  # whose pickles were long
        self._home_end: int = place["home_end"]
        self._mark = 0
        self._modules = len(sys.modules)
        self._sending = threading.Lock()

    def run(self) -> None:
        """Serves until the rank closes the queue of tasks."""
        receive, unpack = self.tasks.recv, wire.TASK_HEAD.unpack_from
        while self._tasks_left > 0 and (message := self._next(receive)):
            kind, task = unpack(message)
            if kind <= wire.TASK_FAR:
                self._tasks_left -= 1
                self._run_task(kind, task, message)
            elif kind == wire.PARK:
                self.send(wire.RESULT_HEAD.pack(wire.PARKED, self.slot, 0, 0, 0))
                os.read(self.gate, 1)
            elif kind == wire.FENCE:
                self.send(wire.RESULT_HEAD.pack(wire.FENCED, self.slot, task, 0, 0))

    def _next(self, receive: Callable[..., bytes]) -> bytes:
        """The next message. Looks again for a moment before it sleeps, for waking up takes longer than a short task;
        what may be done while there is none is done first."""
        end = 0
        while True:
            try:
                return receive(wire.MESSAGE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                now = monotonic_ns()
            if self.arena.wanted:
                self.arena.make_spares()
            elif end == 0:
                end = now + SPIN_NS
            elif now > end:
                return receive(wire.MESSAGE_BYTES)
            # Whoever is to send the message may want this core.
            os.sched_yield()

    def send(self, message: bytes) -> None:
        """Sends to the rank; any thread of the worker may."""
        with self._sending:
            self.results.send(message)

    def _run_task(self, kind: int, task: int, message: bytes) -> None:
        start = monotonic_ns()
        self.arena.write_row(self.slot, task, start)
        try:
            if kind == wire.TASK:
                function, arguments, keywords = pickle.loads(memoryview(message)[wire.TASK_HEAD.size :])
                value = function(*arguments, **keywords)
            elif kind == wire.TASK_RECALLED:
                function, (arguments, keywords) = self._open_recalled(message)
                value = function(*arguments, **keywords)
            else:
                function, arguments, keywords, room = self._open_parts(kind, message)
                with room:
                    value = function(*arguments, **keywords)
            del function, arguments, keywords
            answer = self._answer(task, start, value)
            del value
        except BaseException as error:  # noqa: BLE001 - whatever user code raises belongs to its future
            answer = self._failure(task, start, error)
        self.send(answer)
        self.arena.write_row(self.slot, 0, 0)
        if self._functions:
            self._forget_functions()
        if len(sys.modules) != self._modules:
            self._tell_limits()

    def _tell_limits(self) -> None:
        """Tells the rank which thread pools the task has loaded, and how large they are."""
        if not sys.modules.keys().isdisjoint(_WITH_POOLS):
            import threadpoolctl

            found = threadpoolctl.threadpool_info()
            pools = [(f"{one['internal_api']} {one['version']}", one["num_threads"]) for one in found]
            self.send(wire.RESULT_HEAD.pack(wire.LIMITS, self.slot, 0, 0, 0) + marshal.dumps(pools))
        self._modules = len(sys.modules)

    def _open_parts(self, kind: int, message: bytes) -> tuple[Any, tuple[Any, ...], dict[str, Any], Any]:
        content = marshal.loads(memoryview(message)[wire.TASK_HEAD.size :])
        if kind == wire.TASK_FAR:
            content = marshal.loads(self.arena.open(wire.Reference(*content), writable=False))
        number, function, arguments, threads, names = content
        self._names = dict(names)
        room = nullcontext() if threads is None else Widened(self._seat, *threads)
        data, body, buffers, _ = arguments
        plain = body is None and not buffers
        given = pickle.loads(data) if plain else self.arena.open_parcel(arguments)
        if number == 0:
            return (*given, room)
        known = self._functions.get(number) or self._remember(number, self.arena.open_parcel(function))
        return (known, *given, room)

    def _open_recalled(self, message: bytes) -> tuple[Callable[..., Any], Any]:
        _, _, number, length = wire.RECALLED_HEAD.unpack_from(message)
        view = memoryview(message)
        end = wire.RECALLED_HEAD.size + length
        known = self._functions.get(number)
        if known is None:
            known = self._remember(number, pickle.loads(view[wire.RECALLED_HEAD.size : end]))
        return known, pickle.loads(view[end:])

    def _remember(self, number: int, function: Callable[..., Any]) -> Callable[..., Any]:
        self._functions[number] = function
        if len(self._functions) > FUNCTIONS_MAX:
            self._functions.popitem(last=False)
        return function

    def shown(self, number: int) -> Any:
        """The value that a message names by its number."""
        if number in self._values:
            self._values.move_to_end(number)
            return self._values[number]
        parcel = self.place(number)
        value = self.arena.open_parcel(self._names[number])
        # A long pickle is opened once; arrays are views, which cost nothing and must not outlive their task.
        if parcel.body is not None and not parcel.buffers:
            self._values[number] = value
            if len(self._values) > VALUES_MAX:
                self._values.popitem(last=False)
        return value

    def place(self, number: int) -> Parcel:
        """Where the value lies that a message names by its number."""
        parcel = wire.parcel_of(self._names[number])
        assert parcel is not None, "a name without its place"
        return parcel

    def _answer(self, task: int, start: int, value: Any) -> bytes:
        buffers: list[pickle.PickleBuffer] = []
        data = wire.dumps(value, buffers)
        if not buffers and len(data) <= wire.INLINE_BYTES:
            return wire.RESULT_HEAD.pack(wire.RESULT, self.slot, task, start, monotonic_ns()) + data
        parcel = self.pack_away(data, buffers)
        head = wire.RESULT_HEAD.pack(wire.RESULT_PARTS, self.slot, task, start, monotonic_ns())
        return head + marshal.dumps(wire.flat(parcel))

    def pack_away(self, data: bytes, buffers: list[pickle.PickleBuffer]) -> Parcel:
        """A pickle and its buffers as a parcel for the rank; what lies in the arena already is not copied."""
        references = tuple([self._lend(buffer) for buffer in buffers])
        if len(data) <= wire.INLINE_BYTES:
            return Parcel(data, None, references)
        return Parcel(b"", self._lend(pickle.PickleBuffer(data)), references)

    def _lend(self, buffer: pickle.PickleBuffer) -> wire.Reference:
        found = self.arena.find(buffer)
        # Blocks of other workers may be let go by the rank with the task.
        if found is not None and found.offset < self._home_end:
            self.arena.hold_for_home(found)
            return found
        stored = self.arena.store(buffer)
        self.arena.hold_for_home(stored)
        self.arena.unpin(stored)
        return stored

    def _failure(self, task: int, start: int, error: BaseException) -> bytes:
        # The frames above the user's are this file's.
        trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
        text = "".join(traceback.format_exception(type(error), error, trace))
        head = wire.RESULT_HEAD.pack(wire.FAILURE, self.slot, task, start, monotonic_ns())
        text = f"{self.where}, worker {self.slot}, process {os.getpid()}:\n{text}"
        return head + portable(error, text)

    def _forget_functions(self) -> None:
        mark = self.arena.low_mark()
        if mark != self._mark:
            self._mark = mark
            for number in [number for number in self._functions if number < mark]:
                del self._functions[number]


def portable(error: BaseException, text: str) -> bytes:
    """An exception with its traceback's text as bytes that are known to open again."""
    try:
        data = wire.dumps((error, text), [])
        if len(data) < wire.MESSAGE_BYTES - 256:
            pickle.loads(data)
            return data
    except BaseException:  # noqa: BLE001 - an exception that cannot travel is told in words
        pass
    kept = text[-wire.INLINE_BYTES :]
    words = f"{type(error).__name__}: {str(error)[:2000]} (the exception itself cannot be pickled)"
    return pickle.dumps((RuntimeError(words), kept), 5)


class Widened:
    """More cores and threads for one task that reserved them; as a context."""

    def __init__(self, seat: list[int], wide: list[int], threads: int) -> None:
        self._seat, self._all, self._threads = seat, wide, threads
        self._limits: Any = None

    def __enter__(self) -> None:
        if self._all:
            os.sched_setaffinity(0, self._all)
        import threadpoolctl

        # Libraries that the task loads later read the variables; those that are loaded are told.
        for name in THREAD_VARIABLES:
            os.environ[name] = str(self._threads)
        self._limits = threadpoolctl.threadpool_limits(self._threads)

    def __exit__(self, *_: object) -> None:
        self._limits.restore_original_limits()
        if self._seat:
            os.sched_setaffinity(0, self._seat)


def _hang_on(lifeline: int) -> None:
    """Lets this process end with the rank, even in the middle of a task: the kernel signals the pipe's end."""
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, _SETSIG, signal.SIGKILL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def main(arguments: list[str]) -> None:
    """Runs a worker; the arguments are the numbers of inherited files."""
    tasks_file, results_file, gate, lifeline, setup_file = (int(one) for one in arguments)
    _hang_on(lifeline)
    # The terminal's Ctrl-C is for the rank, which decides what becomes of the tasks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open(setup_file, "rb") as file:
        place = pickle.load(file)
    sys.path[:] = place["path"]
    sys.argv[:] = place["argv"]
    if place["cores"]:
        os.sched_setaffinity(0, place["cores"])
    if os.getppid() != place["parent"]:
        return  # the rank went before the lifeline was tied
    setup.share_key(place["key"])
    worker = Worker(place, socket.socket(fileno=tasks_file), socket.socket(fileno=results_file), gate)
    nested.serve(worker, place["replies"])
    if not _initialize(worker, place["given"]):
        return
    worker.send(wire.RESULT_HEAD.pack(wire.READY, worker.slot, 0, 0, 0))
    worker.run()
    _leave()


def _initialize(worker: Worker, given: bytes | None) -> bool:
    if given is None:
        return True
    try:
        setup.apply(given)
    except BaseException as error:  # noqa: BLE001 - the executor is told, whatever it was
        text = f"{worker.where}, worker {worker.slot}:\n{traceback.format_exc()}"
        worker.send(wire.RESULT_HEAD.pack(wire.BROKEN, worker.slot, 0, 0, 0) + portable(error, text))
        return False
    return True


def _leave() -> None:
    """Ends the process as Python does, but never waits for threads that tasks left behind."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os._exit(0)
