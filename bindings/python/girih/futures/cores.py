"""Which cores a rank's workers may use, and how many threads that leaves to the libraries that a task calls.

Invariant: with at most as many workers as cores no core has two owners, and the threads of all workers together are no
more than the cores.
Never here: processes.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from girih.launched import rank_and_size

# What BLAS, OpenMP and their like read when they are loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
# How launchers speak to their processes; a worker is no rank, and must not be taken for one.
_LAUNCHER_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "HYDRA_", "HYDI_", "MPI_LOCAL", "MPIR_", "GIRIH_TRACE")
_LAUNCHER_NAMES = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "MPI_LOCALRANKID", "MPI_LOCALNRANKS")
_QUOTA_FILE = "/sys/fs/cgroup/cpu.max"


class Seats(NamedTuple):
    """Where each worker sits, and the threads that its seat allows."""

    cores: list[list[int]]  # by slot, counted from 0; empty: not bound
    threads: int


def rank_cores() -> list[int]:
    """The hardware threads of this rank: its share of the node under a launcher, else what the process may use."""
    if rank_and_size()[1] > 1:
        from girih import _native

        lists = [_parse(text) for text in _native.world_info()["worker_cpus"]]
        units = sorted({unit for units in lists for unit in units})
        if units:
            return units
    return sorted(os.sched_getaffinity(0))


def core_count() -> int:
    """How many tasks this rank can run at once: its hardware threads, or fewer by the quota of its control group."""
    count = len(rank_cores())
    try:
        with open(_QUOTA_FILE) as file:
            quota, period = file.read().split()
        return min(count, max(1, -(-int(quota) // int(period))))
    except (OSError, ValueError):
        return count


def seats(workers: int) -> Seats:
    """Divides this rank's cores among so many workers.

    >>> from girih.futures.cores import seats
    >>> seats(1).threads >= 1
    True
    """
    cores = rank_cores()
    each = core_count() // workers
    if each == 0 or len(cores) < workers:
        return Seats([cores] * workers, 1)
    size, extra = divmod(len(cores), workers)
    starts = [slot * size + min(slot, extra) for slot in range(workers + 1)]
    return Seats([cores[start:end] for start, end in zip(starts, starts[1:], strict=False)], each)


def environment(threads: int, given: dict[str, str] | None, *, force: bool) -> dict[str, str]:
    """A worker's environment: this process's without the launcher's words, with limits for threads.

    Limits that the user has set stand, unless `force` says that `threads` was asked for.
    """
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_LAUNCHER_PREFIXES) and name not in _LAUNCHER_NAMES
    }
    for name in THREAD_VARIABLES:
        if force or name not in variables:
            variables[name] = str(threads)
    # Threading Building Blocks then share one limit between processes.
    variables.setdefault("ENABLE_IPC", "1")
    variables.update(given or {})
    return variables


def _parse(text: str) -> list[int]:
    """The numbers in a list as the kernel writes it.

    >>> from girih.futures.cores import _parse
    >>> _parse("0-2,5")
    [0, 1, 2, 5]
    """
    units: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        units.extend(range(int(first), int(last or first) + 1))
    return units
