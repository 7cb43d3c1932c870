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
  of their submission, each on whichever worker is free first. One thread of the rank hears the outcomes. All of them
  sleep in the kernel when there is nothing to do.
- Arrays of 64 KiB and more travel out of the pickle, through shared memory that is kept for the next ones: an argument
  costs one copy, a result that is a new array another one, a result that lies there already none. The memory has no
  name, so nothing of it outlives the processes.
"""

from girih.futures.errors import BrokenWorkersError, RemoteTraceback, WorkerLostError
from girih.futures.executor import RankExecutor

__all__ = ["BrokenWorkersError", "RankExecutor", "RemoteTraceback", "WorkerLostError"]
