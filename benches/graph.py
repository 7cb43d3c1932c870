"""The cost of a task graph: seconds to record it, bytes a task, allocations of a launch. `make bench-graph`.

The graph is a stencil of which each task reads three blocks and writes one. Bytes are those of the allocator that the
finished graph still holds, blocks and bodies of tasks included; allocations are counted over all threads.
"""

import argparse
import os
import platform
import subprocess
from pathlib import Path

from peers.goals import Goals
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SIZES = "100x1000,1000x1000"

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--sizes", default=SIZES, help=f"WIDTHxSTEPS, separated by commas (default {SIZES})")
parser.add_argument("--rounds", type=int, default=5, help="graphs recorded, the quickest counts (default 5)")
parser.add_argument("--threads", type=int, default=2, help="workers (default 2)")
chosen = parser.parse_args()


def measured(width, steps):
    """Seconds to record, bytes a task, allocations of the first and of later launches, seconds of a launch."""
    options = [f"--width={width}", f"--steps={steps}", f"--rounds={chosen.rounds}", f"--threads={chosen.threads}"]
    words = [str(TARGET / "release" / "graph_cost"), *options]
    return [float(word) for word in subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()]


def main():
    console = Console()
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "girih-benches"], cwd=ROOT, check=True)
    table = Table()
    for heading in ("tasks", "record, s", "bytes a task", "allocations, 1st launch", "later", "launch, us a task"):
        table.add_column(heading, justify="right")
    goals = Goals()
    for size in chosen.sizes.split(","):
        width, steps = (int(word) for word in size.split("x"))
        record, size_of_task, first, later, launch = measured(width, steps)
        tasks = width * steps
        table.add_row(
            f"{tasks}", f"{record:.3f}", f"{size_of_task:.0f}", f"{first:.0f}", f"{later:.0f}",
            f"{launch / tasks * 1e6:.3f}",
        )
        if tasks >= 1_000_000:
            goals.at_most(f"{tasks} tasks: seconds to record", record, 1)
            goals.at_most(f"{tasks} tasks: bytes a task", size_of_task, 300)
            goals.at_most(f"{tasks} tasks: allocations of a later launch", later, 0)
    console.print(table)
    goals.show(console)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    console.print(f"{platform.machine()}, {chosen.threads} workers, {os.cpu_count()} cores, load {load}")


main()
