"""The other ranks' side of an executor of several ranks: runs what rank 0 sends, and knows what rank 0 was told.

The script runs here too and submits the same tasks; its futures are filled with the outcomes that rank 0 tells. Nothing
is pickled for them here.
Invariant: the k-th submission here is the k-th on rank 0; if its function has another name, the ranks have diverged.
Never here: decisions.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from concurrent.futures import CancelledError, Future
from dataclasses import astuple
from typing import Any

from girih.errors import DivergenceError
from girih.futures import leader, outcome, values, wire
from girih.futures.crew import Settings
from girih.futures.dispatch import Dispatcher
from girih.futures.future import Future as TaskFuture
from girih.futures.held import Held, HeldRows
from girih.futures.loose import Loose, put_in, take_out
from girih.futures.post import LEADER, Post
from girih.futures.recall import FIRST
from girih.futures.sheet import Sheet, is_here
from girih.futures.task import Options, Task
from girih.futures.wire import Parcel

Key = tuple[int, int]


class Kept:
    """A function or a value that rank 0 has sent for many tasks; in the arena of this rank once, or on a sheet."""

    def __init__(self, number: int, parcel: Parcel, sheet: Sheet | None = None) -> None:
        self.number = number
        self.named = ()  # tasks name what is named in it, too
        self._parcel = parcel
        self._sheet = sheet  # if this rank has it for all of its node

    def parcel(self, _: Any) -> Parcel:
        """It, in this rank's arena."""
        return self._parcel


