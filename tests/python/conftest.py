"""Runs programs on ranks, as a user's launcher would, for all tests of the Python package.

Invariant: nothing started here outlives its time limit, and no test needs a terminal or the network.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

import girih

REPOSITORY = Path(__file__).parents[2]
FAMILIES = ("openmpi", "mpich")
# A job in the background ignores interrupts, and so would every program that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Every rank keeps what it gives to `give`; read back by `Run.given`.
PRELUDE = """
import hashlib, os, numpy as np
from pathlib import Path
from girih.launched import rank_and_size

def give(**arrays):
    np.savez(Path(os.environ["TEST_OUTPUT"]) / f"rank{rank_and_size()[0]}.npz", **arrays)

def digests(arrays):
    return {name: np.frombuffer(hashlib.blake2b(np.asarray(v).tobytes()).digest(), "u1") for name, v in arrays.items()}

def mistake(make):
    try:
        make()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"
"""


@dataclass(frozen=True)
class Run:
    """How a program ended, and what its ranks gave."""

    status: int
    output: str
    errors: str
    seconds: float
    folder: Path

    def given(self, ranks):
        """What each rank gave: a list of dictionaries of arrays."""
        import numpy as np

        return [dict(np.load(self.folder / f"rank{rank}.npz")) for rank in range(ranks)]

    def succeeded(self):
        """Itself; fails the test with everything that was printed otherwise."""
        assert self.status == 0, f"status {self.status} after {self.seconds:.1f} s\n{self.output}\n{self.errors}"
        return self


def has(family):
    """True if programs can be run on ranks of this MPI."""
    plugin = Path(girih.__file__).parent / "_mpi" / f"{family}.so"
    return plugin.exists() and shutil.which(f"mpirun.{family}") is not None


def skipped_without(family):
    """A mark for tests on ranks of this MPI, which is the user's to install or not."""
    reason = f"no mpirun.{family} here, or girih's plug-in for it was not built; make test installs and builds both"
    return pytest.mark.skipif(not has(family), reason=reason)


def needs(family):
    """A parameter that is skipped where this MPI is not installed."""
    return pytest.param(family, marks=skipped_without(family))


on_openmpi = skipped_without("openmpi")
both_families = pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])


def launch_line(family, ranks):
    """The launcher's part of the command line, by hand: what girih run builds is tested against it."""
    if family == "openmpi":
        line = ["mpirun.openmpi", "--bind-to", "none", "--oversubscribe", "-n", str(ranks)]
        return line + (["--mca", "mpi_yield_when_idle", "1"] if ranks > len(os.sched_getaffinity(0)) else [])
    return ["mpirun.mpich", "-n", str(ranks)]


def environment(threads, extra):
    """The environment of a test's program."""
    settings = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "COLUMNS": "100"}
    values = {**os.environ, **settings, "GIRIH_NUM_THREADS": str(threads), "OMP_NUM_THREADS": "1", **extra}
    for trap in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        values.pop(trap, None)
    return values


def run_command(command, folder, *, threads=1, timeout=60, extra=None):
    """Runs the command to its end; its whole session is killed when the time is up."""
    values = environment(threads, {"TEST_OUTPUT": str(folder), **(extra or {})})
    begin = time.monotonic()
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, env=values, cwd=folder, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # The launcher ends its ranks, which may have sessions of their own, when it is asked to end.
            os.killpg(process.pid, signal.SIGTERM)
            try:
                output, errors = process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, errors = process.communicate()
            pytest.fail(f"not at its end after {timeout} s: {command}\n{output}\n{errors}")
    return Run(process.returncode, output, errors, time.monotonic() - begin, folder)


@pytest.fixture
def on_ranks(tmp_path):
    """`on_ranks(code, ranks, family)`: runs a Python program under that MPI's mpirun; one rank without a launcher,
    unless it is to be `launched`."""
    runs = 0

    def run(code, ranks, family="openmpi", *, threads=1, timeout=60, extra=None, arguments=(), launched=False):
        nonlocal runs
        runs += 1
        folder = tmp_path / f"run{runs}"
        folder.mkdir()
        script = folder / "program.py"
        script.write_text(PRELUDE + textwrap.dedent(code))
        line = launch_line(family, ranks) if ranks > 1 or launched else []
        command = [*line, sys.executable, script, *arguments]
        return run_command(command, folder, threads=threads, timeout=timeout, extra=extra)

    return run


def same_bytes(reference, given, where):
    """Fails the test with the names of what has other bytes than the reference; `sent` may differ."""
    names = [name for name in reference if name != "sent"]
    different = [name for name in names if given[name].tobytes() != reference[name].tobytes()]
    assert not different, f"{different} on {where}"


@pytest.fixture
def same_bits(on_ranks):
    """`same_bits(code)`: what the program gives has the same bits at any number of ranks and threads and any tile.

    Returns what one rank gave, and for each rank of each run the number of ranks and the bytes it gives as `sent`.
    """

    def check(code, *, timeout=180):
        reference = on_ranks(code, 1, timeout=timeout).succeeded().given(1)[0]
        sent = []
        for ranks, threads, extra in [(1, 2, {"GIRIH_TILE_BYTES": "4096"}), (2, 1, {}), (3, 2, {}), (4, 1, {})]:
            run = on_ranks(code, ranks, threads=threads, extra=extra, timeout=timeout).succeeded()
            for given in run.given(ranks):
                same_bytes(reference, given, f"{ranks} ranks of {threads} threads, {extra}")
                sent.append((ranks, int(given.get("sent", 0))))
        return reference, sent

    return check


@pytest.fixture(scope="module")
def bits_on_one_rank(tmp_path_factory):
    """`bits_on_one_rank(code)`: what the program gives on one rank and one thread, run once for a module."""

    def run(code):
        folder = tmp_path_factory.mktemp("reference")
        (folder / "program.py").write_text(PRELUDE + code)
        return run_command([sys.executable, folder / "program.py"], folder, timeout=120).succeeded().given(1)[0]

    return run


@pytest.fixture
def command(tmp_path):
    """`command("info", ...)`: runs `girih` with these arguments in the test's own folder."""

    def run(*arguments, timeout=60, threads=1, extra=None):
        line = [sys.executable, "-m", "girih", *arguments]
        return run_command(line, tmp_path, timeout=timeout, threads=threads, extra=extra)

    return run


@pytest.fixture(scope="session")
def mpi4py_variables(tmp_path_factory):
    """Variables with which mpi4py finds the library of a family.

    mpi4py's wheel wants MPICH under its own name for the library, `libmpi.so.12`; Debian calls it `libmpich.so.12`.
    """
    folder = tmp_path_factory.mktemp("mpich")
    library = next(Path("/usr/lib").glob("*/libmpich.so.12"), None)
    if library is not None:
        (folder / "libmpi.so.12").symlink_to(library)

    def variables(family):
        if family == "openmpi" or library is None:
            return {}
        paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": os.pathsep.join(paths), "MPI4PY_LIBMPI": str(folder / "libmpi.so.12")}

    return variables
