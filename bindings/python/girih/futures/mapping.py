"""`map` over an executor: chunks, their order, and what a caller sees of them.

Invariant: results come in the order of the arguments (or as they are ready, if unordered), the iterator keeps no result
that it gave out, and closing it cancels what has not begun; Ctrl-C while it waits ends what runs, too.
Never here: how a task is run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from typing import Any

# A chunk should last about so long: long beside what a message costs, short beside a user's patience.
CHUNK_SECONDS = 2e-3
CHUNK_ITEMS_MAX = 4096
# Chunks that are with the executor, for each worker.
CHUNKS_AHEAD = 4


def run_chunk(function: Callable[..., Any], items: list[tuple[Any, ...]]) -> tuple[float, list[Any]]:
    """Calls a function on each tuple of arguments, in a worker; with the seconds that all took."""
    start = time.perf_counter()
    values = [function(*item) for item in items]
    return time.perf_counter() - start, values


class Chunk:
    """A function that runs on lists of arguments; a class, so that it is pickled by its name and its function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, items: list[tuple[Any, ...]]) -> tuple[float, list[Any]]:
        return run_chunk(self.function, items)


class Mapping:
    """One call of `map`: submits chunks as there is room, keeps their futures in order."""

    def __init__(
        self,
        submit: Callable[[list[tuple[Any, ...]]], Future[Any]],
        items: Iterable[tuple[Any, ...]],
        workers: int,
        chunksize: int | None,
        buffersize: int | None,
        unordered: bool,
        stop: Callable[[Future[Any]], Any] = Future.cancel,
    ) -> None:
        self._submit = submit
        self._stop = stop
        self._live: dict[Future[Any], None] = {}  # chunks that are not done, in their order
        self._workers = workers
        # A buffer counts single results unless the caller says otherwise.
        self._chunksize = 1 if chunksize is None and buffersize is not None else chunksize
        self._buffersize = buffersize
        self._unordered = unordered
        self._items = iter(items)
        self._left = len(items) if isinstance(items, list) else None
        self._item_seconds: float | None = None
        self._futures: deque[Future[Any]] = deque()  # in the order of submission
        self._ready: deque[Future[Any]] = deque()  # in the order of completion, if unordered
        self._open = 0  # chunks that are not done
        self._exhausted = False
        self._closed = False
        self._changed = threading.Condition()
        self._submitting = threading.Lock()
        self._ahead: float = float("inf")
        if buffersize is not None:
            self._ahead = max(buffersize // (self._chunksize or 1), 1)
        elif chunksize is None:
            self._ahead = CHUNKS_AHEAD * workers
        self._refill()

    def _refill(self) -> None:
        """Submits chunks while fewer are open, or unread if there is a buffer size, than may be."""
        # One thread at a time; another one that comes meanwhile has nothing to add that this one would not see.
        while not self._exhausted and not self._closed and self._count() < self._ahead:
            if not self._submitting.acquire(blocking=False):
                return
            try:
                while not self._closed and self._count() < self._ahead:
                    chunk = list(itertools.islice(self._items, self._size()))
                    if not chunk:
                        self._exhausted = True
                        break
                    if self._left is not None:
                        self._left -= len(chunk)
                    with self._changed:
                        self._open += 1
                    future = self._submit(chunk)
                    self._live[future] = None
                    if not self._unordered:
                        with self._changed:
                            self._futures.append(future)
                            self._changed.notify_all()
                    future.add_done_callback(self._chunk_done)
            finally:
                self._submitting.release()
        if self._exhausted:
            with self._changed:
                self._changed.notify_all()

    def _count(self) -> int:
        if self._buffersize is None:
            return self._open
        return len(self._futures) if not self._unordered else self._open + len(self._ready)

    def _size(self) -> int:
        if self._chunksize is not None:
            return self._chunksize
        if self._item_seconds is None or self._left is None:
            return 1
        by_time = int(CHUNK_SECONDS / max(self._item_seconds, 1e-9))
        # Towards the end chunks become smaller, so that no worker is left with a long one.
        return max(1, min(by_time, CHUNK_ITEMS_MAX, self._left // (2 * self._workers)))

    def _chunk_done(self, future: Future[Any]) -> None:
        self._live.pop(future, None)
        with self._changed:
            self._open -= 1
            if not future.cancelled() and future.exception() is None:
                seconds, values = future.result()
                self._item_seconds = seconds / len(values)
            if self._unordered:
                self._ready.append(future)
                self._changed.notify_all()
        if self._buffersize is None:
            self._refill()

    def _next(self, end: float | None) -> Future[Any] | None:
        """The next future to read, which may not be done; `None` after the last."""
        queue = self._ready if self._unordered else self._futures
        with self._changed:
            while not queue:
                if self._exhausted and (not self._unordered or self._open == 0):
                    return None
                left = None if end is None else end - time.monotonic()
                if not self._changed.wait(left if left is None else max(left, 0.0)):
                    raise TimeoutError
            return queue.popleft()

    def results(self, timeout: float | None) -> Iterator[Any]:
        """All values; `TimeoutError` if one is not there `timeout` seconds after this call."""
        end = None if timeout is None else time.monotonic() + timeout
        return self._results(end)

    def _results(self, end: float | None) -> Iterator[Any]:
        try:
            while (future := self._next(end)) is not None:
                if self._buffersize is not None:
                    self._refill()
                yield from _values(future, end)
                del future
        except KeyboardInterrupt:
            # Nobody waits for the values any more. The last ones first, or the end of one would begin the next.
            self._closed = True
            for future in reversed(list(self._live)):
                self._stop(future)
            raise
        finally:
            self.close()

    def close(self) -> None:
        """Submits nothing more, and cancels what has not begun."""
        self._closed = True
        for future in list(self._futures):
            future.cancel()


def followed(submit: Callable[[list[Any]], Future[Any]], count: int, timeout: float | None) -> Iterator[Any]:
    """So many values of chunks that another rank submits, in their order."""
    end = None if timeout is None else time.monotonic() + timeout

    def values() -> Iterator[Any]:
        left = count
        while left > 0:
            for value in _values(submit([]), end):
                left -= 1
                yield value

    return values()


def _values(future: Future[Any], end: float | None) -> Iterator[Any]:
    """The values of a chunk, each let go as it is given out."""
    try:
        try:
            _, values = future.result(None if end is None else end - time.monotonic())
        finally:
            future.cancel()
    finally:
        # A traceback must not keep the result.
        del future
    values.reverse()
    while values:
        yield values.pop()
