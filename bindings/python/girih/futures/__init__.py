"""Parallel Python: what was written for `concurrent.futures`, `multiprocessing.Pool`, joblib or `mpi4py.futures`.

>>> from girih.futures import RankExecutor
>>> with RankExecutor(max_workers=2) as executor:
...     print(list(executor.map(lambda n: n * n, range(5))))
[0, 1, 4, 9, 16]

How it works, from the outside in:

- A task is a function with its arguments. It runs in a worker, a clean child process of a rank, never in the process
  that speaks MPI: what a task crashes, leaks or hangs in is its worker, which is replaced.
- A worker imports neither the script nor this package's arrays before a task asks for them. Functions are sent by name
  where they have one that can be imported, and by value otherwise (cloudpickle), so that prompts and notebooks work.
- All workers of a rank read one queue, from which the kernel gives each message to one reader: tasks start in the order
  of their submission, each on whichever worker is free first. One thread of the rank hears the outcomes, as many at
  once as there are. It looks for the next one for 50 µs, and all sleep in the kernel when there is nothing to do.
- Arrays of 64 KiB and more travel out of the pickle, through shared memory that is kept for the next ones: an argument
  costs one copy, a result that is a new array another one, a result that lies there already none. The first 64 MiB are
  made ready before they are needed. The memory has no name, so nothing of it outlives the processes.
- Under a launcher of several ranks every rank runs the script, as everywhere in girih. Making an executor is
  collective; each rank submits the same tasks and gets the same outcomes. Rank 0 alone decides: it pickles, hands tasks
  to the workers of all ranks as these have room, and tells every rank each outcome. The other ranks' futures are
  filled with those, so the same program gives the same values with no launcher and on any number of ranks. A rank
  that submits something else gets `DivergenceError`. What depends on time (`done()`, the order of `as_completed`,
  `cancel`) may differ between ranks, as it does between runs.
- Futures may be arguments: a task starts when they are done, and fails as they fail. `broadcast` and `scatter` put what
  many tasks need into shared memory once on each node: ranks that share a node read what one of them has, and other
  nodes are sent it once each. So it is with an array that appears in several tuples of `map`, with what a mapped
  function holds, and with arrays of joblib. `map` over a girih array calls its function for each row on the rank that
  has the row. Large girih arrays that were made while an executor was open are seen where they lie, without a copy.
- Tasks may submit tasks: an executor that is made in a task is the one that runs it, and a worker whose task waits is
  replaced for that time, so that waiting never blocks the others.

`Pool` has the methods of `multiprocessing.Pool`; `register_joblib` makes "girih" a backend of joblib, and so
scikit-learn's `n_jobs` run here.
"""

import sys as _sys

from girih.futures.errors import BrokenWorkersError, RemoteTraceback, WorkerLostError
from girih.futures.executor import RankExecutor
from girih.futures.held import Handle
from girih.futures.pool import Pool

__all__ = [
    "BrokenWorkersError", "Handle", "Pool", "RankExecutor", "RemoteTraceback", "WorkerLostError", "register_joblib",
]  # fmt: skip


def register_joblib() -> None:
    """Makes "girih" a backend of joblib; done at import already if joblib was imported before.

    >>> from joblib import Parallel, delayed, parallel_config
    >>> from girih.futures import register_joblib
    >>> register_joblib()
    >>> with parallel_config(backend="girih", n_jobs=2):
    ...     print(Parallel()(delayed(abs)(-n) for n in range(4)))
    [0, 1, 2, 3]
    """
    from girih.futures.joblib_backend import register

    register()


if "joblib" in _sys.modules:
    register_joblib()
