"""Task Bench: METG(50%) and the floor of a task, girih beside MPI, OpenMP, TBB and rayon. `make bench-metg`.

METG(50%) is the smallest grain, in microseconds of a core for each task, at which half of the peak is reached. The
peak is one for all: the best rate that any of them reached in this run. All are built here, call the same compiled
kernel, check every input of every task, and take turns; of all their runs at one grain size the shortest counts.
"""

import argparse
import os
import platform
import shutil
import subprocess
from pathlib import Path

from peers.goals import Goals
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benches" / "peers"
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BUILT = TARGET / "peers"
PLUGINS = ROOT / "bindings" / "python" / "girih" / "_mpi"
ITERATIONS = [4096, 1024, 512, 362, 256, 181, 128, 91, 64, 32, 0]
CASES = "stencil_1d:2,stencil_1d:16,nearest:16,spread:16"

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--cases", default=CASES, help=f"PATTERN:WIDTH, separated by commas (default {CASES})")
parser.add_argument("--radix", type=int, default=5, help="of nearest and spread (default 5)")
parser.add_argument("--steps", type=int, default=1000, help="timesteps (default 1000)")
parser.add_argument("--turns", type=int, default=10, help="runs of every program (default 10)")
parser.add_argument("--rounds", type=int, default=5, help="rounds within a run (default 5)")
parser.add_argument("--systems", default="", help="only those whose names contain one of these words")
parser.add_argument("--no-build", action="store_true", help="take what was built before")
chosen = parser.parse_args()

PACKAGES = {"mpicc": "libopenmpi-dev openmpi-bin", "gcc": "gcc", "g++": "g++ libtbb-dev"}
COMPILED = {
    "kernel.o": ["gcc", "-O3", "-c", "kernel.c"],
    "taskbench_mpi": ["mpicc", "-O3", "taskbench_mpi.c", "kernel.o"],
    "taskbench_mpi_omp": ["mpicc", "-O3", "-fopenmp", "taskbench_mpi_omp.c", "kernel.o"],
    "taskbench_omp": ["gcc", "-O3", "-fopenmp", "taskbench_omp.c", "kernel.o"],
    "taskbench_tbb": ["g++", "-O3", "-std=c++17", "taskbench_tbb.cpp", "kernel.o", "-ltbb"],
}


def build(console):
    """Builds the Rust drivers, and those peers whose compilers and libraries are there."""
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "girih-benches"], cwd=ROOT, check=True)
    BUILT.mkdir(parents=True, exist_ok=True)
    for name, (compiler, *words) in COMPILED.items():
        words = [str(BUILT / word) if word == "kernel.o" else word for word in words]
        command = [compiler, *words, "-o", str(BUILT / name)]
        if not shutil.which(compiler) or subprocess.run(command, cwd=PEERS, capture_output=True).returncode:
            (BUILT / name).unlink(missing_ok=True)
            console.print(f"without {name}: sudo apt install {PACKAGES[compiler]}")


def systems():
    """What is measured, by name: the command, whether it takes girih's options, and whether it needs two ranks."""
    release = TARGET / "release"
    launcher = ["mpirun", "-n", "2", "--bind-to", "core"] if os.cpu_count() >= 2 else ["mpirun", "-n", "2"]
    everything = {
        "girih, 2 workers": [release / "taskbench", "--threads=2"],
        "MPI non-blocking, 2 ranks": [*launcher, BUILT / "taskbench_mpi"],
        "MPI + OpenMP, 1 x 2": ["mpirun", "-n", "1", "--bind-to", "none", BUILT / "taskbench_mpi_omp"],
        "OpenMP depend, 2 threads": [BUILT / "taskbench_omp"],
        "TBB flow graph, 2 threads": [BUILT / "taskbench_tbb"],
        "rayon, 2 threads": [release / "taskbench_rayon", "--threads=2"],
        "girih, 2 ranks x 1": [*launcher, release / "taskbench", "--threads=1", f"--plugins={PLUGINS}"],
    }
    there = {name: command for name, command in everything.items() if Path(command_program(command)).exists()}
    if not any(PLUGINS.glob("openmpi.so")):
        there.pop("girih, 2 ranks x 1")
    wanted = [word for word in chosen.systems.split(",") if word]
    return {name: command for name, command in there.items() if not wanted or any(word in name for word in wanted)}


