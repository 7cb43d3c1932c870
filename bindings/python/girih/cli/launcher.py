"""Finds the program that starts ranks, and builds its command line.

The launcher must belong to an MPI for which this installation has a plug-in: a launcher of another family would start
n separate worlds of one rank. Cores are not divided here: the launcher binds nothing, girih divides each node itself.
Never here: processes that run for longer than `--version`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import girih
from girih.cli.mistake import Mistake

_NAMES = ("mpirun", "mpiexec", "mpirun.openmpi", "mpirun.mpich")
_APT_LINE = "sudo apt install openmpi-bin libopenmpi-dev (or: mpich libmpich-dev), then make"
# By what the launchers of a family say of themselves. Intel MPI and MVAPICH use MPICH's binary interface.
_SIGNATURES = (
    ("openmpi", ("open mpi", "openrte", "open-mpi", "prrte")),
    ("mpich", ("hydra", "mpich", "intel(r) mpi")),
    ("slurm", ("slurm",)),
)


@dataclass(frozen=True)
class Launcher:
    """A program that starts ranks; `family` is openmpi, mpich or slurm."""

    path: str
    family: str
    version: str

    def command(self, ranks: int, threads: int | None, environment: Mapping[str, str]) -> list[str]:
        """The launcher's part of the command line for so many ranks."""
        if self.family == "slurm":
            own = [self.path, f"--ntasks={ranks}", "--cpu-bind=none", "--kill-on-bad-exit=1", "--unbuffered"]
            return own + ([f"--cpus-per-task={threads}"] if threads else [])
        if self.family == "mpich":
            return [self.path, "-bind-to", "none", "-n", str(ranks)]
        own = [self.path, "--quiet", "--bind-to", "none", "--oversubscribe", "-n", str(ranks)]
        if ranks > len(os.sched_getaffinity(0)):
            own += ["--mca", "mpi_yield_when_idle", "1"]
        for name in sorted(environment):
            if name.startswith("GIRIH_"):
                own += ["-x", name]
        return own

    def environment(self) -> dict[str, str]:
        """Variables without which the launcher refuses its work."""
        if self.family == "openmpi" and os.geteuid() == 0:
            return {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        return {}


def plugins() -> list[str]:
    """The MPI families for which this installation has a plug-in.

    >>> set(plugins()) <= {"mpich", "openmpi"}
    True
    """
    return sorted(path.stem for path in Path(girih.__file__).with_name("_mpi").glob("*.so"))


def find(wanted: str | None) -> Launcher:
    """The launcher of this name or path; without one, Slurm's inside an allocation, else the first that fits.

    Raises `Mistake` that says what to install if there is none.
    """
    if wanted is not None and wanted not in ("mpirun", "srun"):
        return _named(wanted)
    inside_slurm = "SLURM_JOB_ID" in os.environ and shutil.which("srun") is not None
    if wanted == "srun" or (wanted is None and inside_slurm):
        return _named("srun")
    found = installed()
    fitting = [launcher for launcher in found if launcher.family in plugins()]
    if fitting:
        return fitting[0]
    if found:
        raise Mistake(
            f"{found[0].path} belongs to {found[0].family}, for which there is no plug-in (there are: "
            f"{', '.join(plugins()) or 'none'}); install the MPI's headers and run make again: {_APT_LINE}"
        )
    raise Mistake(f"no mpirun and no srun found; install an MPI: {_APT_LINE}")


def installed() -> list[Launcher]:
    """Every mpirun and mpiexec of a known family: beside this Python, then along PATH; each program once."""
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    found: dict[str, Launcher] = {}
    for name in _NAMES:
        path = shutil.which(name, path=folders)
        if path is not None and os.path.realpath(path) not in found:
            launcher = identify(path)
            if launcher is not None:
                found[os.path.realpath(path)] = launcher
    return list(found.values())


def identify(path: str) -> Launcher | None:
    """What the program says of itself; None if it is no launcher that girih knows."""
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = answer.stdout + answer.stderr
    for family, signatures in _SIGNATURES:
        if any(signature in text.lower() for signature in signatures):
            return Launcher(path, family, _version(text))
    return None


def _named(name: str) -> Launcher:
    path = shutil.which(name)
    if path is None:
        raise Mistake(f"there is no launcher {name!r}; --launcher takes mpirun, srun or a path")
    launcher = identify(path)
    if launcher is None:
        raise Mistake(f"{path} does not look like a launcher of Open MPI, MPICH or Slurm")
    if launcher.family != "slurm" and launcher.family not in plugins():
        raise Mistake(f"{path} belongs to {launcher.family}, for which there is no plug-in: run make again")
    return launcher


def _version(text: str) -> str:
    """The first word that looks like a version number."""
    for word in text.split():
        if word[:1].isdigit() and "." in word:
            return word.rstrip(",;")
    return "unknown"
