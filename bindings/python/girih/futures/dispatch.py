"""From submitted tasks to workers and back: one queue, first in first out, and one thread that hears the outcomes.

Tasks are pickled and sent by whoever finds room for them in the window, a submitting thread or the receiver; a window
of tasks is with the workers, deeper while tasks are short, so that a worker that ends one finds the next.
Invariant: every task that was accepted ends exactly once: its future, or its sink, hears a result, an error or that its
worker was lost.
Never here: processes, the executor's public methods.
"""

from __future__ import annotations

import marshal
import pickle
import socket
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from girih.futures import wire
from girih.futures.alarm import Alarm
from girih.futures.crew import Crew, Member, Settings
from girih.futures.errors import BrokenWorkersError, RemoteTraceback, WorkerLostError
from girih.futures.loose import wire_failure
from girih.futures.recall import FIRST
from girih.futures.task import Options, SharedFunction, Task

# Tasks in the kernel's queue beyond one for each worker, by the mean duration of tasks.
PREFETCH_SHORT, PREFETCH_MIDDLE, PREFETCH_LONG = 64, 8, 1
SHORT_NS, MIDDLE_NS = 500_000, 10_000_000
# So many workers in a row that end before they are ready, while none is, make the executor give up.
FALSE_STARTS_MAX = 5
# A worker writes what it took within microseconds; one that has not after so long never took it.
WHEREABOUTS_SECONDS = 0.2


@dataclass
class Counts:
    """What one rank's workers have done."""

    tasks: int = 0
    failed: int = 0
    lost: int = 0
    retries: int = 0
    busy_ns: int = 0


