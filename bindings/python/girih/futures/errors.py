"""What can go wrong with a task besides its own exception.

Never here: `TimeoutError` and `CancelledError`, which are Python's own.
"""

from __future__ import annotations

import signal
from concurrent.futures.process import BrokenProcessPool


class WorkerLostError(BrokenProcessPool):
    """The worker that ran a task ended in the middle of it; the other tasks and the executor go on.

    `host`, `process` and `status` say which process it was and how it ended, as `subprocess` counts: a negative status
    is the number of a signal.

    >>> from girih.futures import WorkerLostError
    >>> print(WorkerLostError("node3", 4711, -9))
    the worker on node3 (process 4711) that ran this task was ended by SIGKILL
    """

    def __init__(self, host: str, process: int, status: int | None) -> None:
        self.host = host
        self.process = process
        self.status = status
        super().__init__(f"the worker on {host} (process {process}) that ran this task {_manner(status)}")

    def __reduce__(self) -> tuple[type[WorkerLostError], tuple[str, int, int | None]]:
        return WorkerLostError, (self.host, self.process, self.status)


class BrokenWorkersError(BrokenProcessPool):
    """Workers cannot be started, or the initializer failed in one: this executor runs no more tasks.

    >>> from concurrent.futures import BrokenExecutor
    >>> from girih.futures import BrokenWorkersError
    >>> issubclass(BrokenWorkersError, BrokenExecutor)
    True
    """


class RemoteTraceback(Exception):
    """The traceback of a task's exception where it was raised, with host and worker; the exception's `__cause__`."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'

    def __reduce__(self) -> tuple[type[RemoteTraceback], tuple[str]]:
        return RemoteTraceback, (self.text,)


def _manner(status: int | None) -> str:
    if status is None:
        return "is gone"
    if status >= 0:
        return f"left with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
