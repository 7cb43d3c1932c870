"""What a launcher (mpirun, mpiexec, srun) told this process by its environment, before any MPI is loaded.

Never here: MPI itself, and the native module: both may be absent or not yet started when this is asked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

# The rank's and the size's variable, by launcher. Slurm's step variable, not the job's: a batch script is no rank.
_VARIABLES = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI
    ("PMI_RANK", "PMI_SIZE"),  # MPICH and its relatives
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun
)


def rank_and_size(environment: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """This process's rank and the number of ranks, by the launcher's word; (0, 1) without a launcher.

    >>> rank_and_size({"PMI_RANK": "2", "PMI_SIZE": "4"})
    (2, 4)
    >>> rank_and_size({})
    (0, 1)
    """
    for rank_name, size_name in _VARIABLES:
        try:
            rank, size = int(environment[rank_name]), int(environment[size_name])
        except (KeyError, ValueError):
            continue
        if 0 <= rank < size:
            return rank, size
    return 0, 1
