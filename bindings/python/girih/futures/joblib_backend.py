"""joblib's `Parallel` on ranks: ``with parallel_config(backend="girih", n_jobs=-1): ...``, so scikit-learn's `n_jobs`.

Workers are those of an executor that is kept between calls. A call that returns a list waits in the kernel for its
results instead of asking for them every 10 ms, as joblib does where results come by callback; generators and timeouts
use the callbacks.
Arrays of more than `max_nbytes` reach workers once per call, as `numpy.memmap` of shared memory, with `mmap_mode`.
Never here: batching and order, which are joblib's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

from joblib._parallel_backends import AutoBatchingMixin, FallbackToBackend, ParallelBackendBase, SequentialBackend
from joblib.parallel import register_parallel_backend

from girih.futures import cores, nested
from girih.futures.executor import RankExecutor
from girih.futures.home import all_cores, nodes, scripts
from girih.futures.memmaps import Memmaps

# Executors kept for later calls, one for each kind of call.
KEPT_MAX = 2
# joblib's own default, and its words for sizes.
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

_kept: dict[Any, RankExecutor] = {}
_keeping = threading.Lock()


class GirihBackend(AutoBatchingMixin, ParallelBackendBase):  # type: ignore[misc]
    """The backend that joblib makes by the name "girih"."""

    supports_inner_max_num_threads = True
    supports_retrieve_callback = True
    supports_return_generator = True
    supports_timeout = True
    # Batches begin as single tasks, which cost tens of microseconds here.
    MIN_IDEAL_BATCH_DURATION = 0.005
    MAX_BATCH_DURATION_SECONDS = 0.2

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._executor: RankExecutor | None = None
        self._key: Any = None
        self._maps: Memmaps | None = None
        self._futures: dict[Future[Any], None] = {}  # of this call, that are not done, in their order
        self._failed: Future[Any] | None = None  # the first of this call's that did

    def __reduce__(self) -> Any:
        return _again, (self.nesting_level, self.inner_max_num_threads)

    # --- before and after calls ---------------------------------------------------------------------------------------

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """Workers for this request: -1 stands for all cores of all ranks."""
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        return max(_all_cores() + 1 + n_jobs, 1) if n_jobs < 0 else n_jobs

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        prefer: str | None = None,
        require: str | None = None,
        **keywords: Any,
    ) -> int:
        """Finds or starts an executor with so many workers."""
        workers = self.effective_n_jobs(n_jobs)
        if workers == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        keywords = {**self.backend_kwargs, **keywords}
        self.parallel = parallel
        returns_list = getattr(parallel, "return_generator", False) is False
        self.supports_retrieve_callback = not returns_list or getattr(parallel, "timeout", None) is not None
        initializer, arguments = keywords.get("initializer"), tuple(keywords.get("initargs") or ())
        self._key = (workers, self.inner_max_num_threads, initializer, arguments)
        self._executor = _keep(self._key)
        self._failed = None
        self._futures = {}
        bytes_max, mode = _bytes(keywords.get("max_nbytes", "1M")), keywords.get("mmap_mode", "r")
        self._maps = Memmaps(bytes_max, mode, nodes=nodes())
        return workers

    def stop_call(self) -> None:
        """Lets go of what the call has shared."""
        if self._maps is not None:
            self._maps.clear()

    def terminate(self) -> None:
        """Ends this use of the executor, which is kept for the next one."""
        self.stop_call()
        self._executor = None
        self.reset_batch_stats()

    # --- tasks --------------------------------------------------------------------------------------------------------

    def submit(self, func: Callable[[], Any], callback: Callable[[Any], Any] | None = None) -> Future[Any]:
        """Submits a batch."""
        assert self._executor is not None and self._maps is not None, "joblib configures before it submits"
        future: Future[Any] = self._executor.submit(mapped_call, self._maps.wrap(func))
        self._futures[future] = None
        future.add_done_callback(self._hear)
        if callback is not None:
            future.add_done_callback(callback)
        return future

    def _hear(self, future: Future[Any]) -> None:
        if future not in self._futures:
            return  # what an earlier call has left may end in this one
        del self._futures[future]
        if self.supports_retrieve_callback or future.cancelled() or future.exception() is None:
            return
        # Whoever waits for an earlier batch need not wait for its end: joblib ends a call with its first error.
        if self._failed is None:
            self._failed = future
            self.abort_everything()

    def retrieve_result(self, out: Future[Any], timeout: float | None = None) -> Any:
        """The results of a batch, waited for; the first error of the call as soon as there is one."""
        try:
            return out.result(timeout)
        except CancelledError:
            if self._failed is None:
                raise
            return self._failed.result()

    def retrieve_result_callback(self, out: Future[Any]) -> Any:
        """The results of a batch that is done."""
        return out.result()

    def compute_batch_size(self) -> int:
        """Tasks for the next batch; on several ranks always one, for all ranks must make the same batches."""
        return 1 if scripts() > 1 else int(super().compute_batch_size())

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Cancels what has not begun and ends what runs; the executor goes on."""
        if self._executor is not None:
            # The last ones first: what is ended must not make room for what is to be cancelled.
            for future in reversed(list(self._futures)):
                self._executor.cancel(future)

    def get_nested_backend(self) -> tuple[Any, int | None]:
        """Calls within tasks run in their worker's threads, those within these one after another."""
        backend, n_jobs = super().get_nested_backend()
        return backend, n_jobs


def mapped_call(wrapped: Any) -> Any:
    """Runs a batch in a worker, where this module's import has made the backend's name known."""
    return wrapped()


def _again(nesting_level: int | None, threads: int | None) -> GirihBackend:
    return GirihBackend(nesting_level=nesting_level, inner_max_num_threads=threads)


def _forget_parent() -> None:
    """A forked child has none of its parent's threads, so none of its executors."""
    global _keeping
    _kept.clear()
    _keeping = threading.Lock()


os.register_at_fork(after_in_child=_forget_parent)


def _keep(key: Any) -> RankExecutor:
    workers, threads, initializer, arguments = key
    with _keeping:
        try:
            kept = _kept.pop(key, None)
        except TypeError:  # arguments that cannot be looked up are not kept
            return RankExecutor(workers, initializer, arguments, threads=threads)
        if kept is None or kept.is_over():
            kept = RankExecutor(workers, initializer, arguments, threads=threads)
        _kept[key] = kept
        while len(_kept) > KEPT_MAX:
            _kept.pop(next(iter(_kept))).shutdown(wait=False)
        return kept


def _all_cores() -> int:
    """Cores of all ranks; collective the first time."""
    return cores.core_count() if nested.line() is not None else all_cores()


def _bytes(size: int | str | None) -> int | None:
    """A size as joblib writes it; `None` for no limit."""
    if size is None or isinstance(size, int):
        return size
    return int(float(size[:-1]) * _UNITS[size[-1].upper()])


def register() -> None:
    """Makes "girih" a name for joblib."""
    register_parallel_backend("girih", GirihBackend)


register()
