"""The tasks that are with the workers of a rank: in the kernel's queue, or running.

Invariant: a task is here from before its message is sent until its outcome was heard, it was taken back, or was lost.
Never here: tasks that wait for room, outcomes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from girih.futures import wire
from girih.futures.crew import Crew, Member
from girih.futures.task import Task


class Flight:
    """The tasks with one crew, by number. One thread at a time sends and takes back; any may look."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.tasks: dict[int, Task] = {}

    def send(self, task: Task, message: bytes) -> bool:
        """Puts a task into the queue; false if it is full."""
        self.tasks[task.number] = task
        if not self.crew.send(message):
            del self.tasks[task.number]
            return False
        return True

    def running(self) -> dict[int, tuple[Member, int]]:
        """What runs: by task its worker, and since when (ns of the monotonic clock)."""
        rows = [(member, *self.crew.arena.row(slot)) for slot, member in list(self.crew.members.items())]
        return {number: (member, since) for member, number, since in rows if number in self.tasks}

    def runs(self, future: Future[Any]) -> Member | None:
        """The worker that runs a future's task."""
        for number, (member, _) in self.running().items():
            task = self.tasks.get(number)
            if task is not None and task.future is future:
                return member
        return None

    def take_back(self, count: int) -> list[Task]:
        """Up to so many tasks out of the queue that no worker has begun and any rank may run.

        What may not leave stays in the queue: a task that has reserved cores must not fall behind one that waits for
        them.
        """
        taken: list[Task] = []
        stay: list[bytes] = []
        while len(taken) < count and (message := self.crew.take_back()) is not None:
            kind, number = wire.TASK_HEAD.unpack_from(message)
            task = self.tasks.get(number) if kind <= wire.TASK_FAR else None
            if kind > wire.TASK_FAR or (task is not None and not task.may_move()):
                stay.append(message)
            elif task is not None:
                del self.tasks[number]
                taken.append(task)
        for message in stay:
            self.crew.send(message)
        return taken

    def withdraw(self, future: Future[Any]) -> Task | None:
        """A future's task out of the queue, if no worker has begun it; the others stay in their order."""
        found: Task | None = None
        for message in list(iter(self.crew.take_back, None)):
            kind, number = wire.TASK_HEAD.unpack_from(message)
            task = self.tasks.get(number) if kind <= wire.TASK_FAR else None
            if task is not None and task.future is future:
                found = self.tasks.pop(number)
            else:
                self.crew.send(message)
        return found

def tracer() -> Callable[[int, str, float, float], None] | None:
    """What notes tasks in a trace; `None` where girih's arrays, which traces are of, were never imported."""
    native = sys.modules.get("girih._native")
    return None if native is None else native.trace_process