class Follower:
    """An executor's part on a rank other than 0."""

    def __init__(self, settings: Settings, post: Post) -> None:
        self._post = post
        self.dispatcher = FollowingDispatcher(settings, post, self._tell_backlog)
        self._functions: dict[int, Kept] = {}
        self._values: dict[int, Any] = {}  # that tasks name
        self._forgotten: set[int] = set()  # rows that this rank's script has still to bring, and nobody needs
        self._too_early: list[Any] = []  # tasks that name what this rank's script has still to bring
        self._tasks: dict[int, Task] = {}  # from rank 0
        self._offered: dict[int, Task] = {}  # tasks of tasks that others run
        self._offers = itertools.count(1)
        # With what their tasks name: a worker here may need it.
        self._futures: dict[Key, tuple[Future[Any], str, Any]] = {}
        self._outcomes: dict[Key, tuple[str, int, Any]] = {}
        self._filled: weakref.WeakValueDictionary[Key, Future[Any]] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()
        self._running = threading.RLock()  # the script's thread runs what came too early, in order with what comes now
        self._all_told = threading.Condition(self._lock)
        self.ended = threading.Event()
        self.executor = post.join()
        post.listen(self.executor, self._hear)

    # --- the script's futures -----------------------------------------------------------------------------------------

    def expect(self, key: Key, label: str, named: Any) -> Future[Any]:
        """The future of a submission, to be filled by what rank 0 tells."""
        future = TaskFuture()
        future.set_running_or_notify_cancel()
        with self._lock:
            told = self._outcomes.pop(key, None)
            if told is None:
                self._futures[key] = future, label, named
                return future
        with self._lock:
            self._filled[key] = future
        _fill(future, label, *told)
        return future

    def wait(self) -> None:
        """Waits until all futures are filled."""
        with self._all_told:
            self._all_told.wait_for(lambda: not self._futures or self.ended.is_set())

    def bring(self, held: HeldRows) -> None:
        """Gives tasks this rank's rows of an array."""
        with self._running:
            if held.number in self._forgotten:
                self._forgotten.discard(held.number)
                return
            held.parcel(self.dispatcher.crew.arena)
            self._bring(held.number, held)

    def _bring(self, number: int, value: Any) -> None:
        with self._running:
            self._values[number] = value
            early, self._too_early = self._too_early, []
            for content in early:
                self._run(*content)

    # --- what rank 0 says ---------------------------------------------------------------------------------------------

    def _hear(self, _: int, kind: int, content: Any) -> None:
        if kind == leader.RUN:
            with self._running:
                self._run(*content)
        elif kind == leader.OUTCOME:
            key, label, told, loose = content
            with self._all_told:
                known = self._futures.pop(key, None)
                if known is None:
                    self._outcomes[key] = label, told, loose
                if not self._futures:
                    self._all_told.notify_all()
            if known is not None:
                with self._lock:
                    self._filled[key] = known[0]
                _fill(known[0], known[1], label, told, loose)
        elif kind == leader.END:
            self._post.leave(self.executor)
            self.dispatcher.close()
            with self._all_told:
                self.ended.set()
                self._all_told.notify_all()
        else:
            self._hear_of_tasks(self.dispatcher, kind, content)

    def _hear_of_tasks(self, dispatcher: Dispatcher, kind: int, content: Any) -> None:
        if kind == leader.STOP:
            number, words, late = content
            task = self._tasks.get(number)
            if task is not None:
                dispatcher.stop_running(task.future, TimeoutError(words) if late else CancelledError(words))
        elif kind == values.KEEP:
            number, loose = content
            self._bring(number, Kept(number, put_in(dispatcher.crew.arena, loose, shared=True)))
        elif kind == values.KEEP_SHEET:
            number, loose = content
            sheet = Sheet(*loose)
            self._post.send(LEADER, self.executor, values.PLACED, (number, wire.flat(sheet.parcel)))
            self._bring(number, Kept(number, sheet.parcel, sheet))
        elif kind == values.KEEP_THERE:
            number, plain = content
            parcel = wire.parcel_of(plain)
            assert parcel is not None, "a value without its place"
            if is_here(parcel):
                self._bring(number, Kept(number, parcel))
            else:
                self._post.send(LEADER, self.executor, values.WANT, number)
        elif kind == values.KEEP_TOLD:
            self._keep_told(*content)
        elif kind == values.FORGET:
            with self._running:
                if content < 0 and content not in self._values:
                    self._forgotten.add(content)
                self._let_go(self._values.pop(content, None))
        elif kind == leader.GIVE_BACK:
            self._give_back(dispatcher, content)
        else:
            assert kind == leader.ANSWER, f"a message of kind {kind} from rank 0"
            number, told, loose = content
            dispatcher.answer(self._offered.pop(number), told, loose)

    def _run(
        self, number: int, label: str, options: Any, function: int, body: Any, given: Any, mark: int, names: Any
    ) -> None:  # fmt: skip
        if not all(name in self._values for name in names):
            self._too_early.append((number, label, options, function, body, given, mark, names))
            return
        arena = self.dispatcher.crew.arena
        for old in [known for known in self._functions if known < mark]:
            self._let_go(self._functions.pop(old))
        remote = self._functions.get(function) or self._values.get(function)
        if body is not None:
            remote = Kept(function, put_in(arena, body, shared=True))
            # Those that outlive a `map` come with each task.
            if function < FIRST:
                self._functions[function] = remote
        task = Task(None, (), {}, Options(*options))
        task.label, task.loose, task.remote = label, given, remote
        task.named = [self._values[name] for name in names]
        task.key = (0, number)
        task.relay = lambda kind, loose: self._done(number, kind, loose)
        self._tasks[number] = task
        self.dispatcher.accept(task)
        self.dispatcher.feed()

    def _keep_told(self, number: int, key: Key) -> None:
        """Makes a value of an outcome, which the script's future has unless the script has let go of it."""
        arena = self.dispatcher.crew.arena
        with self._lock:
            told, future = self._outcomes.get(key), self._filled.get(key)
        if told is not None:
            self._bring(number, Kept(number, put_in(arena, told[2], shared=True)))
        elif future is not None and future.done():
            held = Held(future.result(), number)
            held.parcel(arena)
            self._bring(number, held)
        else:
            self._post.send(LEADER, self.executor, values.WANT, number)

    def _let_go(self, kept: Any) -> None:
        if isinstance(kept, Kept):
            for reference in kept.parcel(None).references():
                self.dispatcher.crew.arena.unpin(reference)

    def _done(self, number: int, kind: int, loose: Loose) -> None:
        dispatcher = self.dispatcher
        if self._tasks.pop(number, None) is not None:
            content = (number, kind, loose, astuple(dispatcher.counts), len(dispatcher.pending))
            self._post.send(LEADER, self.executor, leader.DONE, content)

    # --- tasks that other ranks may run -------------------------------------------------------------------------------

    def _tell_backlog(self, count: int) -> None:
        self._post.send(LEADER, self.executor, leader.BACKLOG, count)

    def _give_back(self, dispatcher: Dispatcher, count: int) -> None:
        """Gives rank 0 tasks that no worker has begun: its own, and those of tasks that run here."""
        numbers, offered = [], 0
        for task in dispatcher.take_back(count):
            if task.key is not None:
                number = task.key[1]
                del self._tasks[number]
                task.drop_blocks(dispatcher.crew.arena)
                numbers.append(number)
            elif task.given is not None:
                offered += 1
                offer = next(self._offers)
                self._offered[offer] = task
                loose = take_out(dispatcher.crew.arena, wire.flat(task.given))
                self._post.send(LEADER, self.executor, leader.OFFER, (offer, task.label, tuple(task.options), loose))
        self._post.send(LEADER, self.executor, leader.RETURNED, (numbers, offered, len(dispatcher.pending)))
        dispatcher.feed()


class FollowingDispatcher(Dispatcher):
    """The queue of one rank of several, which says when tasks of its tasks wait."""

    def __init__(self, settings: Settings, post: Post, tell_backlog: Any) -> None:
        self._tell_backlog = tell_backlog
        self._told = 0
        super().__init__(settings, post)

    def _adopt(self, slot: int, number: int, parent: int, plain: Any, options: Any) -> None:
        super()._adopt(slot, number, parent, plain, options)
        waiting = len(self.pending)
        # Told when it has doubled: often enough for whoever is idle, and seldom.
        if waiting == 0:
            self._told = 0
        elif waiting >= 2 * self._told:
            self._told = waiting
            self._tell_backlog(waiting)


def _fill(future: Future[Any], label: str, told: str, kind: int, loose: Any) -> None:
    """Gives a future what rank 0 knows of the same submission."""

    def value() -> Any:
        if told != label:
            raise DivergenceError(f"this rank submitted {label} where rank 0 submitted {told}")
        if kind == leader.CANCELLED:
            raise CancelledError
        return outcome.open_any(kind, loose)

    outcome.fill(future, value)
