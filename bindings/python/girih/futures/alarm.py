"""Ends tasks that run for longer than they may.

Invariant: a task is measured from its first line in a worker, and only its own worker is ended.
Never here: what becomes of the task.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from girih.futures.crew import Member
from girih.futures.task import Task


class Alarm:
    """Ends workers whose task has run for longer than its timeout. Sleeps until one can be due."""

    def __init__(
        self,
        running: Callable[[], dict[int, tuple[Member, int]]],
        is_in_flight: Callable[[Task], bool],
        kill: Callable[[Member, BaseException], None],
    ) -> None:
        self._running, self._is_in_flight, self._kill = running, is_in_flight, kill
        self._due: dict[int, tuple[float, Task]] = {}
        self._changed = threading.Condition()
        self._stopped = False
        threading.Thread(target=self._run, name="girih-alarm", daemon=True).start()

    def add(self, task: Task) -> None:
        """Watches a task from now on."""
        assert task.options.timeout is not None, "a task without a timeout"
        with self._changed:
            self._due[task.number] = (time.monotonic() + task.options.timeout, task)
            self._changed.notify()

    def stop(self) -> None:
        """Ends the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                for number, (due, task) in list(self._due.items()):
                    if due <= now:
                        self._check(number, task, now)
                times = [due for due, _ in self._due.values()]
                self._changed.wait(max(min(times) - now, 0.0) + 1e-4 if times else None)

    def _check(self, number: int, task: Task, now: float) -> None:
        seconds = task.options.timeout
        assert seconds is not None, "a task without a timeout"
        if not self._is_in_flight(task):
            del self._due[number]
            return
        member, since = self._running().get(number, (None, 0))
        if member is None:
            # It has not begun, so it cannot be due any earlier.
            self._due[number] = (now + seconds, task)
        elif since / 1e9 + seconds > now:
            self._due[number] = (since / 1e9 + seconds, task)
        else:
            del self._due[number]
            self._kill(member, TimeoutError(f"the task ran for longer than its timeout of {seconds} s"))
