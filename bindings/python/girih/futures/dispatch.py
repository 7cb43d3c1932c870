"""From submitted tasks to workers and back: one queue, first in first out, and one thread that hears the outcomes.

Tasks are pickled and sent by whoever finds room for them in the window, a submitting thread or the receiver; a window
of tasks is with the workers, deeper while tasks are short, so that a worker that ends one finds the next.
Invariant: every task that was accepted ends exactly once: its future, or its sink, hears a result, an error or that its
worker was lost.
Never here: processes, the executor's public methods.
"""

from __future__ import annotations

import itertools
import marshal
import pickle
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from girih.futures import outcome, wire
from girih.futures.alarm import Alarm
from girih.futures.balance import Balance, Counts
from girih.futures.crew import Crew, Member, Settings
from girih.futures.errors import BrokenWorkersError, WorkerLostError
from girih.futures.flight import Flight, tracer
from girih.futures.held import Held
from girih.futures.loose import Loose, put_in, take_out
from girih.futures.post import Post
from girih.futures.recall import FIRST
from girih.futures.task import Options, SharedFunction, Task
from girih.futures.waiting import Waiting

# So many workers in a row that end before they are ready, while none is, make the executor give up.
FALSE_STARTS_MAX = 5
# A worker writes what it took within microseconds; one that has not after so long never took it.
WHEREABOUTS_SECONDS = 0.2
# Outcomes of short tasks follow each other sooner than a thread sleeps and wakes.
SPIN_US = 50


