"""Time of one Lloyd iteration, girih against scikit-learn: same data, start and cores. `make bench-kmeans`.

Each round fits once with few and once with many iterations on either side, alternately, so that a disturbance of the
machine meets both; the slope between the two counts is the time of an iteration without setup. Printed are the
medians over the rounds and their ratio; the spread is that of the ratio, half the range between its quartiles.
"""

import argparse
import os

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--threads", type=int, default=2, help="of either side (default 2)")
parser.add_argument("--rounds", type=int, default=7, help="measurements of either side (default 7)")
parser.add_argument("--cases", default="demo", help="of demo, wide, tall, separated by commas, or all (default demo)")
chosen = parser.parse_args()

# Read when the libraries are loaded, so before their imports.
os.environ["GIRIH_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(chosen.threads)
for trap in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(trap, None)

import platform
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_sample_images
from sklearn.exceptions import ConvergenceWarning

import girih as gr

FEW, MANY = 2, 12
CASES = ("demo", "wide", "tall")


def data(case):
    """The points in float64 and the number of clusters."""
    if case == "demo":
        return load_sample_images().images[0].reshape(-1, 3) / 255.0, 64
    rows, columns, clusters = {"wide": (200_000, 128, 256), "tall": (1_000_000, 16, 32)}[case]
    # Without structure, so that neither side converges within the bench.
    return np.random.default_rng(0).standard_normal((rows, columns)), clusters


def seconds(fit):
    begin = time.perf_counter()
    iterations = fit()
    return time.perf_counter() - begin, iterations


def slope(fit):
    """Seconds of one iteration, from fits of two lengths; `fit` returns the iterations it ran."""
    short, few = seconds(lambda: fit(FEW))
    long, many = seconds(lambda: fit(MANY))
    assert (few, many) == (FEW, MANY), f"stopped after {few} and {many} iterations, not {FEW} and {MANY}"
    return (long - short) / (MANY - FEW)


def measure(case, dtype):
    """Seconds of an iteration, for each round: girih's and scikit-learn's."""
    points, clusters = data(case)
    points = points.astype(dtype)
    start, _ = kmeans_plusplus(points[:: max(1, len(points) // 20_000)], clusters, random_state=0)
    here = gr.asarray(points)

    def ours(iterations):
        model = gr.cluster.KMeans(clusters, init=start, n_init=1, max_iter=iterations, tol=0)
        return model.fit(here).n_iter_

    def theirs(iterations):
        model = KMeans(clusters, init=start, n_init=1, max_iter=iterations, tol=0, copy_x=False, algorithm="lloyd")
        return model.fit(points.copy()).n_iter_

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for fit in (ours, theirs):
            fit(FEW)  # the first run touches fresh memory and starts threads
        return points.shape, clusters, np.array([[slope(ours), slope(theirs)] for _ in range(chosen.rounds)])


def processor():
    """The processor's name, as the system gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main():
    console = Console()
    names = CASES if chosen.cases == "all" else chosen.cases.split(",")
    if not set(names) <= set(CASES):
        parser.error(f"--cases takes {', '.join(CASES)} or all")
    table = Table(title=f"Seconds of one Lloyd iteration, {chosen.threads} threads, medians of {chosen.rounds} rounds")
    for name in ("case", "n × d, k", "dtype", "girih, ms", "scikit-learn, ms", "ratio", "spread"):
        table.add_column(name, justify="left" if name == "case" else "right")
    for case in names:
        for dtype in ("float32", "float64"):
            shape, clusters, rounds = measure(case, dtype)
            ours, theirs = 1e3 * np.median(rounds, axis=0)
            ratios = rounds[:, 0] / rounds[:, 1]
            spread = np.subtract(*np.percentile(ratios, [75, 25])) / 2
            size = f"{shape[0]} × {shape[1]}, {clusters}"
            ratio, share = np.median(ratios), 100 * spread / np.median(ratios)
            table.add_row(case, size, dtype, f"{ours:.3f}", f"{theirs:.3f}", f"{ratio:.3f}", f"{share:.0f} %")
    console.print(table)
    versions = f"NumPy {np.__version__}, scikit-learn {sklearn.__version__}, {processor()}, {os.cpu_count()} processors"
    console.print(f"{versions}; 1 rank; below 1 girih is faster", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
