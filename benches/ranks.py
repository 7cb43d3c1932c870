"""Time of one Lloyd iteration by ranks and threads: 1 × 2 against 2 × 1, girih alone. `make bench-ranks`.

Each round runs the same fit in both ways, in turns; the slope between a short and a long fit is the time of an
iteration. The bytes and messages of an iteration are those that `gr.report` counts, beside what the layout needs.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

SHAPES = {"tall": (1_000_000, 16, 32), "wide": (200_000, 128, 256)}
FEW, MANY = 3, 23


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
    times = [(fit(MANY) - fit(FEW)) / (MANY - FEW) for _ in range(3)]
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


def main():
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Milliseconds of one Lloyd iteration, medians")
    sent = ("collectives", "bytes", "formula")
    for name in ("n × d, k", "dtype", "1 rank × 2 threads", "2 ranks × 1 thread", "ratio", *sent):
        table.add_column(name, justify="right")
    for case in chosen.cases.split(","):
        for dtype in chosen.dtypes.split(","):
            rows, columns, clusters = SHAPES[case]
            pairs = [(run(case, dtype, 1, 2), run(case, dtype, 2, 1)) for _ in range(chosen.rounds)]
            one, two = (float(np.median([pair[side]["milliseconds"] for pair in pairs])) for side in (0, 1))
            sent = pairs[0][1]["sent"]
            limbs = 1 if dtype == "float32" else 2
            formula = 8 * (limbs * clusters * columns + clusters + 6)
            table.add_row(
                f"{rows} × {columns}, {clusters}", dtype, f"{one:.2f}", f"{two:.2f}", f"{two / one:.3f}",
                f"{sent['collectives']:g}", f"{sent['bytes']:g}", str(formula),
            )  # fmt: skip
    Console().print(table)


parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--cases", default="tall,wide", help="of tall, wide (default both)")
parser.add_argument("--dtypes", default="float32", help="of float32, float64 (default float32)")
parser.add_argument("--rounds", type=int, default=3, help="jobs of each kind (default 3)")
parser.add_argument("--worker", nargs=2, metavar=("CASE", "DTYPE"), help=argparse.SUPPRESS)
if __name__ == "__main__":
    chosen = parser.parse_args()
    if chosen.worker:
        worker(*chosen.worker)
    else:
        main()
