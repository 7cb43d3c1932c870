"""Rank 0's side of an executor of several ranks: hands tasks to all of them, tells all of them every outcome.

A task goes to the rank with the most room for its number of workers; a rank asks for nothing, each outcome that it
sends makes room for the next task. What follows from the submission order stays: tasks are handed out first in, first
out. Every outcome of a task that the script submitted is told to all ranks, for they run the same script.
Invariant: a task is with this rank's workers, or away with one other rank, or pending; its future hears one outcome.
Never here: how another rank runs a task (`follower`).
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from typing import Any

from girih.futures import wire
from girih.futures.crew import Settings
from girih.futures.dispatch import Counts, Dispatcher
from girih.futures.errors import RemoteTraceback
from girih.futures.loose import loosen, open_loose, take_out, wire_failure
from girih.futures.post import Post
from girih.futures.recall import FIRST, recall
from girih.futures.task import SharedFunction, Task

# To other ranks.
RUN = 1
OUTCOME = 2
STOP = 3
END = 4
# From them.
DONE = 17
COUNTS = 18

# Tasks with another rank beyond one for each of its workers: a message there and back takes longer than within a rank.
AHEAD = 4
CANCELLED = 99


class Away:
    """Another rank, and the tasks that it has."""

    def __init__(self, rank: int, workers: int) -> None:
        self.rank = rank
        self.workers = workers
        self.tasks: dict[int, Task] = {}
        self.counts = Counts()
        self.functions: set[int] = set()  # those it has been sent

    def room(self, window: int) -> float:
        """How many tasks it could be given for each of its workers."""
        return (self.workers + window - len(self.tasks)) / self.workers if self.workers else 0.0


class LeadingDispatcher(Dispatcher):
    """The queue of an executor of all ranks."""

    def __init__(self, settings: Settings, post: Post, workers: list[int]) -> None:
        self._post = post
        self.away = [Away(rank, count) for rank, count in enumerate(workers) if rank != post.rank]
        self._lock = threading.Lock()
        super().__init__(settings)
        self.executor = post.join(self._hear_rank)

    # --- where tasks go -----------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return super()._has_room() or any(len(one.tasks) < one.workers + AHEAD for one in self.away if one.workers)

    def _busy(self) -> bool:
        return super()._busy() or any(one.tasks for one in self.away)

    def _send(self, task: Task) -> None:
        bound = task.message is not None or task.given is not None or task.options.threads > 1
        best = max(self.away, key=lambda one: one.room(AHEAD))
        here = (self._window - len(self._in_flight)) / self.workers if super()._has_room() else 0.0
        if bound or best.room(AHEAD) <= here or best.room(AHEAD) <= 0:
            super()._send(task)
            return
        try:
            if not task.begun:
                if not task.future.set_running_or_notify_cancel():
                    self._settle(task)
                    self._cancelled(task)
                    return
                task.begun = True
            message = self._letter(task, best)
        except (KeyboardInterrupt, GeneratorExit):
            self.pending.appendleft(task)
            raise
        except BaseException as error:  # noqa: BLE001 - what cannot be pickled fails alone
            self._settle(task)
            self._fail(task, error)
            return
        best.tasks[task.number] = task
        self._post.send(best.rank, self.executor, RUN, message)

    def _letter(self, task: Task, to: Away) -> Any:
        shared = task.shared or recall(task.function)
        if shared is None:
            given = loosen((task.function, task.arguments, task.keywords))
            return task.number, task.label, tuple(task.options), 0, None, given, 0
        function = None if shared.number in to.functions else shared.loose()
        if shared.number < FIRST:
            to.functions.add(shared.number)
        given = loosen((task.arguments, task.keywords))
        return task.number, task.label, tuple(task.options), shared.number, function, given, SharedFunction.low_mark()

    # --- what other ranks say -----------------------------------------------------------------------------------------

    def _hear_rank(self, rank: int, kind: int, content: Any) -> None:
        away = next(one for one in self.away if one.rank == rank)
        if kind == COUNTS:
            away.counts = Counts(*content)
            return
        number, outcome, loose = content
        task = away.tasks.pop(number, None)
        if task is None:
            return
        self._settle(task)
        self._tell(task, outcome, loose)
        try:
            if outcome == wire.FAILURE:
                error, text = open_loose(loose)
                error.__cause__ = RemoteTraceback(text)
                raise error
            value = open_loose(loose)
        except BaseException as error:  # noqa: BLE001 - it belongs to the future
            task.future.set_exception(error)
        else:
            task.future.set_result(value)
        if self.closed:
            self.crew.tell_receiver(wire.WAKE)

    # --- outcomes for all ranks ---------------------------------------------------------------------------------------

    def _tell(self, task: Task, outcome: int, loose: Any) -> None:
        if task.key is not None:
            self._post.send_to_all(self.executor, OUTCOME, (task.key, task.label, outcome, loose))

    def _deliver(self, task: Task, kind: int, content: Any) -> None:
        if task.key is None:
            super()._deliver(task, kind, content)
        elif kind == wire.RESULT_PARTS:
            import marshal

            loose = take_out(self.crew.arena, marshal.loads(content))
            self._tell(task, wire.RESULT, loose)
            try:
                value = open_loose(loose)
            except BaseException as error:  # noqa: BLE001 - a result that cannot be opened fails alone
                task.future.set_exception(error)
            else:
                task.future.set_result(value)
        else:
            self._tell(task, kind, (bytes(content), []))
            super()._deliver(task, kind, content)

    def _fail(self, task: Task, error: BaseException) -> None:
        self._tell(task, wire.FAILURE, (wire_failure(error), []))
        super()._fail(task, error)

    def _cancelled(self, task: Task) -> None:
        self._tell(task, CANCELLED, (b"", []))

    def stop_running(self, future: Future[Any], excuse: BaseException | None = None) -> bool:
        """As for one rank, wherever the task runs."""
        for one in self.away:
            for number, task in list(one.tasks.items()):
                if task.future is future:
                    words = str(excuse or CancelledError("the task was stopped while it ran"))
                    self._post.send(one.rank, self.executor, STOP, (number, words, isinstance(excuse, TimeoutError)))
                    return True
        return super().stop_running(future, excuse)

    def _ended(self) -> None:
        """Lets the other ranks' workers leave."""
        self._post.send_to_all(self.executor, END, None)
        super()._ended()
