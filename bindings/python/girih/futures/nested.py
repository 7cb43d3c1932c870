"""Submission from inside tasks: an executor that is made or used in a worker hands its tasks to the rank.

The rank runs them with all others, and starts another worker in place of one whose task has submitted tasks that are
not done, so that waiting for them never leaves the executor without a free worker.
Never here: the rank's side, which is in `dispatch`.
"""

from __future__ import annotations

import marshal
import pickle
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from girih.futures import arguments as find
from girih.futures import wire
from girih.futures.future import Future as TaskFuture

if TYPE_CHECKING:
    from girih.futures.worker import Worker

_line: Line | None = None


class Line:
    """A worker's way to submit tasks of its own."""

    def __init__(self, worker: Worker, replies: int) -> None:
        self.worker = worker
        self._replies = replies
        self._futures: dict[int, Future[Any]] = {}
        self._numbers = 0
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    def submit(
        self, function: Callable[..., Any], arguments: Any, keywords: Any, options: Any, special: Any = ()
    ) -> Future[Any]:  # fmt: skip
        """Hands a task to the rank, once the futures among its arguments are done."""
        future = TaskFuture()
        waits = [one for one in special if isinstance(one, Future)]
        if not waits:
            future.set_running_or_notify_cancel()
            self._hand_over(future, function, arguments, keywords, options)
            return future
        left = len(waits)
        lock = threading.Lock()

        def hear(one: Future[Any]) -> None:
            nonlocal left
            with lock:
                left -= 1
                if left:
                    return
            if any(other.cancelled() for other in waits):
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    values, named = find.replace((arguments, keywords), lambda one: one.result())
                    self._hand_over(future, function, values, named, options)
                except BaseException as error:  # noqa: BLE001 - it belongs to the future
                    future.set_exception(error)

        for one in waits:
            one.add_done_callback(hear)
        return future

    def _hand_over(self, future: Future[Any], function: Any, arguments: Any, keywords: Any, options: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        data = wire.dumps((function, arguments, keywords), buffers)
        parcel = self.worker.pack_away(data, buffers)
        with self._lock:
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="girih-replies", daemon=True)
                self._reader.start()
            self._numbers += 1
            number = self._numbers
            self._futures[number] = future
        # The task that runs now is the one that would be lost with this worker.
        parent = self.worker.arena.row(self.worker.slot)[0]
        head = wire.RESULT_HEAD.pack(wire.SUBMIT, self.worker.slot, number, parent, 0)
        self.worker.send(head + marshal.dumps((wire.flat(parcel), options)))

    def _read(self) -> None:
        with socket.socket(fileno=self._replies) as replies:
            while message := replies.recv(wire.MESSAGE_BYTES):
                kind, number = wire.TASK_HEAD.unpack_from(message)
                outcome, content = marshal.loads(memoryview(message)[wire.TASK_HEAD.size :])
                with self._lock:
                    future = self._futures.pop(number)
                self._settle(future, kind, outcome, content)

    def _settle(self, future: Future[Any], kind: int, outcome: int, content: Any) -> None:
        assert kind == wire.REPLY, f"a reply of kind {kind}"
        from girih.futures import outcome as told

        def value() -> Any:
            if outcome == wire.RESULT:
                return pickle.loads(content)
            if outcome == wire.FAILURE:
                return told.raise_failure(content)
            found = self.worker.arena.open_parcel(content)
            # The rank keeps the blocks until this worker has marked them.
            head = wire.RESULT_HEAD.pack(wire.OPENED, self.worker.slot, 0, 0, 0)
            self.worker.send(head + marshal.dumps(content))
            return found

        told.fill(future, value)


def serve(worker: Worker, replies: int) -> None:
    """Makes this process a worker, whose executors submit to its rank."""
    global _line
    _line = Line(worker, replies)


def line() -> Line | None:
    """This process's way to its rank; `None` unless it is a worker."""
    return _line
