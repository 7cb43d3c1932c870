"""`Pool`: the names of `multiprocessing.Pool` on an executor.

Invariant: a worker that dies fails its task, so that nobody waits for a result that will not come.

Never here: how tasks run (`executor`).
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any

from girih.futures.executor import RankExecutor
from girih.futures.mapping import run_chunk


class Pool:
    """A pool of worker processes, with the methods of `multiprocessing.Pool`.

    Parameters as there; `context` is accepted and has nothing to change. On several ranks the workers of all of them
    serve, as for `RankExecutor`.

    >>> from girih.futures import Pool
    >>> with Pool(2) as pool:
    ...     print(pool.map(abs, [-1, -2]), pool.apply(pow, (2, 5)), list(pool.imap(abs, [-3])))
    [1, 2] 32 [3]
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        self._executor = RankExecutor(
            processes, initializer, tuple(initargs), max_tasks_per_child=maxtasksperchild, mp_context=context
        )
        self._closed = False

    def apply(self, func: Callable[..., Any], args: Iterable[Any] = (), kwds: Mapping[str, Any] | None = None) -> Any:
        """`func(*args, **kwds)` in a worker, waited for."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As `apply`, at once; a callback hears the value or the error."""
        self._check()
        future = self._executor.submit(func, *args, **dict(kwds or {}))
        return AsyncResult([future], lambda values: values[0], callback, error_callback)

    def map(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """`[func(item) for item in iterable]` in workers."""
        return list(self.imap(func, list(iterable), chunksize or "auto"))

    def starmap(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """As `map`, with the arguments in tuples."""
        self._check()
        return list(self._executor.starmap(func, list(iterable), chunksize=chunksize or "auto"))

    def imap(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: Any = 1) -> ResultIterator:
        """As `map`, value by value."""
        self._check()
        return ResultIterator(self._executor.map(func, iterable, chunksize=chunksize))

    def imap_unordered(self, func: Callable[..., Any], iterable: Iterable[Any], chunksize: Any = 1) -> ResultIterator:
        """As `imap`, in the order in which values are ready."""
        self._check()
        return ResultIterator(self._executor.map(func, iterable, chunksize=chunksize, unordered=True))

    def map_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As `map`, at once; a callback hears the list or the first error."""
        return self.starmap_async(func, ((item,) for item in iterable), chunksize, callback, error_callback)

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult:
        """As `starmap`, at once."""
        self._check()
        items = [tuple(item) for item in iterable]
        # As many chunks as multiprocessing makes: four for each worker.
        size = chunksize or max(-(-len(items) // (4 * self._executor.workers())), 1)
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        futures = [self._executor.submit(run_chunk, func, chunk) for chunk in chunks]
        return AsyncResult(futures, lambda pairs: [one for _, part in pairs for one in part], callback, error_callback)

    def close(self) -> None:
        """Accepts nothing more."""
        self._closed = True
        self._executor.shutdown(wait=False)

    def terminate(self) -> None:
        """Ends all workers at once."""
        self._closed = True
        self._executor.terminate_workers()

    def join(self) -> None:
        """Waits until all workers have left; after `close` or `terminate`."""
        if not self._closed:
            raise ValueError("Pool is still running")
        self._executor.shutdown(wait=True)

    def __enter__(self) -> Pool:
        self._check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.terminate()

    def _check(self) -> None:
        if self._closed:
            raise ValueError("Pool not running")


class AsyncResult:
    """What `apply_async` and its kind return."""

    def __init__(
        self,
        futures: list[Future[Any]],
        combine: Callable[[list[Any]], Any],
        callback: Callable[[Any], object] | None,
        error_callback: Callable[[BaseException], object] | None,
    ) -> None:
        self._combine = combine
        self._callback, self._error_callback = callback, error_callback
        self._left = len(futures)
        self._values: list[Any] = [None] * len(futures)
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._lock = threading.Lock()
        if not futures:
            self._finish()
        for place, future in enumerate(futures):
            future.add_done_callback(lambda future, place=place: self._hear(place, future))  # type: ignore[misc]

    def _hear(self, place: int, future: Future[Any]) -> None:
        try:
            value, error = future.result(), None
        except BaseException as raised:  # noqa: BLE001 - `get` raises it
            value, error = None, raised
        with self._lock:
            self._values[place] = value
            self._error = self._error or error
            self._left -= 1
            last = self._left == 0
        if last:
            self._finish()

    def _finish(self) -> None:
        if self._error is None:
            self._values = [self._combine(self._values)]
        try:
            if self._error is None and self._callback is not None:
                self._callback(self._values[0])
            elif self._error is not None and self._error_callback is not None:
                self._error_callback(self._error)
        finally:
            self._done.set()

    def ready(self) -> bool:
        """True once the call is over."""
        return self._done.is_set()

    def successful(self) -> bool:
        """True if nothing was raised. Raises `ValueError` before the end."""
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Waits for the end, or so many seconds."""
        self._done.wait(timeout)

    def get(self, timeout: float | None = None) -> Any:
        """The value. Raises what the function raised; `multiprocessing.TimeoutError` if it is not there in time."""
        if not self._done.wait(timeout):
            raise multiprocessing.TimeoutError
        if self._error is not None:
            raise self._error
        return self._values[0]


class ResultIterator:
    """What `imap` returns: values one by one, by `next(iterator)` or `iterator.next()`."""

    def __init__(self, values: Iterator[Any]) -> None:
        self._values = values

    def __iter__(self) -> ResultIterator:
        return self

    def __next__(self) -> Any:
        return next(self._values)

    next = __next__
