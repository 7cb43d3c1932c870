"""How many workers of a rank take tasks, and how many tasks wait for them in the kernel's queue.

Invariant: among the workers that take tasks there are as many that wait for none of their own as the crew has, less
those whose cores a running task has reserved, and at least one.
Never here: tasks themselves.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from girih.futures import wire
from girih.futures.crew import Crew
from girih.futures.task import Task

# Tasks in the kernel's queue beyond one for each worker, by the mean duration of tasks. While a thread of the program
# computes, the interpreter lets it do so for 5 ms before the receiver may send more.
PREFETCH_TINY, PREFETCH_SHORT, PREFETCH_MIDDLE, PREFETCH_LONG = 256, 64, 8, 1
TINY_NS, SHORT_NS, MIDDLE_NS = 40_000, 500_000, 10_000_000


@dataclass
class Counts:
    """What one rank's workers have done."""

    tasks: int = 0
    failed: int = 0
    lost: int = 0
    retries: int = 0
    busy_ns: int = 0


def prefetch_of(mean_ns: float) -> int:
    """How many tasks of this duration should wait in a queue for workers.

    >>> from girih.futures.balance import prefetch_of
    >>> prefetch_of(1e3), prefetch_of(1e9)
    (256, 1)
    """
    if mean_ns < SHORT_NS:
        return PREFETCH_TINY if mean_ns < TINY_NS else PREFETCH_SHORT
    return PREFETCH_MIDDLE if mean_ns < MIDDLE_NS else PREFETCH_LONG


class Balance:
    """The processes of one crew: alive, parked at their gates, waiting for tasks of their own."""

    def __init__(self, crew: Crew, workers: int) -> None:
        self.crew = crew
        self.workers = workers
        self.processes = 0  # alive or being started, parked ones too
        self.mean_ns = 1e9  # how long tasks take
        self.window = workers + PREFETCH_LONG  # how many tasks may be with the workers
        self._heard = 0
        self._least = workers
        self._park_requests = 0
        self._reserved = 0
        self._parents: dict[int, int] = {}  # tasks with tasks of their own that are not done
        self._lock = threading.RLock()

    def balance(self) -> None:
        """Lets as many workers take tasks as there should be."""
        with self._lock:
            target = max(self.workers + len(self._parents) - self._reserved, 1)
            active = self.processes - self.crew.parked() - self._park_requests
            while active < target and self.crew.unpark():
                active += 1
            if active < target:
                self.processes += target - active
                self.crew.grow(target - active)
            while active > target and self.crew.send(wire.TASK_HEAD.pack(wire.PARK, 0)):
                self._park_requests += 1
                active -= 1
            # A task that waits for its own tasks is in flight and takes no worker's turn.
            self._least = self.workers + 2 * len(self._parents)
            self.window = self._least + prefetch_of(self.mean_ns)

    def hear_duration(self, duration_ns: int) -> None:
        """Learns how long a task took, and so how many may be with the workers."""
        self._heard += 1
        # Of the first eight the mean, afterwards a running one.
        mean = self.mean_ns
        self.mean_ns = mean = mean + (duration_ns - mean) * (0.125 if self._heard > 8 else 1 / self._heard)
        self.window = self._least + prefetch_of(mean)

    def is_gone(self) -> None:
        """One process is dead."""
        with self._lock:
            self.processes -= 1

    def is_parked(self, slot: int) -> None:
        """A worker stands at its gate."""
        with self._lock:
            self._park_requests -= 1
            self.crew.members[slot].parked = True
        self.balance()

    def add_child(self, parent: int) -> None:
        """A task has submitted a task."""
        with self._lock:
            self._parents[parent] = self._parents.get(parent, 0) + 1
        self.balance()

    def remove_child(self, parent: int) -> None:
        """A task of a task is done."""
        with self._lock:
            self._parents[parent] -= 1
            if self._parents[parent] == 0:
                del self._parents[parent]
        self.balance()

    def reserve(self, task: Task) -> bool:
        """True once the other workers whose cores a task wants have stopped at their gates."""
        others = min(task.options.threads, self.workers) - 1
        with self._lock:
            if task.seat is None:
                if self._reserved:
                    return False  # one at a time, or two would wait for each other's cores
                self._reserved = others
                task.seat = []
                self.balance()
            members = [member for member in list(self.crew.members.values()) if member.parked]
            if len(members) < others:
                return False
            # Seats of workers that stopped first; those of replacements double others.
            slots = [member.slot for member in members] + list(range(1, self.workers + 1))
            seats = list(dict.fromkeys(tuple(self.crew.seat(slot)) for slot in slots))
            task.seat = sorted({unit for seat in seats[: others + 1] for unit in seat})
            return True

    def unreserve(self) -> None:
        """The task that had reserved cores is done."""
        with self._lock:
            self._reserved = 0
        self.balance()
