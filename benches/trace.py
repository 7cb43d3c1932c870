"""What recording a trace costs: Task Bench with and without one, in turns. `make bench-trace`.

Time of a task is wall time times cores by the number of tasks; the shortest of all runs at one grain counts, on either
side. The trace is written when the program ends, which is not part of the times.
"""

import argparse
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
DRIVER = TARGET / "release" / "taskbench"
ITERATIONS = [16384, 4096, 1024, 256, 64, 0]

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--pattern", default="stencil_1d", help="of Task Bench (default stencil_1d)")
parser.add_argument("--width", type=int, default=4, help="points (default 4)")
parser.add_argument("--steps", type=int, default=1000, help="timesteps (default 1000)")
parser.add_argument("--turns", type=int, default=7, help="runs of either side (default 7)")
parser.add_argument("--threads", type=int, default=2, help="workers (default 2)")
parser.add_argument("--no-build", action="store_true", help="take what was built before")
chosen = parser.parse_args()


def measured(options):
    """Seconds by kernel iterations, of one run."""
    words = ["--raw", "--pattern", chosen.pattern, "--width", chosen.width, "--steps", chosen.steps]
    words += ["--threads", chosen.threads, "--rounds", 5, "--iterations", ",".join(map(str, ITERATIONS))]
    line = [str(word) for word in [DRIVER, *words, *options]]
    output = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return {int(size): float(seconds) for size, seconds in (row.split() for row in output.splitlines())}


def main():
    console = Console()
    if not chosen.no_build:
        subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "girih-benches"], cwd=ROOT, check=True)
    shortest = {"off": {}, "on": {}}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(chosen.turns):
            for name, options in {"off": [], "on": ["--trace", f"{folder}/trace.json"]}.items():
                for size, seconds in measured(options).items():
                    shortest[name][size] = min(seconds, shortest[name].get(size, seconds))
    tasks = chosen.width * chosen.steps
    title = f"{chosen.pattern}, {chosen.width} points, {chosen.steps} steps, {chosen.threads} workers"
    table = Table(title=title, title_justify="left")
    for heading in ("task, us, no trace", "with a trace", "more, us", "more"):
        table.add_column(heading, justify="right")
    for size in ITERATIONS:
        off, on = (shortest[name][size] * chosen.threads / tasks * 1e6 for name in ("off", "on"))
        table.add_row(f"{off:.3f}", f"{on:.3f}", f"{on - off:.3f}", f"{100 * (on / off - 1):.1f} %")
    console.print(table)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores, load {load}")


main()
