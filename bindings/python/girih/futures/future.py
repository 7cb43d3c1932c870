"""A `concurrent.futures.Future` that costs next to nothing until somebody waits for it.

The standard one makes a condition, a lock and two lists at its birth and takes the lock at each step; most futures of
short tasks are asked when they are done, and need none of these.
Invariant: a future without a gate has no callback and nobody who waits, and is settled under `_making`; once it has a
gate, all its steps are those of the standard library, under the gate.
Never here: tasks.
"""

from __future__ import annotations

import threading
from concurrent import futures
from typing import Any

PENDING, RUNNING, FINISHED = "PENDING", "RUNNING", "FINISHED"

# Held for a few assignments; reentrant, for a collection of garbage may end other futures between them.
_making = threading.RLock()


class Future(futures.Future[Any]):
    """The future of one task."""

    _state = PENDING
    _result: Any = None
    _exception: BaseException | None = None
    _gate: threading.Condition | None = None

    def __init__(self) -> None:
        """Leaves all to whoever waits first."""

    @property
    def _condition(self) -> threading.Condition:  # type: ignore[override]
        """What the standard library's steps lock and wait for, made at its first use."""
        return self._gate or self._make_gate()

    def _make_gate(self) -> threading.Condition:
        gate = threading.Condition()
        with _making:
            if self._gate is None:
                self._waiters: list[Any] = []
                self._done_callbacks: list[Any] = []
                self._gate = gate
            return self._gate

    def result(self, timeout: float | None = None) -> Any:
        """As in the standard library."""
        if self._state == FINISHED and self._exception is None:
            return self._result
        return super().result(timeout)

    def done(self) -> bool:
        """As in the standard library."""
        return self._state == FINISHED or super().done()

    def set_running_or_notify_cancel(self) -> bool:
        """As in the standard library."""
        with _making:
            if self._gate is None and self._state == PENDING:
                self._state = RUNNING
                return True
        return super().set_running_or_notify_cancel()

    def set_result(self, result: Any) -> None:
        """As in the standard library."""
        with _making:
            if self._gate is None and self._state in (RUNNING, PENDING):
                self._result = result
                self._state = FINISHED
                return
        super().set_result(result)
