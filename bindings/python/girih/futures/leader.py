"""Rank 0's side of an executor of several ranks: hands tasks to all of them, tells all of them every outcome.

Tasks wait in one queue, first in first out, until some rank has room; `placement` says which. A rank whose workers run
out of tasks while another has some that nobody has begun is given of those: they are asked back.
Every outcome of a task that the script submitted is told to all ranks, for they run the same script.
Invariant: a task is with this rank's workers, or away with one other rank, or queued; its future hears one outcome.
Never here: how another rank runs a task (`follower`).
"""

from __future__ import annotations

import marshal
import threading
import weakref
from collections import deque
from concurrent.futures import CancelledError, Future
from typing import Any

from girih.futures import outcome, wire
from girih.futures.balance import Counts
from girih.futures.crew import Settings
from girih.futures.dispatch import Dispatcher
from girih.futures.held import Held, all_named, naming
from girih.futures.loose import Loose, count_bytes, loosen, take_out
from girih.futures.placement import OwnSite, Site, choose, stealable
from girih.futures.post import Post
from girih.futures.recall import FIRST, recall
from girih.futures.task import Options, SharedFunction, Task
from girih.futures.values import PLACED, WANT, Values

# To other ranks. Others are about `values`.
RUN = 1
OUTCOME = 2
STOP = 3
END = 4
GIVE_BACK = 7
ANSWER = 8  # what came of a task that was offered
# From them. Others are about `values`.
DONE = 17
RETURNED = 18  # tasks that were asked back
OFFER = 19  # a task of a task, for whoever has room
BACKLOG = 20  # tasks of tasks wait there

CANCELLED = 99
# An outcome of so many bytes is a message of its own.
LARGE_BYTES = 32 << 10
# Tasks are not moved for less.
STEAL_SECONDS = 1e-3