class Dispatcher:
    """The queue of one executor on one rank."""

    alive: weakref.WeakSet[Dispatcher] = weakref.WeakSet()

    def __init__(self, settings: Settings) -> None:
        self.crew = Crew(settings)
        self.workers = settings.workers
        self.counts = Counts()
        self.broken: BaseException | None = None
        self.closed = False
        self.pending: deque[Task] = deque()
        self._in_flight: dict[int, Task] = {}
        self._numbers = 0
        self._mean_ns = 1e9
        self._window = settings.workers + PREFETCH_LONG
        self._full = False
        self._feeding = threading.Lock()
        self._balancing = threading.RLock()
        self._processes = 0  # alive or being started, parked ones too
        self._park_requests = 0
        self._reserved = 0
        self._parents: dict[int, int] = {}  # tasks with tasks of their own that are not done
        self._false_starts = 0
        self._fences = 0
        self._alarm: Alarm | None = None
        self._kill_at_end = False
        self._trace = _tracer()
        self.receiver = threading.Thread(target=self._receive, name="girih-receiver", daemon=True)
        Dispatcher.alive.add(self)
        self.receiver.start()

    # --- submission ---------------------------------------------------------------------------------------------------

    def accept(self, task: Task) -> None:
        """Puts a task into the queue; `feed` sends it. The caller has checked `closed` and `broken`, under a lock."""
        if self._processes == 0:
            self._balance()
        self._numbers += 1
        task.number = self._numbers
        self.pending.append(task)

    def feed(self) -> None:
        """Sends tasks as long as there is room in the window; returns at once if another thread does so."""
        while self.pending and self._has_room():
            if not self._feeding.acquire(blocking=False):
                return
            try:
                while self.pending and self._has_room():
                    task = self.pending[0]
                    if task.options.threads > 1 and not self._reserve(task):
                        return
                    self._send(self.pending.popleft())
            finally:
                self._feeding.release()

    def _has_room(self) -> bool:
        return len(self._in_flight) < self._window and not self._full

    def _busy(self) -> bool:
        return bool(self._in_flight or self.pending)

    def _send(self, task: Task) -> None:
        try:
            if not task.begun:
                if not task.future.set_running_or_notify_cancel():
                    self._settle(task)
                    self._cancelled(task)
                    return
                task.begun = True
            if self.broken is not None:
                raise self.broken
            message = task.encode(self.crew.arena)
        except (KeyboardInterrupt, GeneratorExit):
            self.pending.appendleft(task)
            raise
        except BaseException as error:  # noqa: BLE001 - what cannot be pickled fails alone
            self._settle(task)
            self._fail(task, error)
            return
        self._in_flight[task.number] = task
        if not self.crew.send(message):
            del self._in_flight[task.number]
            self.pending.appendleft(task)
            self._full = True
        elif task.options.timeout is not None:
            self._watch(task)

    # --- how many workers take tasks ----------------------------------------------------------------------------------

    def _balance(self) -> None:
        """Lets as many workers take tasks as there should be: a full crew, one more for each task that waits for tasks
        of its own, fewer by those whose cores a running task has reserved."""
        with self._balancing:
            target = max(self.workers + len(self._parents) - self._reserved, 1)
            active = self._processes - self.crew.parked() - self._park_requests
            while active < target and self.crew.unpark():
                active += 1
            if active < target:
                self._processes += target - active
                self.crew.grow(target - active)
            while active > target and self.crew.send(wire.TASK_HEAD.pack(wire.PARK, 0)):
                self._park_requests += 1
                active -= 1
            self._set_window()

    def _set_window(self) -> None:
        prefetch = PREFETCH_LONG if self._mean_ns > MIDDLE_NS else PREFETCH_MIDDLE
        if self._mean_ns < SHORT_NS:
            prefetch = PREFETCH_SHORT
        # A task that waits for its own tasks is in flight and takes no worker's turn.
        self._window = self.workers + 2 * len(self._parents) + prefetch

    def _reserve(self, task: Task) -> bool:
        """True once the other workers whose cores a task wants have stopped at their gates."""
        others = min(task.options.threads, self.workers) - 1
        with self._balancing:
            if task.seat is None:
                if self._reserved:
                    return False  # one at a time, or two would wait for each other's cores
                self._reserved = others
                task.seat = []
                self._balance()
            members = [member for member in list(self.crew.members.values()) if member.parked]
            if len(members) < others:
                return False
            # Seats of workers that stopped first; those of replacements double others.
            slots = [member.slot for member in members] + list(range(1, self.workers + 1))
            seats = list(dict.fromkeys(tuple(self.crew.seat(slot)) for slot in slots))
            task.seat = sorted({unit for seat in seats[: others + 1] for unit in seat})
            return True

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        receive, unpack = self.crew.results.recv, wire.RESULT_HEAD.unpack_from
        while not self.closed or self._busy():
            message = receive(wire.MESSAGE_BYTES)
            kind, slot, number, start, end = unpack(message)
            if kind <= wire.FAILURE and kind != wire.READY:
                task = self._in_flight.pop(number, None)
                if task is not None:
                    self._done(task, kind, start, end, message)
                elif kind == wire.RESULT_PARTS:
                    self._discard(marshal.loads(memoryview(message)[wire.RESULT_HEAD.size :]))
                task = None
            else:
                self._hear(kind, slot, number, start, message)
            message = b""
        self._ended()

    def _ended(self) -> None:
        self.crew.dismiss()
        self.crew.close(kill=self._kill_at_end)
        if self._alarm is not None:
            self._alarm.stop()

    def _done(self, task: Task, kind: int, start: int, end: int, message: bytes) -> None:
        counts, duration_ns = self.counts, end - start
        if self._trace is not None:
            slot, now = wire.RESULT_HEAD.unpack_from(message)[1], time.monotonic_ns()
            self._trace(slot, task.label or "task", (now - start) / 1e9, (now - end) / 1e9)
        counts.tasks += 1
        counts.busy_ns += duration_ns
        mean = self._mean_ns
        if counts.tasks < 8:
            mean = 1e9 if counts.tasks == 1 else mean
            mean += (duration_ns - mean) / counts.tasks
        else:
            mean += (duration_ns - mean) * 0.125
        self._mean_ns = mean
        self._full = False
        self._settle(task)
        if kind == wire.FAILURE:
            counts.failed += 1
        self._deliver(task, kind, memoryview(message)[wire.RESULT_HEAD.size :])

    def _settle(self, task: Task) -> None:
        """Gives back what a task used, and sends the next ones."""
        if task.pinned or task.foreign:
            task.drop_blocks(self.crew.arena)
        if task.parent:
            with self._balancing:
                self._parents[task.parent] -= 1
                if self._parents[task.parent] == 0:
                    del self._parents[task.parent]
            self._balance()
        if task.seat is not None:
            with self._balancing:
                self._reserved = 0
            self._balance()
        self._set_window()
        if task.shared is not None:
            if task.shared.number < FIRST:
                self.crew.arena.write_low_mark(SharedFunction.low_mark())
            task.shared = None
        self.feed()

    def _deliver(self, task: Task, kind: int, content: Any) -> None:
        if task.sink is not None:
            task.sink(kind, marshal.loads(content) if kind == wire.RESULT_PARTS else bytes(content))
            return
        try:
            if kind == wire.RESULT:
                value = pickle.loads(content)
            elif kind == wire.RESULT_PARTS:
                value = self.open(marshal.loads(content))
            else:
                error, text = pickle.loads(content)
                error.__cause__ = RemoteTraceback(text)
                task.future.set_exception(error)
                return
        except BaseException as error:  # noqa: BLE001 - a result that cannot be opened fails alone
            task.future.set_exception(error)
        else:
            task.future.set_result(value)

    def open(self, plain: Any) -> Any:
        """The object in a worker's parcel; its arrays are views on shared memory, which they keep."""
        parcel = wire.parcel_of(plain)
        assert parcel is not None, "a result without its object"
        arena = self.crew.arena
        buffers = [arena.open(one, writable=True) for one in parcel.buffers]
        if parcel.body is None:
            return pickle.loads(parcel.inline, buffers=buffers)
        return pickle.loads(arena.open(parcel.body, writable=False), buffers=buffers)

    def _discard(self, plain: Any) -> None:
        """Lets go of the blocks of a result that nobody wants."""
        parcel = wire.parcel_of(plain)
        for reference in parcel.references() if parcel is not None else ():
            self.crew.arena.release_home(reference)

    def _fail(self, task: Task, error: BaseException) -> None:
        self.counts.failed += 1
        if task.sink is not None:
            task.sink(wire.FAILURE, wire_failure(error))
        elif not task.future.done():
            task.future.set_exception(error)

    # --- what workers say besides -------------------------------------------------------------------------------------

    def _hear(self, kind: int, slot: int, number: int, start: int, message: bytes) -> None:
        content = memoryview(message)[wire.RESULT_HEAD.size :]
        if kind == wire.READY:
            self.crew.members[slot].ready = True
            self._false_starts = 0
        elif kind == wire.WORKER_DIED:
            self._mourn(slot)
        elif kind == wire.SUBMIT:
            self._adopt(slot, number, start, *marshal.loads(content))
        elif kind == wire.OPENED:
            self._discard(marshal.loads(content))
        elif kind == wire.PARKED:
            with self._balancing:
                self._park_requests -= 1
                self.crew.members[slot].parked = True
            self._balance()
        elif kind == wire.FENCED:
            threading.Timer(WHEREABOUTS_SECONDS, self.crew.tell_receiver, (wire.WAKE, 0, number)).start()
        elif kind == wire.WAKE and number:
            self._find_lost(number)
        elif kind == wire.BROKEN:
            error, text = pickle.loads(content)
            self._break(BrokenWorkersError(f"the initializer failed in a worker: {text}"), error)
        elif kind == wire.NO_WORKER:
            self._break(BrokenWorkersError(f"a worker cannot be started: {self.crew.start_failure}"), None)
        self.feed()

    def _adopt(self, slot: int, number: int, parent: int, plain: Any, options: Any) -> None:
        """Accepts a task of a task."""
        task = Task(None, (), {}, Options(*options))
        parcel = task.given = wire.parcel_of(plain)
        assert parcel is not None, "a task without its parcel"
        member = self.crew.members[slot]

        def reply(kind: int, content: Any) -> None:
            self._note(kind, content)
            if member.dead or not self._reply(member, number, kind, content):
                if kind == wire.RESULT_PARTS:
                    self._discard(content)

        task.sink = reply
        task.foreign = parcel.references()
        for reference in task.foreign:
            self.crew.arena.note(reference)
        task.parent = parent or -slot
        with self._balancing:
            self._parents[task.parent] = self._parents.get(task.parent, 0) + 1
        self._balance()
        if self.broken is not None:
            self._settle(task)
            self._fail(task, self.broken)
            return
        self._numbers += 1
        task.number = self._numbers
        self.pending.append(task)

    def _note(self, kind: int, content: Any) -> None:
        """Remembers the blocks of a result that goes to another worker."""
        parcel = wire.parcel_of(content) if kind == wire.RESULT_PARTS else None
        for reference in parcel.references() if parcel is not None else ():
            self.crew.arena.note(reference)

    def _reply(self, member: Member, number: int, kind: int, content: Any) -> bool:
        try:
            member.replies.send(wire.pack(wire.REPLY, number, (kind, content)))
        except OSError:
            return False
        return True

    # --- workers that are lost ----------------------------------------------------------------------------------------

    def _mourn(self, slot: int) -> None:
        """Deals with the death of a worker: its task, its place, and what it may have taken unseen."""
        member = self.crew.members[slot]
        number, _ = self.crew.arena.row(slot)
        self.crew.arena.write_row(slot, 0, 0)
        self.crew.bury(slot)
        with self._balancing:
            self._processes -= 1
        if not member.ready:
            self._false_starts += 1
            hopeless = not any(other.ready for other in list(self.crew.members.values()))
            if self._false_starts >= FALSE_STARTS_MAX and hopeless and self.broken is None:
                text = f"workers end before they are ready (status {member.process.returncode})"
                self._break(BrokenWorkersError(text), None)
        task = self._in_flight.get(number)
        if task is not None:
            self._lose(task, member)
        elif member.ready and self._in_flight:
            self._fences += 1
            for task in list(self._in_flight.values()):
                task.fence = self._fences
            if not self.crew.send(wire.TASK_HEAD.pack(wire.FENCE, self._fences)):
                # A queue that is full moves on without this question.
                threading.Timer(WHEREABOUTS_SECONDS, self.crew.tell_receiver, (wire.WAKE, 0, self._fences)).start()
        if self.broken is None and (not self.closed or self._busy()):
            self._balance()

    def _lose(self, task: Task, member: Member | None) -> None:
        self._in_flight.pop(task.number, None)
        self.counts.lost += 1
        if member is not None and member.excuse is not None:
            self._settle(task)
            self._fail(task, member.excuse)
        elif member is None or task.tries < task.options.retries:
            # Nobody had begun it, or it may be tried again.
            task.tries += member is not None
            self.counts.retries += 1
            self.pending.appendleft(task)
        else:
            self._settle(task)
            process = member.process
            self._fail(task, WorkerLostError(socket.gethostname(), process.pid, process.returncode))

    def _find_lost(self, fence: int) -> None:
        """Sends again what was taken from the queue by a worker that died before it could say so."""
        rows = {self.crew.arena.row(slot)[0] for slot in list(self.crew.members)}
        for task in list(self._in_flight.values()):
            if 0 < task.fence <= fence and task.number not in rows:
                self._lose(task, None)

    def _break(self, error: BaseException, cause: BaseException | None) -> None:
        """Ends all tasks, now and later, with this error."""
        error.__cause__ = cause
        self.broken = error
        for task in list(self._in_flight.values()):
            self._in_flight.pop(task.number, None)
            self._settle(task)
            self._fail(task, error)
        while self.pending:
            task = self.pending.popleft()
            if task.begun or task.sink is not None or task.future.set_running_or_notify_cancel():
                self._settle(task)
                self._fail(task, error)

    # --- timeouts, cancellation, the end ------------------------------------------------------------------------------

    def _watch(self, task: Task) -> None:
        with self._balancing:
            if self._alarm is None:
                self._alarm = Alarm(self.running, self.is_in_flight, self.crew.kill)
        self._alarm.add(task)

    def running(self) -> dict[int, tuple[Member, int]]:
        """What runs: by task its worker, and since when (ns of the monotonic clock)."""
        rows = [(member, *self.crew.arena.row(slot)) for slot, member in list(self.crew.members.items())]
        return {number: (member, since) for member, number, since in rows if number in self._in_flight}

    def is_in_flight(self, task: Task) -> bool:
        """True while a task is with the workers."""
        return task.number in self._in_flight

    def stop_running(self, future: Future[Any], excuse: BaseException | None = None) -> bool:
        """Ends the worker that runs a future's task; the future fails with the excuse. False if none runs it."""
        for number, (member, _) in self.running().items():
            task = self._in_flight.get(number)
            if task is not None and task.future is future:
                self.crew.kill(member, excuse or CancelledError("the task was stopped while it ran"))
                return True
        return False

    def cancel_pending(self) -> None:
        """Cancels all tasks that no worker was given."""
        while self.pending:
            try:
                task = self.pending.popleft()
            except IndexError:
                break
            if not task.begun and task.sink is None:
                task.future.cancel()
                task.future.set_running_or_notify_cancel()
                if task.pinned:
                    task.drop_blocks(self.crew.arena)
                self._cancelled(task)
            else:
                self._settle(task)
                self._fail(task, CancelledError())

    def _cancelled(self, task: Task) -> None:
        """For those who want to know of a task that was cancelled before it began."""

    def close(self, *, cancel: bool = False, kill: bool = False) -> None:
        """Accepts no more tasks; workers leave when all are done."""
        self.closed = True
        if cancel or kill:
            self.cancel_pending()
        if kill:
            self._kill_at_end = True
            for member in list(self.crew.members.values()):
                self.crew.kill(member, CancelledError("the executor was stopped"))
        self.crew.tell_receiver(wire.WAKE)


def _tracer() -> Callable[[int, str, float, float], None] | None:
    """What notes tasks in a trace; `None` where girih's arrays, which traces are of, were never imported."""
    native = sys.modules.get("girih._native")
    return None if native is None else native.trace_process
