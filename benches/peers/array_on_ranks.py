"""The workloads of `bench-arrays` on ranks, by girih and by Heat, each in a job of its own.

As a program it runs on every rank, and rank 0 prints the seconds of each workload as a line of JSON. A workload that
a library has no function for, or refuses for rows on ranks, is left out for both.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

# In turns, for other programs on the machine spoil both.
JOBS = 2
ROUNDS = 3
# A workload that takes longer is not repeated.
SECONDS_MAX = 2.0


def compared(ranks, elements, wanted):
    """Seconds by girih and by Heat for each workload that both can do, or why there are none."""
    if importlib.util.find_spec("heat") is None:
        return "Heat is not installed here, so nothing is compared on ranks"
    found = {"girih": {}, "heat": {}}
    for _ in range(JOBS):
        for library, times in found.items():
            for name, taken in job(library, ranks, elements, wanted).items():
                times.setdefault(name, []).extend(taken)
    both = [name for name in found["girih"] if name in found["heat"]]
    return {name: tuple(statistics.median(times[name]) for times in found.values()) for name in both}


def job(library, ranks, elements, wanted):
    """What rank 0 of a job printed."""
    launch = [sys.executable, "-m", "girih", "run", "-n", str(ranks), "--threads", "1", "--timeout", "240"]
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    line = [*launch, __file__, library, str(elements), ",".join(wanted)]
    told = subprocess.run(line, check=True, capture_output=True, text=True, env=settings)
    return json.loads(told.stdout.splitlines()[-1])


def workloads_of(library, elements):
    """The library's module, the operands split by rows, and what waits until a result is there on all ranks."""
    from array_workloads import data

    operands = data(elements)
    if library == "girih":
        import girih as gr

        def finish(result):
            gr.wait(result)
            gr.barrier()

        return gr, {name: gr.asarray(each) for name, each in operands.items()}, finish
    import heat as ht
    from mpi4py import MPI

    # As girih lays them out: small arrays are whole on every rank.
    split = {name: 0 if each.nbytes > 64 << 10 else None for name, each in operands.items()}
    return (
        ht, {name: ht.array(each, split=split[name]) for name, each in operands.items()},
        lambda result: MPI.COMM_WORLD.Barrier(),
    )  # fmt: skip


def timed(compute, module, operands, finish):
    """Seconds of each of some runs; the first, which compiles and touches memory, is not among them."""
    taken = []
    for _ in range(1 + ROUNDS):
        begin = time.perf_counter()
        finish(compute(module, operands))
        taken.append(time.perf_counter() - begin)
        if taken[0] > SECONDS_MAX:
            return taken
    return taken[1:]


def main(library, elements, wanted):
    from array_workloads import WORKLOADS

    from girih.launched import rank_and_size

    warnings.simplefilter("ignore")
    module, operands, finish = workloads_of(library, elements)
    found = {}
    for name, (compute, _) in WORKLOADS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        try:
            found[name] = timed(compute, module, operands, finish)
        except (AttributeError, NotImplementedError, TypeError, ValueError, RuntimeError):
            continue
    if rank_and_size()[0] == 0:
        print(json.dumps(found))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1], int(sys.argv[2]), [part for part in sys.argv[3].split(",") if part])
