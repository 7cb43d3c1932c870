"""Tasks that wait for futures among their arguments.

Invariant: a task that was added leaves once: when all its futures are done, when the first of them has failed or was
cancelled, or because somebody takes it.
Never here: what becomes of it then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from girih.futures.held import Handle
from girih.futures.task import Task


class Waiting:
    """The tasks of one queue that have still to wait."""

    def __init__(self, leave: Callable[[Task, Future[Any] | None], None]) -> None:
        self._tasks: dict[int, Task] = {}
        self._leave = leave  # is told of each task, and of the future that failed if one did

    def __bool__(self) -> bool:
        return bool(self._tasks)

    def add(self, task: Task) -> bool:
        """Takes a task if it has futures among its arguments."""
        futures = [one for one in task.special if isinstance(one, Future) and not isinstance(one, Handle)]
        if not futures:
            return False
        self._tasks[task.number] = task
        left = len(futures)
        lock = threading.Lock()

        def hear(future: Future[Any]) -> None:
            nonlocal left
            failed = future.cancelled() or future.exception() is not None
            with lock:
                left -= 1
                if not (failed or left == 0) or self._tasks.pop(task.number, None) is None:
                    return
            self._leave(task, future if failed else None)

        for future in futures:
            future.add_done_callback(hear)
        return True

    def all(self) -> list[Task]:
        """All tasks that wait."""
        return list(self._tasks.values())

    def take_all(self) -> list[Task]:
        """All tasks, which wait no more."""
        taken = [self._tasks.pop(number, None) for number in list(self._tasks)]
        return [task for task in taken if task is not None]
