"""`RankExecutor`: the public face, with the names and the habits of `concurrent.futures`.

Invariant: an executor that was shut down accepts nothing, and nothing it accepted is left without an outcome.
Never here: where tasks go (`home`), how they reach workers (`dispatch`), what a worker does (`worker`).
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future
from types import FunctionType, TracebackType
from typing import Any, Literal, ParamSpec, TypeVar

from girih.futures.arguments import is_array, replace, special
from girih.futures.crew import Settings
from girih.futures.held import Handle
from girih.futures.home import NO_KEY, Call, find_home, where
from girih.futures.mapping import Chunk, followed
from girih.futures.mapping import Mapping as Run
from girih.futures.rows import Columns, RowChunk
from girih.futures.setup import Setup
from girih.futures.task import Options, SharedFunction, Shelf
from girih.launched import rank_and_size

P = ParamSpec("P")
T = TypeVar("T")


class RankExecutor(Executor):
    """An executor whose workers are clean child processes, one for each core of this rank.

    Functions may be anything that cloudpickle takes: lambdas, closures, methods, what was typed at a prompt; the script
    is never run again in a worker, so it needs no ``if __name__ == "__main__"``. Workers are started at the first
    submission and kept until `shutdown`; a worker that is killed loses its own task alone and is replaced.

    Parameters: `max_workers` processes (default: this rank's cores); `initializer(*initargs)` runs once in each worker,
    also in replacements; `threads` is how many threads BLAS and OpenMP may use in a worker (default: the cores that it
    owns); `timeout` and `retries` are defaults for all tasks (see `options`); `env`, `path`, `wdir`, `globals` give
    workers variables, places to import from, a directory and names in `__main__`; `max_tasks_per_child` replaces a
    worker after so many tasks. Other keywords of `ProcessPoolExecutor` and `mpi4py.futures.MPIPoolExecutor`
    (`mp_context`, `main`, `backoff`, `use_pkl5`, `python_exe`, `python_args`, `mpi_info`) are accepted and have nothing
    to change here.

    In a task, `RankExecutor()` is the executor that runs the task: its workers do the new tasks too.

    >>> from girih.futures import RankExecutor
    >>> with RankExecutor(max_workers=2) as executor:
    ...     future = executor.submit(pow, 2, 10)
    ...     print(future.result(), list(executor.map(lambda n: n * n, range(5))))
    1024 [0, 1, 4, 9, 16]
    """

    def __init__(
        self,
        max_workers: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        threads: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        max_tasks_per_child: int | None = None,
        env: Mapping[str, str] | None = None,
        path: Iterable[str] | None = None,
        wdir: str | os.PathLike[str] | None = None,
        globals: Mapping[str, Any] | None = None,
        **accepted: Any,
    ) -> None:
        unknown = set(accepted) - _ACCEPTED
        if unknown:
            raise TypeError(f"RankExecutor has no argument {sorted(unknown)[0]!r}")
        if max_workers is not None and max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers}")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        if max_tasks_per_child is not None and max_tasks_per_child <= 0:
            raise ValueError(f"max_tasks_per_child must be at least 1, not {max_tasks_per_child}")
        self._options = Options(timeout, retries, 1)
        self._maps = 0
        setup = Setup(initializer, tuple(initargs), max_tasks_per_child, list(path or ()), wdir, dict(globals or {}))

        def settings(workers: int) -> Settings:
            return Settings(workers, threads, dict(env or {}), setup, where())

        self._home = find_home(max_workers, settings)
        self._max_workers = self._home.workers

    # --- concurrent.futures -------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Schedules `fn(*args, **kwargs)`; tasks start in the order of their submission.

        A future among the arguments, also within lists, tuples and dictionaries, stands for its value: the task starts
        when it is done, and fails or is cancelled as it was. Large arrays in such a value are read-only views.
        A girih array is what lies of it on the task's rank: all of it on one rank; on several say which by `options`.

        Raises `RuntimeError` after `shutdown`, `BrokenExecutor` if workers cannot be started or initialized. What
        pickling raises comes from the future.
        """
        return self._submit(fn, args, kwargs, self._options)

    def _submit(self, fn: Callable[..., T], args: Any, kwargs: Any, options: Options) -> Future[T]:
        found = special(args, kwargs)
        if found:
            args, kwargs, found = self._with_handles(args, kwargs, found)
        return self._home.submit(Call(fn, args, kwargs, options, None, None, NO_KEY, _label(fn), found))

    def _with_handles(self, args: Any, kwargs: Any, found: list[Any]) -> tuple[Any, Any, list[Any]]:
        """Handles in the place of girih's arrays."""
        if any(is_array(one) for one in found):
            args, kwargs = replace((args, kwargs), lambda one: self._home.rows(one) if is_array(one) else one)
            found = special(args, kwargs)
        return args, kwargs, found

    def map(
        self,
        fn: Callable[..., T],
        /,
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int | Literal["auto"] = "auto",
        buffersize: int | None = None,
        unordered: bool = False,
        progress: Any = None,
    ) -> Iterator[T]:
        """`map(fn, *iterables)` with calls in workers, all submitted now; results in the order of the arguments.

        `chunksize` calls travel together; "auto" makes chunks of about 2 ms. With `buffersize`, arguments are taken
        from the iterables only so many results ahead of the reader. `unordered` gives results as they are ready.
        `progress` is told of each result: a `tqdm` bar, or anything with `update(count)`.

        An iterable may be a girih array: `fn` is then called for each row on the rank where the row lies, and sees it
        in shared memory, read-only. Large arrays made while the executor was open lie there already. Others cost a copy
        of each rank's rows, one for as long as tasks or handles (`scatter`) hold the array and nobody writes it.

        Raises, from the iterator, `TimeoutError` after `timeout` seconds, and what `fn` raised.
        """
        if any(is_array(one) for one in iterables):
            return self._map_rows(fn, iterables, timeout, chunksize, progress)
        return self.starmap(
            fn, zip(*iterables, strict=False), timeout, chunksize, buffersize, unordered, progress
        )  # fmt: skip

    def _map_rows(
        self, fn: Callable[..., T], iterables: Any, timeout: float | None, chunksize: int | str, progress: Any
    ) -> Iterator[T]:  # fmt: skip
        size = None if chunksize == "auto" else int(chunksize)
        columns = Columns(self._home.rows, iterables)
        shared = SharedFunction(RowChunk(fn))
        results: list[Iterator[T]] = []
        for run in columns.runs():
            options = self._options._replace(rank=run.rank)
            submit = self._chunks(shared, None, options, _label(fn), columns.chunk)
            if self._home.follows and size is None:
                results.append(followed(submit, len(run.rows), timeout))
            else:
                made = Run(submit, list[Any](run.rows), self._max_workers, size, None, False, self.cancel)
                results.append(made.results(timeout))
        chained = itertools.chain.from_iterable(results)
        return chained if progress is None else _told(chained, progress)

    def _chunks(
        self, shared: SharedFunction, shelf: Shelf | None, options: Options, label: str, given: Callable[[Any], Any]
    ) -> Callable[[list[Any]], Future[Any]]:  # fmt: skip
        """What submits the chunks of one `map`, as the arguments that are given for each."""
        self._maps += 1
        places = zip(itertools.repeat(self._maps), itertools.count())

        def submit(chunk: list[Any]) -> Future[Any]:
            args = given(chunk)
            found = special(args, {})
            if found:
                args, _, found = self._with_handles(args, {}, found)
            return self._home.submit(Call(shared.value, args, {}, options, shared, shelf, next(places), label, found))

        return submit

    def starmap(
        self,
        fn: Callable[..., T],
        iterable: Iterable[tuple[Any, ...]],
        timeout: float | None = None,
        chunksize: int | Literal["auto"] = "auto",
        buffersize: int | None = None,
        unordered: bool = False,
        progress: Any = None,
    ) -> Iterator[T]:
        """As `map`, over tuples of arguments.

        >>> from girih.futures import RankExecutor
        >>> with RankExecutor(max_workers=2) as executor:
        ...     print(list(executor.starmap(pow, [(2, 3), (3, 2)])))
        [8, 9]
        """
        if chunksize != "auto" and chunksize < 1:
            raise ValueError("chunksize must be >= 1.")
        if buffersize is not None and not isinstance(buffersize, int):
            raise TypeError("buffersize must be an integer or None")
        if buffersize is not None and buffersize < 1:
            raise ValueError("buffersize must be None or > 0")
        items = iterable if buffersize is not None else list(iterable)
        size = None if chunksize == "auto" else chunksize
        shared = SharedFunction(Chunk(fn))
        items, shelf = self._home.share(items)
        submit = self._chunks(shared, shelf, self._options, _label(fn), lambda chunk: (chunk,))
        if self._home.follows and size is None and isinstance(items, list):
            # Rank 0 chooses the chunks as it goes; here only the number of values is known.
            results = followed(submit, len(items), timeout)
        else:
            made = Run(submit, items, self._max_workers, size, buffersize, unordered, self.cancel)
            results = made.results(timeout)
        return results if progress is None else _told(results, progress)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accepts no more tasks; workers leave when those that were accepted are done, or begun if `cancel_futures`."""
        self._home.close(wait=wait, cancel=cancel_futures)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        if kind is not None and issubclass(kind, (KeyboardInterrupt, SystemExit)):
            # Nobody waits for results any more.
            self.terminate_workers()
        self.shutdown(wait=True)
        return None

    # --- beyond concurrent.futures ------------------------------------------------------------------------------------

    def options(
        self,
        *,
        timeout: float | None = None,
        retries: int | None = None,
        threads: int | None = None,
        rank: int | None = None,
    ) -> Executor:
        """This executor with other options for tasks that are submitted through the result.

        `timeout`: seconds from a task's start, after which its worker is ended and its future raises `TimeoutError`;
        `retries`: how often a task is started again when its worker is lost, instead of raising `WorkerLostError`;
        `threads`: cores of one rank that a task reserves; its BLAS and OpenMP may use as many threads;
        `rank`: whose workers run it; a girih array among its arguments is then the rows that lie there, in shared
        memory.

        >>> import time
        >>> from girih.futures import RankExecutor
        >>> with RankExecutor(max_workers=1) as executor:
        ...     slow = executor.options(timeout=0.1).submit(time.sleep, 60)
        ...     print(type(slow.exception()).__name__)
        TimeoutError
        """
        old = self._options
        new = Options(
            old.timeout if timeout is None else timeout,
            old.retries if retries is None else retries,
            old.threads if threads is None else threads,
            old.rank if rank is None else rank,
        )
        ranks = rank_and_size()[1]
        if new.rank is not None and not 0 <= new.rank < ranks:
            raise ValueError(f"rank must be at least 0 and below {ranks}, not {new.rank}")
        if new.threads < 1:
            raise ValueError(f"threads must be at least 1, not {new.threads}")
        return Configured(self, new)

    def broadcast(self, value: Any) -> Handle:
        """A handle of a value that lies in the shared memory of each node once, for all its workers; see `Handle`.

        Under a launcher the value is rank 0's, and is sent to each other node once. In tasks its arrays are read-only.

        >>> import numpy as np
        >>> from girih.futures import RankExecutor
        >>> with RankExecutor(max_workers=2) as executor:
        ...     table = executor.broadcast(np.arange(100_000))
        ...     print([executor.submit(lambda t, n: int(t[n]), table, n).result() for n in (5, 99_999)])
        [5, 99999]
        """
        return self._home.broadcast(value)

    def scatter(self, values: Any) -> Any:
        """Handles of values that lie on one rank each, which tasks that name them prefer: a list for a list, a
        dictionary for a dictionary. Of a girih array one handle: in a task, of the rows that lie on its rank.

        >>> from girih.futures import RankExecutor
        >>> with RankExecutor(max_workers=2) as executor:
        ...     parts = executor.scatter([[1, 2], [3]])
        ...     print(executor.gather([executor.submit(sum, part) for part in parts]))
        [3, 3]
        """
        if is_array(values):
            return self._home.rows(values)
        if isinstance(values, Mapping):
            return dict(zip(values, self._home.scatter(list(values.values())), strict=True))
        return self._home.scatter(list(values))

    def gather(self, futures: Any, errors: Literal["raise", "skip"] = "raise") -> Any:
        """The values of futures and handles, waited for, in the same lists, tuples and dictionaries.

        With `errors="skip"` futures that failed are left out of lists, tuples and dictionaries.
        """
        if errors not in ("raise", "skip"):
            raise ValueError(f"errors must be 'raise' or 'skip', not {errors!r}")
        if isinstance(futures, Future):
            return futures.result()
        skip = errors == "skip"
        if isinstance(futures, dict):
            kept = {key: one for key, one in futures.items() if not (skip and _failed(one))}
            return {key: self.gather(one, errors) for key, one in kept.items()}
        if isinstance(futures, (list, tuple)):
            return type(futures)([self.gather(one, errors) for one in futures if not (skip and _failed(one))])
        return futures

    def cancel(self, future: Future[Any]) -> bool:
        """Cancels a task even if it runs: its worker is ended and replaced. False if it is done already.

        A future that ran raises `CancelledError` from then on.
        """
        return future.cancel() or self._home.stop(future)

    def workers(self) -> int:
        """How many tasks run at once, on all ranks together."""
        return self._max_workers

    @property
    def num_workers(self) -> int:
        """As `workers`, by the name of `mpi4py.futures`."""
        return self._max_workers

    def bootup(self, wait: bool = True) -> RankExecutor:
        """Starts the workers now instead of at the first submission; with `wait` tasks run at the return."""
        futures = [self.submit(int) for _ in range(self._max_workers)]
        for future in futures if wait else []:
            future.result()
        return self

    def is_over(self) -> bool:
        """True if nothing is accepted any more: after `shutdown`, or because workers cannot be started."""
        return self._home.is_over()

    def terminate_workers(self) -> None:
        """Ends all workers at once, with what they run, and shuts the executor down."""
        self._home.close(wait=False, kill=True)

    kill_workers = terminate_workers

    def report(self) -> dict[str, Any]:
        """What has been done so far: tasks, failures, lost workers and retries, in all and by rank, busy seconds; on
        rank 0 how many tasks a rank took from others, and bytes sent to and received from each; once workers exist, who
        they are, on which cores, with how many threads each, the pools of BLAS and OpenMP that were loaded there with
        their sizes, and the bytes that went through shared memory, that are kept there, and that are ready unused.
        Ranks with the same number in `node_by_rank` share a node.

        >>> from girih.futures import RankExecutor
        >>> with RankExecutor(max_workers=2) as executor:
        ...     _ = list(executor.map(abs, range(3), chunksize=1))
        ...     report = executor.report()
        >>> report["tasks"], report["failed"], report["workers"]
        (3, 0, 2)
        """
        counts = self._home.counts()
        report: dict[str, Any] = {"workers": self._max_workers}
        for name in ("tasks", "failed", "lost", "retries"):
            report[name] = sum(getattr(one, name) for one in counts)
        report["busy_seconds"] = sum(one.busy_ns for one in counts) / 1e9
        for name in ("tasks", "failed", "lost", "retries"):
            report[f"{name}_by_rank"] = [getattr(one, name) for one in counts]
        report.update(self._home.traffic())
        dispatcher = self._home.dispatcher
        if dispatcher is not None:
            crew = dispatcher.crew
            report["running"] = len(dispatcher.flight.running())
            report["processes"] = {member.process.pid: slot for slot, member in list(crew.members.items())}
            report["cores"] = {slot: crew.seat(slot) for slot in list(crew.members)}
            report["threads_per_worker"] = crew.threads()
            report["pools"] = {slot: dict(member.limits) for slot, member in list(crew.members.items())}
            report["stored_bytes"] = crew.arena.stored_bytes
            report["arena_free_bytes"] = crew.arena.free_bytes()
            report["arena_warm_bytes"] = crew.arena.warm_bytes()
        return report


# Keywords of other executors whose purpose is served here without them.
_ACCEPTED = {"mp_context", "python_exe", "python_args", "mpi_info", "main", "backoff", "use_pkl5", "thread_name_prefix"}


class Configured(Executor):
    """An executor seen with other options; made by `RankExecutor.options`."""

    def __init__(self, executor: RankExecutor, options: Options) -> None:
        self._executor = executor
        self._options = options

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As `RankExecutor.submit`, with these options."""
        return self._executor._submit(fn, args, kwargs, self._options)

    def map(  # type: ignore[override]
        self, fn: Callable[..., T], /, *iterables: Iterable[Any], **keywords: Any
    ) -> Iterator[T]:
        """As `RankExecutor.map`, with these options for each chunk."""
        return self._with_options(lambda: self._executor.map(fn, *iterables, **keywords))

    def starmap(self, fn: Callable[..., T], iterable: Iterable[tuple[Any, ...]], **keywords: Any) -> Iterator[T]:
        """As `RankExecutor.starmap`, with these options for each chunk."""
        return self._with_options(lambda: self._executor.starmap(fn, iterable, **keywords))

    def _with_options(self, call: Callable[[], Iterator[T]]) -> Iterator[T]:
        executor = self._executor
        kept, executor._options = executor._options, self._options
        try:
            return call()
        finally:
            executor._options = kept


def _told(results: Iterator[T], progress: Any) -> Iterator[T]:
    for value in results:
        progress.update(1)
        yield value


def _failed(one: Any) -> bool:
    try:
        return isinstance(one, Future) and one.exception() is not None
    except CancelledError:
        return True


def _label(function: Callable[..., Any]) -> str:
    """A name that is the same on all ranks."""
    if type(function) is FunctionType:
        return function.__qualname__
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__qualname__", type(function).__qualname__)