class Dispatcher:
    """The queue of one executor on one rank."""

    alive: weakref.WeakSet[Dispatcher] = weakref.WeakSet()

    def __init__(self, settings: Settings, office: Post | None = None) -> None:
        self.crew = Crew(settings)
        self.workers = settings.workers
        self.counts = Counts()
        self.broken: BaseException | None = None
        self.closed = False
        self.accepted = 0  # the last task that was
        self.pending: deque[Task] = deque()
        self._waiting = Waiting(self._waited)
        self.flight = Flight(self.crew)
        self._in_flight = self.flight.tasks
        self._numbers = itertools.count(1)
        self.balance = Balance(self.crew, settings.workers)
        self._full = False
        self._feeds_later = False  # room that several outcomes leave is filled together
        self._feeding = threading.Lock()
        self._asked = False  # to feed, while another thread did
        self._alarming = threading.Lock()
        self._false_starts = 0
        self._fences = 0
        self._alarm: Alarm | None = None
        self._kill_at_end = False
        self._trace = tracer()
        self.office = office  # where outcomes go to other ranks
        self.receiver = threading.Thread(target=self._receive, name="girih-receiver", daemon=True)
        Dispatcher.alive.add(self)
        self.receiver.start()

    # --- submission ---------------------------------------------------------------------------------------------------

    def accept(self, task: Task) -> None:
        """Puts a task into the queue; `feed` sends it. The caller has checked `closed` and `broken`, under a lock."""
        if self.balance.processes == 0:
            self.balance.balance()
        task.number = self.accepted = next(self._numbers)
        if not (task.special and self._waiting.add(task)):
            self._enqueue(task)

    def _enqueue(self, task: Task) -> None:
        self.pending.append(task)

    def _waited(self, task: Task, failed: Future[Any] | None) -> None:
        """Goes on with a task whose arguments are there; ends it as the one that failed has ended."""
        if failed is None:
            self._enqueue(task)
        elif failed.cancelled():
            task.future.cancel()
            task.future.set_running_or_notify_cancel()
            self._cancelled(task)
        elif task.future.set_running_or_notify_cancel():
            error = failed.exception()
            assert error is not None, "a future that has neither failed nor been cancelled"
            self._fail(task, error)
        else:
            self._cancelled(task)
        self.feed()
        if self.closed:
            self.crew.tell_receiver(wire.WAKE)

    def keep_here(self, held: Held) -> None:
        """Puts a value into this rank's memory now."""
        held.parcel(self.crew.arena)

    def feed(self) -> None:
        """Sends tasks as long as there is room in the window; returns at once if another thread does so."""
        pending, in_flight, balance = self.pending, self._in_flight, self.balance
        while pending and len(in_flight) < balance.window and not self._full:
            # Whoever feeds already looks again, for what it found wanting may be there by now.
            self._asked = True
            if not self._feeding.acquire(blocking=False):
                return
            blocked = False
            try:
                self._asked = False
                while not blocked and pending and len(in_flight) < balance.window and not self._full:
                    blocked = pending[0].options.threads > 1 and not balance.reserve(pending[0])
                    if not blocked:
                        self._send(pending.popleft())
            finally:
                self._feeding.release()
            if blocked and not self._asked:
                return

    def load(self) -> int:
        """Tasks that the workers have or will be given."""
        return len(self._in_flight) + len(self.pending)

    def _busy(self) -> bool:
        return bool(self._in_flight or self.pending or self._waiting)

    def _prepare(self, task: Task, pickled: Callable[[Task], Any], queue: deque[Task]) -> Any:
        """What pickling a task gives; `None` if it was cancelled, or if that failed, so that it has ended."""
        try:
            if not task.begun:
                if not task.future.set_running_or_notify_cancel():
                    self._settle(task)
                    self._cancelled(task)
                    return None
                task.begun = True
            if self.broken is not None:
                raise self.broken
            return pickled(task)
        except (KeyboardInterrupt, GeneratorExit):
            queue.appendleft(task)
            raise
        except BaseException as error:  # noqa: BLE001 - what cannot be pickled fails alone
            self._settle(task)
            self._fail(task, error)
            return None

    def _send(self, task: Task) -> None:
        message = self._prepare(task, lambda task: task.encode(self.crew.arena), self.pending)
        if message is None:
            return
        if not self.flight.send(task, message):
            self.pending.appendleft(task)
            self._full = True
        elif task.options.timeout is not None:
            self._watch(task)

    # --- outcomes -----------------------------------------------------------------------------------------------------

    def _receive(self) -> None:
        unpack, results = wire.RESULT_HEAD.unpack_from, self.crew.results
        receive = results.receive if self.office is None else self.office.flushing(results.receive)
        while not self.closed or self._busy():
            messages = receive(SPIN_US)
            messages.reverse()
            while messages:
                kind, slot, number, start, end = unpack(message := messages.pop())
                self._feeds_later = bool(messages)
                if kind <= wire.FAILURE and kind != wire.READY:
                    task = self._in_flight.pop(number, None)
                    if task is not None:
                        self._done(task, kind, (slot, start, end), message)
                    elif kind == wire.RESULT_PARTS:
                        self._discard(marshal.loads(memoryview(message)[wire.RESULT_HEAD.size :]))
                else:
                    self._hear(kind, slot, number, start, message)
                task, message = None, b""
            self.feed()
        self._ended()

    def _ended(self) -> None:
        self.crew.dismiss()
        self.crew.close(kill=self._kill_at_end)
        if self._alarm is not None:
            self._alarm.stop()

    def _done(self, task: Task, kind: int, run: tuple[int, int, int], message: bytes) -> None:
        slot, start, end = run
        counts, duration_ns = self.counts, end - start
        if self._trace is not None:
            now = time.monotonic_ns()
            self._trace(slot, task.label or "task", (now - start) / 1e9, (now - end) / 1e9)
        counts.tasks += 1
        counts.busy_ns += duration_ns
        self.balance.hear_duration(duration_ns)
        self._full = False
        self._settle(task)
        if kind == wire.FAILURE:
            counts.failed += 1
        self._deliver(task, kind, message[wire.RESULT_HEAD.size :])

    def _settle(self, task: Task) -> None:
        """Gives back what a task used, and sends the next ones."""
        if task.pinned or task.foreign:
            task.drop_blocks(self.crew.arena)
        if task.parent:
            self.balance.remove_child(task.parent)
        if task.seat is not None:
            self.balance.unreserve()
        if task.named:
            task.named = ()
        if task.shared is not None:
            if task.shared.number < FIRST:
                self.crew.arena.write_low_mark(SharedFunction.low_mark())
            task.shared = None
        if not self._feeds_later:
            self.feed()

    def _deliver(self, task: Task, kind: int, content: bytes) -> None:
        if task.relay is not None:
            if kind == wire.RESULT_PARTS:
                task.relay(wire.RESULT, take_out(self.crew.arena, marshal.loads(content)))
            else:
                task.relay(kind, (content, []))
            return
        if task.sink is not None:
            task.sink(kind, marshal.loads(content) if kind == wire.RESULT_PARTS else content)
            return
        try:
            if kind == wire.RESULT:
                value = pickle.loads(content)
            elif kind == wire.RESULT_PARTS:
                value = self.crew.arena.open_parcel(marshal.loads(content))
            else:
                value = outcome.raise_failure(content)
        except BaseException as error:  # noqa: BLE001 - a result that cannot be opened fails alone
            task.future.set_exception(error)
        else:
            task.future.set_result(value)

    def _discard(self, plain: Any) -> None:
        """Lets go of the blocks of a result that nobody wants."""
        parcel = wire.parcel_of(plain)
        for reference in parcel.references() if parcel is not None else ():
            self.crew.arena.release_home(reference)

    def _fail(self, task: Task, error: BaseException) -> None:
        self.counts.failed += 1
        if task.relay is not None:
            task.relay(wire.FAILURE, (outcome.failure(error), []))
        elif task.sink is not None:
            task.sink(wire.FAILURE, outcome.failure(error))
        elif not task.future.done():
            task.future.set_exception(error)

    # --- tasks that go to other ranks, and come back ------------------------------------------------------------------

    def take_back(self, count: int) -> list[Task]:
        """Up to so many tasks that no worker has begun and any rank may run, last ones first. `feed` must follow."""
        taken: list[Task] = []
        with self._feeding:
            while len(taken) < count and self.pending and self.pending[-1].may_move():
                taken.append(self.pending.pop())
            taken += self.flight.take_back(count - len(taken))
        return taken

    def answer(self, task: Task, kind: int, loose: Loose) -> None:
        """Ends a task that another rank has run."""
        self._settle(task)
        if task.relay is not None:
            task.relay(kind, loose)
            return
        if task.sink is None:
            outcome.fill(task.future, lambda: outcome.open_any(kind, loose))
            return
        data, buffers = loose
        if not buffers and len(data) <= wire.INLINE_BYTES:
            task.sink(kind, data)
            return
        arena = self.crew.arena
        parcel = put_in(arena, loose, shared=False)
        for reference in parcel.references():
            # As if a worker had left it here: ours until its reader says that it was opened.
            arena.hold_for_home(reference)
            arena.unpin(reference)
        task.sink(wire.RESULT_PARTS, wire.flat(parcel))

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
        elif kind == wire.LIMITS:
            self.crew.members[slot].limits = marshal.loads(content)
        elif kind == wire.PARKED:
            self.balance.is_parked(slot)
        elif kind == wire.FENCED:
            threading.Timer(WHEREABOUTS_SECONDS, self.crew.tell_receiver, (wire.WAKE, 0, number)).start()
        elif kind == wire.WAKE and number:
            self._find_lost(number)
        elif kind == wire.BROKEN:
            error, text = pickle.loads(content)
            self._break(BrokenWorkersError(f"the initializer failed in a worker: {text}"), error)
        elif kind == wire.NO_WORKER:
            self._break(BrokenWorkersError(f"a worker cannot be started: {self.crew.start_failure}"), None)

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
        self.balance.add_child(task.parent)
        if self.broken is not None:
            self._settle(task)
            self._fail(task, self.broken)
            return
        task.number = next(self._numbers)
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
        self.balance.is_gone()
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
            self.balance.balance()

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
        for task in self._take_pending():
            if task.begun or task.sink is not None or task.future.set_running_or_notify_cancel():
                self._settle(task)
                self._fail(task, error)

    # --- timeouts, cancellation, the end ------------------------------------------------------------------------------

    def unfinished(self) -> list[Task]:
        """All tasks without an outcome, those that have begun first."""
        return [*self._in_flight.values(), *self.pending, *self._waiting.all()]

    def _watch(self, task: Task) -> None:
        with self._alarming:
            if self._alarm is None:
                self._alarm = Alarm(self.flight.running, self.is_in_flight, self.crew.kill)
        self._alarm.add(task)

    def is_in_flight(self, task: Task) -> bool:
        """True while a task is with the workers."""
        return task.number in self._in_flight

    def stop_running(self, future: Future[Any], excuse: BaseException | None = None) -> bool:
        """Ends the worker that runs a future's task, or takes the task out of the queue; the future fails with the
        excuse. False if it is not here."""
        excuse = excuse or CancelledError("the task was stopped")
        with self._feeding:
            found = self.flight.withdraw(future)
            if found is None:
                found = next((task for task in list(self.pending) if task.begun and task.future is future), None)
                if found is not None:
                    self.pending.remove(found)
        if found is not None:
            self._settle(found)
            self._fail(found, excuse)
            return True
        self.feed()  # whoever would have fed meanwhile has left
        member = self.flight.runs(future)
        if member is not None:
            self.crew.kill(member, excuse)
        return member is not None

    def cancel_pending(self) -> None:
        """Cancels all tasks that no worker was given."""
        for task in self._take_pending():
            if not task.begun and task.sink is None:
                task.future.cancel()
                task.future.set_running_or_notify_cancel()
                self._settle(task)
                self._cancelled(task)
            else:
                self._settle(task)
                self._fail(task, CancelledError())

    def _take_pending(self) -> list[Task]:
        """All tasks that no worker was given, which are pending no more."""
        taken = self._waiting.take_all()
        while self.pending:
            try:
                taken.append(self.pending.popleft())
            except IndexError:
                break
        return taken

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
