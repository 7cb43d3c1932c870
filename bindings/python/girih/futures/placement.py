"""Where rank 0 lets a task run: at the rank that has its data, unless waiting there takes longer than moving them.

Never here: messages.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from girih.futures.balance import Counts, prefetch_of
from girih.futures.dispatch import Dispatcher
from girih.futures.held import Handle, Held, Rows
from girih.futures.task import Task

# What a network between nodes carries at least; only its order matters.
BYTES_PER_SECOND = 1e9


class Site:
    """A rank with workers, and the tasks that it has or that wait for it."""

    def __init__(self, rank: int, workers: int) -> None:
        self.rank = rank
        self.workers = workers
        self.tasks: dict[int, Task] = {}
        self.queue: deque[Task] = deque()  # bound to this rank, or waiting for its data
        self.counts = Counts()
        self.held: set[int] = set()  # values and functions that it has
        self.backlog = 0  # tasks of tasks that wait there
        self.asked = False  # to give tasks back
        self.gave_nothing = False  # when it was asked last; until something changes there, asking again is in vain
        self.stolen = 0  # tasks that it was given though they were meant for others
        self.bytes_sent = 0
        self.bytes_received = 0

    def busy(self) -> int:
        """Tasks that it has."""
        return len(self.tasks)

    def mean_seconds(self) -> float:
        """How long its tasks take."""
        return self.counts.busy_ns / 1e9 / self.counts.tasks if self.counts.tasks else 1.0

    def window(self) -> int:
        """How many tasks it should have, so that one that ends is followed by the next at once."""
        return max(self.workers, 1) + prefetch_of(self.mean_seconds() * 1e9)

    def has_room(self) -> bool:
        """True if it should be given one more."""
        return self.busy() < self.window()

    def load(self) -> int:
        """Tasks that it has or will be given."""
        return self.busy() + len(self.queue)

    def spare(self) -> int:
        """Tasks that it has and cannot begin now."""
        return self.busy() + self.backlog - self.workers if self.workers else 0

    def share(self) -> float:
        """The part of it that is occupied, and more if tasks wait there."""
        return self.load() / self.workers

    def wait_seconds(self) -> float:
        """How long one more task would wait."""
        return max(self.load() - self.workers + 1, 0) / self.workers * self.mean_seconds()

    def lacks(self, task: Task) -> int:
        """Bytes that the task names and that this rank has not got."""
        return sum(held.count_bytes() for held in named_by(task) if held.number not in self.held)


class OwnSite(Site):
    """Rank 0 itself."""

    def __init__(self, rank: int, workers: int, dispatcher: Dispatcher) -> None:
        super().__init__(rank, workers)
        self._dispatcher = dispatcher
        self.counts = dispatcher.counts

    def busy(self) -> int:
        """Tasks that it has."""
        return self._dispatcher.load()

    def window(self) -> int:
        """How many tasks it should have."""
        return self._dispatcher.balance.window


def choose(task: Task, sites: Sequence[Site]) -> Site:
    """The rank for a task; it may have no room, then the task waits for it. One of them has room."""
    if task.options.rank is not None:
        return sites[task.options.rank]
    working = [site for site in sites if site.workers]
    if task.options.threads > 1:
        most = max(site.workers for site in working)
        wanted = min(task.options.threads, most)
        return min((site for site in working if site.workers >= wanted), key=Site.share)
    free = [site for site in working if site.has_room()]
    if not task.special or not named_by(task):
        return min(free, key=Site.share)
    best = min(working, key=lambda site: (site.lacks(task), site.share()))
    if best.has_room():
        return best
    other = min(free, key=lambda site: (site.lacks(task), site.share()))
    moving = (other.lacks(task) - best.lacks(task)) / BYTES_PER_SECOND
    return other if moving < best.wait_seconds() else best


def stealable(thief: Site, victim: Site) -> Task | None:
    """A task that waits for another rank and would be done earlier by this one; taken out of the queue."""
    for place in range(len(victim.queue) - 1, -1, -1):
        task = victim.queue[place]
        if task.options.rank is None and thief.lacks(task) / BYTES_PER_SECOND < victim.wait_seconds():
            del victim.queue[place]
            return task
    return None


def named_by(task: Task) -> list[Held]:
    """The values whose handles are among a task's arguments."""
    handles = [one.handle if isinstance(one, Rows) else one for one in task.special]
    return [one.held for one in handles if isinstance(one, Handle) and one.held is not None]