def command_program(command):
    return next(word for word in command if isinstance(word, Path))


def measured(command, pattern, width):
    """Seconds by kernel iterations, of one run."""
    sizes = [str(size) for size in ITERATIONS]
    if command_program(command).parent == BUILT:
        options = [pattern, chosen.radix, width, chosen.steps, chosen.rounds, *sizes]
    else:
        options = ["--raw", "--pattern", pattern, "--radix", chosen.radix, "--width", width, "--steps", chosen.steps]
        options += ["--rounds", chosen.rounds, "--iterations", ",".join(sizes)]
    environment = dict(os.environ, OMP_NUM_THREADS="2", OMP_PROC_BIND="true", OMP_WAIT_POLICY="active")
    environment |= dict(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    words = [str(word) for word in [*command, *options]]
    lines = subprocess.run(words, env=environment, check=True, capture_output=True, text=True).stdout.splitlines()
    return {int(size): float(seconds) for size, seconds in (line.split() for line in lines)}


def metg(seconds, peak, tasks):
    """Microseconds of a core for each task at half of `peak` iterations a second; None if never above or below it."""
    above = None
    for size in sorted(seconds, reverse=True):
        grain, efficiency = seconds[size] * 2 / tasks * 1e6, size * tasks / seconds[size] / peak
        if efficiency < 0.5:
            if above is None:
                return None
            return grain + (above[0] - grain) * (0.5 - efficiency) / (above[1] - efficiency)
        above = grain, efficiency
    return None


def demand(goals, case, grains, floors):
    """One rank's own bounds, and those beside MPI, for grains and floors by system."""
    one, two = "girih, 2 workers", "girih, 2 ranks x 1"
    mpi = grains.get("MPI non-blocking, 2 ranks")
    goals.at_most(f"{case}, 2 workers: METG(50%), us", grains.get(one), 0.5)
    goals.at_most(f"{case}, 2 workers: METG(50%), us", grains.get(one), mpi, "MPI's")
    goals.at_most(f"{case}, 2 workers: floor, us", floors.get(one), 0.2)
    goals.at_most(f"{case}, 2 ranks x 1: METG(50%), us", grains.get(two), mpi and 4 * mpi, "4 times MPI's")
    hybrid = grains.get("MPI + OpenMP, 1 x 2")
    goals.at_most(f"{case}, 2 ranks x 1: METG(50%), us", grains.get(two), hybrid, "MPI + OpenMP's")


def bench(console, goals, pattern, width):
    shortest = {name: {} for name in systems()}
    for _ in range(chosen.turns):
        for name, command in systems().items():
            for size, seconds in measured(command, pattern, width).items():
                shortest[name][size] = min(seconds, shortest[name].get(size, seconds))
    tasks = width * chosen.steps
    peak = max(size * tasks / seconds for times in shortest.values() for size, seconds in times.items())
    radix = f", radix {chosen.radix}" if pattern in ("nearest", "spread") else ""
    table = Table(title=f"{pattern}{radix}, {width} points, {chosen.steps} steps", title_justify="left")
    for heading in ("", "METG(50%), us", "floor, us", "peak reached"):
        table.add_column(heading, justify="right" if heading else "left")
    grains, floors = {}, {}
    for name, times in shortest.items():
        grain = grains[name] = metg(times, peak, tasks)
        floors[name] = times[0] / tasks * 1e6
        reached = max(size * tasks / seconds for size, seconds in times.items()) / peak
        table.add_row(
            name, f"{grain:.2f}" if grain else "-", f"{floors[name]:.3f}", f"{100 * reached:.0f} %"
        )
    console.print(table)
    if pattern in ("stencil_1d", "nearest", "spread"):
        demand(goals, f"{pattern}:{width}", grains, floors)


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main():
    console = Console()
    if not chosen.no_build:
        build(console)
    goals = Goals()
    for case in chosen.cases.split(","):
        pattern, _, width = case.partition(":")
        bench(console, goals, pattern, int(width or 2))
    goals.show(console)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print("floor: wall time of all empty tasks by their number")
    console.print(f"{processor()}, {os.cpu_count()} cores, load {load}")


main()
