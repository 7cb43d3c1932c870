"""From what came of a task to its future, alike on the rank that runs it, on all others, and in workers.

Never here: how it came.
"""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from girih.futures import wire
from girih.futures.errors import RemoteTraceback
from girih.futures.loose import Loose, open_loose


def fill(future: Future[Any], value: Callable[[], Any]) -> None:
    """Gives a future what a call returns, or what it raises."""
    try:
        found = value()
    except BaseException as error:  # noqa: BLE001 - it belongs to the future
        future.set_exception(error)
    else:
        future.set_result(found)


def raise_failure(data: Any) -> Any:
    """Raises the error of a task, with its traceback there as the cause."""
    error, text = pickle.loads(data)
    error.__cause__ = RemoteTraceback(text)
    raise error


def open_any(kind: int, loose: Loose) -> Any:
    """The value that another rank sent, or its error, raised."""
    return raise_failure(loose[0]) if kind == wire.FAILURE else open_loose(loose)


def failure(error: BaseException) -> bytes:
    """An error of this process as the content of a failure."""
    text = f"{socket.gethostname()}, process {os.getpid()}"
    try:
        return pickle.dumps((error, text), 5)
    except Exception:  # noqa: BLE001 - told in words then
        return pickle.dumps((RuntimeError(str(error)), text), 5)
