"""`mpirun -n 4 python -m girih.futures script.py`: one script, on rank 0, whose executors use the workers of all ranks.

For programs that know nothing of ranks, as with `mpi4py.futures`: they print once and may read the clock. Their girih
arrays would need all ranks, so those raise; programs with arrays are started without `-m girih.futures`.
Invariant: while rank 0 runs the script the main threads of the others stand at a barrier, so that whatever else rank 0
asked of all ranks is an error at once.
"""

from __future__ import annotations

import os
import runpy
import sys

from girih.launched import rank_and_size

_USAGE = "usage: python -m girih.futures [-m module | script.py] [argument ...]"


def main(arguments: list[str]) -> None:
    """Runs the script on rank 0, and serves on the others."""
    module = arguments[:1] == ["-m"]
    words = arguments[module:]
    if not words or words[0].startswith("-"):
        print(_USAGE, file=sys.stderr)
        raise SystemExit(2)
    rank, size = rank_and_size()
    if size == 1:
        _run(words, module)
        return
    # Standing at the barrier for long is what the others are for.
    os.environ.setdefault("GIRIH_WATCHDOG", "0")
    from girih import _native
    from girih.futures import home

    home.run_on_one_rank()
    if rank == 0:
        try:
            _run(words, module)
        except SystemExit as end:
            if end.code:
                raise
    _native.barrier()


def _run(words: list[str], module: bool) -> None:
    sys.argv[:] = words
    if module:
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(words[0]))
        runpy.run_path(words[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
