"""Time of one Lloyd iteration by ranks and threads: 1 × 2 against 2 × 1, girih alone. `make bench-ranks`.

Each round runs the same fit in both ways, in turns; the slope between a short and a long fit is the time of an
iteration, of which the median of many counts. The ratio is the median over the rounds of the ratio within a round,
beside what is demanded; what disturbs one core stops both ranks but only slows two threads down, so look at the spread.
The bytes and messages of an iteration are those that `gr.report` counts, beside what the layout needs.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SHAPES = {
    "demo": (273_280, 3, 64),
    "tall": (1_000_000, 16, 32),
    "wide": (200_000, 128, 256),
    "many": (100_000, 64, 1000),
}
FEW, MANY, SLOPES = 3, 7, 25
GOAL = 1.05


def worker(case, dtype):
    """Runs on every rank; rank 0 prints what it found as a line of JSON."""
    import girih as gr

    rows, columns, clusters = SHAPES[case]
    x = np.random.default_rng(0).standard_normal((rows, columns)).astype(dtype)
    here, start = gr.asarray(x), x[:clusters].copy()

    def fit(iterations):
        begin = time.perf_counter()
        gr.cluster.KMeans(clusters, init=start, n_init=1, max_iter=iterations, tol=0).fit(here)
        return time.perf_counter() - begin

    fit(FEW)
    times = [(fit(MANY) - fit(FEW)) / (MANY - FEW) for _ in range(SLOPES)]
    traffic = []
    for iterations in (FEW, MANY):
        gr.report(reset=True)
        fit(iterations)
        traffic.append(gr.report().get("kmeans", {}))
    sent = {what: (traffic[1][what] - traffic[0][what]) / (MANY - FEW) for what in traffic[0]}
    if gr.rank() == 0:
        print(json.dumps({"milliseconds": 1e3 * float(np.median(times)), "sent": sent}))


def run(case, dtype, ranks, threads):
    """What rank 0 of a job prints."""
    launch = [sys.executable, "-m", "girih", "run", "-n", str(ranks), "--threads", str(threads), "--timeout", "120"]
    told = subprocess.run([*launch, __file__, "--worker", case, dtype], check=True, capture_output=True, text=True)
    return json.loads(told.stdout.splitlines()[-1])


def formula(case, dtype):
    """Bytes of an iteration: a word for each sum of float32, two of float64, counts, and six words more."""
    _, columns, clusters = SHAPES[case]
    limbs = 1 if dtype == "float32" else 2
    return 8 * (limbs * clusters * columns + clusters + 6)


def row(case, dtype):
    """A line of the table."""
    n, d, k = SHAPES[case]
    pairs = [(run(case, dtype, 1, 2), run(case, dtype, 2, 1)) for _ in range(chosen.rounds)]
    one, two = (np.array([pair[side]["milliseconds"] for pair in pairs]) for side in (0, 1))
    ratio = float(np.median(two / one))
    spread = np.subtract(*np.percentile(two / one, [75, 25])) / 2 / ratio
    sent = pairs[0][1]["sent"]
    return (
        case, f"{n} × {d}, {k}", dtype, f"{np.median(one):.2f}", f"{np.median(two):.2f}", str(len(pairs)),
        f"{ratio:.3f}", f"{100 * spread:.1f} %", f"{GOAL:g}", "holds" if ratio <= GOAL else "MISSES",
        f"{sent['collectives']:g}", f"{sent['bytes']:g}", str(formula(case, dtype)),
    )  # fmt: skip


def main():
    from rich.console import Console
    from rich.table import Table

    # Wide enough for the table where there is no terminal.
    console = Console() if sys.stdout.isatty() else Console(width=190)
    table = Table(title="Milliseconds of one Lloyd iteration, medians")
    names = ("case", "n × d, k", "dtype", "1 rank × 2 threads", "2 ranks × 1 thread", "rounds", "ratio", "spread")
    for name in (*names, "goal", "verdict", "collectives", "bytes", "formula"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for case in chosen.cases.split(","):
        for dtype in chosen.dtypes.split(","):
            table.add_row(*row(case, dtype))
    console.print(table)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    processor = next(named, platform.machine())
    load = f"load {os.getloadavg()[1]:.1f} over the last 5 minutes" if hasattr(os, "getloadavg") else ""
    console.print(f"{processor}, {os.cpu_count()} processors; {load}", highlight=False, soft_wrap=True)


parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--cases", default=",".join(SHAPES), help=f"of {', '.join(SHAPES)} (default all)")
parser.add_argument("--dtypes", default="float32,float64", help="of float32, float64 (default both)")
parser.add_argument("--rounds", type=int, default=5, help="jobs of each kind (default 5)")
parser.add_argument("--worker", nargs=2, metavar=("CASE", "DTYPE"), help=argparse.SUPPRESS)
if __name__ == "__main__":
    chosen = parser.parse_args()
    if chosen.worker:
        worker(*chosen.worker)
    else:
        main()
