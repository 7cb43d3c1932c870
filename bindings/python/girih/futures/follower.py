"""The other ranks' side of an executor of several ranks: runs what rank 0 sends, and knows what rank 0 was told.

The script runs here too and submits the same tasks; its futures are filled with the outcomes that rank 0 tells. Nothing
is pickled for them here.
Invariant: the k-th submission here is the k-th on rank 0; if its function has another name, the ranks have diverged.
Never here: decisions.
"""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future
from dataclasses import astuple
from typing import Any

from girih.errors import DivergenceError
from girih.futures import leader, wire
from girih.futures.crew import Settings
from girih.futures.dispatch import Dispatcher
from girih.futures.errors import RemoteTraceback
from girih.futures.loose import Loose, open_loose, put_in, take_out
from girih.futures.post import LEADER, Post
from girih.futures.recall import FIRST
from girih.futures.task import Options, Task
from girih.futures.wire import Parcel

Key = tuple[int, int]


class RemoteFunction:
    """A function of many tasks that rank 0 has sent."""

    def __init__(self, number: int, parcel: Parcel) -> None:
        self.number = number
        self._parcel = parcel

    def parcel(self, _: Any) -> Parcel:
        """The function, in this rank's arena."""
        return self._parcel


class Follower:
    """An executor's part on a rank other than 0."""

    def __init__(self, settings: Settings | None, post: Post) -> None:
        self._post = post
        self.dispatcher = None if settings is None else Dispatcher(settings)
        self._functions: dict[int, RemoteFunction] = {}
        self._tasks: dict[int, Task] = {}
        self._futures: dict[Key, tuple[Future[Any], str]] = {}
        self._outcomes: dict[Key, tuple[str, int, Any]] = {}
        self._lock = threading.Lock()
        self._all_told = threading.Condition(self._lock)
        self.ended = threading.Event()
        self.executor = post.join(self._hear)

    # --- the script's futures -----------------------------------------------------------------------------------------

    def expect(self, key: Key, label: str) -> Future[Any]:
        """The future of a submission, to be filled by what rank 0 tells."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            outcome = self._outcomes.pop(key, None)
            if outcome is None:
                self._futures[key] = future, label
                return future
        _fill(future, label, *outcome)
        return future

    def wait(self) -> None:
        """Waits until all futures are filled."""
        with self._all_told:
            self._all_told.wait_for(lambda: not self._futures or self.ended.is_set())

    # --- what rank 0 says ---------------------------------------------------------------------------------------------

    def _hear(self, _: int, kind: int, content: Any) -> None:
        if kind == leader.RUN:
            self._run(*content)
        elif kind == leader.OUTCOME:
            key, label, outcome, loose = content
            with self._all_told:
                known = self._futures.pop(key, None)
                if known is None:
                    self._outcomes[key] = label, outcome, loose
                if not self._futures:
                    self._all_told.notify_all()
            if known is not None:
                _fill(*known, label, outcome, loose)
        elif kind == leader.STOP:
            number, words, late = content
            task = self._tasks.get(number)
            if task is not None and self.dispatcher is not None:
                self.dispatcher.stop_running(task.future, TimeoutError(words) if late else CancelledError(words))
        elif kind == leader.END:
            self._post.leave(self.executor)
            if self.dispatcher is not None:
                self.dispatcher.close()
            with self._all_told:
                self.ended.set()
                self._all_told.notify_all()

    def _run(self, number: int, label: str, options: Any, function: int, body: Any, given: Any, mark: int) -> None:
        dispatcher = self.dispatcher
        assert dispatcher is not None, "a task for a rank without workers"
        arena = dispatcher.crew.arena
        for old in [known for known in self._functions if known < mark]:
            for reference in self._functions.pop(old).parcel(None).references():
                arena.unpin(reference)
        remote = self._functions.get(function)
        if body is not None:
            remote = RemoteFunction(function, put_in(arena, body, shared=True))
            # Those that outlive a `map` come with each task.
            if function < FIRST:
                self._functions[function] = remote
        task = Task(None, (), {}, Options(*options))
        task.label = label
        task.given = put_in(arena, given, shared=False)
        task.pinned = task.given.references()
        task.remote = remote
        task.sink = lambda kind, content: self._done(number, kind, content)
        self._tasks[number] = task
        dispatcher.accept(task)
        dispatcher.feed()

    def _done(self, number: int, kind: int, content: Any) -> None:
        assert self.dispatcher is not None, "an outcome without workers"
        self._tasks.pop(number, None)
        loose: Loose = (content, [])
        if kind == wire.RESULT_PARTS:
            kind, loose = wire.RESULT, take_out(self.dispatcher.crew.arena, content)
        counts = self.dispatcher.counts
        self._post.send(LEADER, self.executor, leader.COUNTS, astuple(counts))
        self._post.send(LEADER, self.executor, leader.DONE, (number, kind, loose))


def _fill(future: Future[Any], label: str, told: str, outcome: int, loose: Any) -> None:
    """Gives a future what rank 0 knows of the same submission."""
    try:
        if told != label:
            raise DivergenceError(f"this rank submitted {label} where rank 0 submitted {told}")
        if outcome == leader.CANCELLED:
            raise CancelledError
        if outcome == wire.FAILURE:
            error, text = open_loose(loose)
            error.__cause__ = RemoteTraceback(text)
            raise error
        value = open_loose(loose)
    except BaseException as error:  # noqa: BLE001 - it belongs to the future
        future.set_exception(error)
    else:
        future.set_result(value)