class LeadingDispatcher(Dispatcher):
    """The queue of an executor of all ranks."""

    def __init__(
        self, settings: Settings, post: Post, workers: list[int], nodes: list[int], *, tell: bool
    ) -> None:  # fmt: skip
        self._post = post
        self._tell_all = tell
        self._upstream: deque[Task] = deque()
        self._placing = threading.Lock()
        self._forgotten: deque[int] = deque()
        self._told: weakref.WeakKeyDictionary[Future[Any], Any] = weakref.WeakKeyDictionary()  # large results: keys
        super().__init__(settings, post)
        self.values = Values(post, self.crew.arena, nodes)
        self.own = OwnSite(post.rank, workers[post.rank], self)
        self.sites = [
            self.own if rank == post.rank else Site(rank, count) for rank, count in enumerate(workers)
        ]  # fmt: skip
        self._working = [site for site in self.sites if site.workers]
        self.away = [site for site in self.sites if site is not self.own]
        self.executor = self.values.executor = post.join()
        post.listen(self.executor, self._hear_rank)

    # --- where tasks go -----------------------------------------------------------------------------------------------

    def _enqueue(self, task: Task) -> None:
        self._upstream.append(task)

    def feed(self) -> None:
        """Hands queued tasks to ranks as long as one has room."""
        while self._can_place() or self._is_uneven():
            if not self._placing.acquire(blocking=False):
                break
            try:
                with self._post.gathering():
                    self._place_all()
                    if not self._upstream:
                        self._even_out()
                    left = bool(self._upstream)
            finally:
                self._placing.release()
            # Somebody may have queued a task meanwhile and left, because this thread was at it.
            if not left and not self._can_place():
                break
        super().feed()

    def _can_place(self) -> bool:
        if self._forgotten:
            return True
        if self._upstream:
            return any(site.has_room() for site in self._working)
        return any(site.queue and site.has_room() for site in self.sites)

    def _is_uneven(self) -> bool:
        return any(site.load() < site.workers for site in self._working) and any(
            site.queue or site.spare() > 0 for site in self._working
        )

    def _busy(self) -> bool:
        if super()._busy() or self._upstream:
            return True
        return any(site.queue for site in self.sites) or any(site.tasks for site in self.away)

    def _place_all(self) -> None:
        while self._forgotten:
            self.values.forget(self._forgotten.popleft(), self.sites)
        for site in self.sites:
            while site.queue and site.has_room():
                self._give(site.queue.popleft(), site)
        while self._upstream and any(site.has_room() for site in self._working):
            task = self._upstream.popleft()
            site = choose(task, self.sites)
            if site.has_room():
                self._give(task, site)
            else:
                site.queue.append(task)

    def _give(self, task: Task, site: Site) -> None:
        if task.moved:
            task.moved = False
            site.stolen += 1
        if site is self.own:
            task.keeps = True  # so that it can still be given to another rank
            self.pending.append(task)
            super().feed()
            return
        letter = self._prepare(task, lambda task: self._letter(task, site), self._upstream)
        if letter is None:
            return
        site.gave_nothing = False
        site.tasks[task.number] = task
        site.bytes_sent += count_bytes(letter[5])
        self._post.send(site.rank, self.executor, RUN, letter)

    def _letter(self, task: Task, to: Site) -> Any:
        if task.loose is not None or task.given is not None:
            given = task.loose or take_out(self.crew.arena, wire.flat(task.given))
            return task.number, task.label, tuple(task.options), 0, None, given, 0, ()
        shared: Any = None
        with naming() as names:
            task.resolve()
            shared = task.shared or recall(task.function)
            arguments = (task.arguments, task.keywords)
            given = loosen(arguments if shared is not None else (task.function, *arguments))
        number, function = 0, None
        if shared is not None:
            number = shared.number
            loose = None if number in to.held else shared.loose()
            if isinstance(shared, SharedFunction):
                # A large one is a value like others.
                names = all_named(names + shared.named) if not shared.is_large() else [*names, shared]
            if shared not in names:
                function = loose
                if number < FIRST:
                    to.held.add(number)
        names = all_named(names)
        task.named = names
        task.check_names()
        for held in names:
            self.keep(held, to)
        numbers = tuple(held.number for held in names)
        return task.number, task.label, tuple(task.options), number, function, given, SharedFunction.low_mark(), numbers

    def keep(self, held: Held, site: Site) -> None:
        """Lets a rank have a value, if it has not got it."""
        if held.number in site.held or held.number < 0:
            return
        held.forgotten = self.forget
        source = None if held.source is None or site is self.own else held.source()
        key = None if source is None else self._told.get(source)
        if key is None:
            self.values.keep(held, site)
        else:
            self.values.keep_told(held, site, key)

    def hold(self, held: Held, sites: list[Site]) -> None:
        """Puts a value into the memory of some ranks now."""
        with self._placing, self._post.gathering():
            for site in sites:
                self.keep(held, site)
        self.feed()  # whoever would have fed meanwhile has left

    def forget(self, number: int) -> None:
        """Lets all ranks forget a value; called wherever its last user went, so nothing is done here."""
        self._forgotten.append(number)
        self.crew.tell_receiver(wire.WAKE)

    def _even_out(self) -> None:
        """Gives ranks without work of what others have not begun."""
        for thief in self.sites:
            wanted = thief.workers - thief.load()
            if wanted <= 0:
                continue
            queues = [site for site in self.sites if site.queue and site is not thief]
            task = next(filter(None, (stealable(thief, site) for site in queues)), None)
            if task is not None:
                task.moved = True
                self._give(task, thief)
                continue
            victim = max(self.sites, key=Site.spare)
            # Not for what would be done before it could have moved.
            if victim is thief or victim.spare() * victim.mean_seconds() < STEAL_SECONDS:
                continue
            if victim.asked or victim.gave_nothing:
                continue
            if victim is self.own:
                for task in self.take_back(min(wanted, victim.spare())):
                    task.unsend(self.crew.arena)
                    task.moved = True
                    self._upstream.appendleft(task)
            else:
                victim.asked = True
                self._post.send(victim.rank, self.executor, GIVE_BACK, min(wanted, victim.spare()))

    # --- what other ranks say -----------------------------------------------------------------------------------------

    def _hear_rank(self, rank: int, kind: int, content: Any) -> None:
        site = self.sites[rank]
        if kind == DONE:
            self._done_away(site, *content)
        elif kind == RETURNED:
            numbers, offered, site.backlog = content
            site.asked, site.gave_nothing = False, not (numbers or offered)
            for number in numbers:
                task = site.tasks.pop(number, None)
                if task is not None:
                    task.moved = True
                    self._upstream.appendleft(task)
            self.feed()
        elif kind == WANT:
            self.values.hear_want(content, site)
        elif kind == PLACED:
            self.values.hear_placed(content[0], site, content[1])
        elif kind == BACKLOG:
            site.backlog, site.gave_nothing = content, False
            self.feed()
        else:
            assert kind == OFFER, f"a message of kind {kind} from rank {rank}"
            number, label, options, loose = content
            task = Task(None, (), {}, Options(*options))
            task.label, task.loose, task.moved = label, loose, True
            task.relay = lambda kind, loose: self._post.send(rank, self.executor, ANSWER, (number, kind, loose))
            task.number = next(self._numbers)
            self._upstream.append(task)
            self.feed()
        if self.closed:
            self.crew.tell_receiver(wire.WAKE)

    def _done_away(self, site: Site, number: int, kind: int, loose: Loose, counts: Any, backlog: int) -> None:
        site.counts, site.backlog, site.gave_nothing = Counts(*counts), backlog, False
        task = site.tasks.pop(number, None)
        if task is None:
            return
        site.bytes_received += count_bytes(loose)
        self._tell(task, kind, loose)
        self.answer(task, kind, loose)

    # --- outcomes for all ranks ---------------------------------------------------------------------------------------

    def _tell(self, task: Task, kind: int, loose: Loose) -> None:
        if task.key is not None and self._tell_all:
            size = count_bytes(loose)
            for site in self.away:
                site.bytes_sent += size
            large = size > LARGE_BYTES
            if large and kind == wire.RESULT:
                self._told[task.future] = task.key
            self._post.send_to_all(self.executor, OUTCOME, (task.key, task.label, kind, loose), large=large)

    def _deliver(self, task: Task, kind: int, content: Any) -> None:
        if task.key is None:
            super()._deliver(task, kind, content)
        elif kind == wire.RESULT_PARTS:
            loose = take_out(self.crew.arena, marshal.loads(content))
            self._tell(task, wire.RESULT, loose)
            outcome.fill(task.future, lambda: outcome.open_any(wire.RESULT, loose))
        else:
            self._tell(task, kind, (bytes(content), []))
            super()._deliver(task, kind, content)

    def _fail(self, task: Task, error: BaseException) -> None:
        self._tell(task, wire.FAILURE, (outcome.failure(error), []))
        super()._fail(task, error)

    def _cancelled(self, task: Task) -> None:
        self._tell(task, CANCELLED, (b"", []))

    def _take_pending(self) -> list[Task]:
        taken = super()._take_pending()
        for queue in (self._upstream, *(site.queue for site in self.sites)):
            while queue:
                try:
                    taken.append(queue.popleft())
                except IndexError:
                    break
        return taken

    def unfinished(self) -> list[Task]:
        """As for one rank, on all ranks."""
        away = [task for site in self.away for task in site.tasks.values()]
        queued = [task for site in self.sites for task in site.queue]
        return [*away, *super().unfinished(), *queued, *self._upstream]

    def stop_running(self, future: Future[Any], excuse: BaseException | None = None) -> bool:
        """As for one rank, wherever the task runs."""
        for site in self.away:
            for number, task in list(site.tasks.items()):
                if task.future is future:
                    words = str(excuse or CancelledError("the task was stopped while it ran"))
                    self._post.send(site.rank, self.executor, STOP, (number, words, isinstance(excuse, TimeoutError)))
                    return True
        return super().stop_running(future, excuse)

    def _ended(self) -> None:
        """Lets the other ranks' workers leave."""
        self._post.send_to_all(self.executor, END, None)
        self._post.flush()
        super()._ended()
