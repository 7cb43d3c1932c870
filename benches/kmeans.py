"""Time of Lloyd iterations, fits and seeding, girih against other libraries: same data, cores. `make bench-kmeans`.

Each round fits once with few and once with many iterations of each library, in turns, so that a disturbance of the
machine meets all; the slope between the two counts is the time of an iteration without setup. Printed are the
medians over the rounds, girih's share of the fastest other's time, and the rate of 2·n·k·d flops an iteration beside
that of a matrix product of NumPy's in the same run.

With --converge whole fits to convergence are timed instead, from the same start; with --seeding greedy k-means++, which
draws the same numbers in girih and scikit-learn.

Exact libraries only: scikit-learn's Lloyd, scikit-learn-intelex (oneDAL), faiss, superkmeans with its products alone.
Those that are not installed are left out, with a line that says so.
"""

import argparse
import os
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--threads", default="1,2", help="of every library, one run for each number (default 1,2)")
parser.add_argument("--rounds", type=int, default=3, help="measurements of each library (default 3)")
parser.add_argument("--cases", default="all", help="of demo, wide, tall, many (fits: wide, low), separated by commas")
parser.add_argument("--dtypes", default="float32,float64", help="of float32, float64 (default both)")
parser.add_argument("--rivals", default="", help="names of others, separated by commas (default all)")
parser.add_argument("--converge", action="store_true", help="whole fits to convergence on clustered data")
parser.add_argument("--seeding", action="store_true", help="greedy k-means++ on clustered data")
chosen = parser.parse_args()

if "," in chosen.threads:
    # The last of several options counts.
    for count in chosen.threads.split(","):
        subprocess.run([sys.executable, *sys.argv, "--threads", count], check=True)
    sys.exit()

# Read when the libraries are loaded, so before their imports.
for name in ("GIRIH_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = chosen.threads
for trap in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(trap, None)

import platform
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_sample_images

import girih as gr

FEW, MANY = 2, 10
CASES = {
    "demo": (273_280, 3, 64),
    "wide": (200_000, 128, 256),
    "tall": (1_000_000, 16, 32),
    "many": (100_000, 64, 1000),
}
CLUSTERED = {"wide": (200_000, 128, 256), "low": (1_000_000, 8, 256)}
# Wide enough for the table where there is no terminal.
console = Console() if sys.stdout.isatty() else Console(width=150)


def data(case):
    """The points in float64 and the number of clusters."""
    if case == "demo":
        return load_sample_images().images[0].reshape(-1, 3) / 255.0, 64
    rows, columns, clusters = CASES[case]
    # Without structure, so that no library converges within the bench.
    return np.random.default_rng(0).standard_normal((rows, columns)), clusters


def clustered(case):
    """Gaussian blobs with standard deviation 1 about centres of standard deviation 3."""
    rows, columns, clusters = CLUSTERED[case]
    rng = np.random.default_rng(0)
    middles = 3 * rng.standard_normal((clusters, columns))
    return middles[rng.integers(clusters, size=rows)] + rng.standard_normal((rows, columns)), clusters


def fit_girih(points, start):
    here = gr.asarray(points)
    return lambda n: gr.cluster.KMeans(len(start), init=start, n_init=1, max_iter=n, tol=0).fit(here).n_iter_


def fit_scikit_learn(points, start, estimator=KMeans):
    def fit(iterations):
        model = estimator(len(start), init=start, n_init=1, max_iter=iterations, tol=0, algorithm="lloyd")
        return model.fit(points).n_iter_

    return fit


def fit_intelex(points, start):
    from sklearnex.cluster import KMeans as Patched

    return fit_scikit_learn(points, start, Patched)


def fit_faiss(points, start):
    import faiss

    def fit(iterations):
        model = faiss.Kmeans(points.shape[1], len(start), niter=iterations, max_points_per_centroid=len(points) + 1)
        model.train(points, init_centroids=start)
        return iterations

    return fit


def fit_superkmeans(points, start):
    from superkmeans import SuperKMeans

    def fit(iterations):
        # It chooses its own start: the time of an iteration of products alone does not depend on it.
        model = SuperKMeans(
            len(start), points.shape[1], iters=iterations, hierarchical=False, use_blas_only=True, tol=0.0,
            sampling_fraction=1.0, max_points_per_cluster=len(points), early_termination=False,
            n_threads=int(chosen.threads),
        )  # fmt: skip
        model.train(points)
        return iterations

    return fit


# Name: package, how it is fitted, types it has.
LIBRARIES = {
    "girih": (None, fit_girih, ("float32", "float64")),
    "scikit-learn": ("scikit-learn", fit_scikit_learn, ("float32", "float64")),
    "intelex": ("scikit-learn-intelex", fit_intelex, ("float32", "float64")),
    "faiss": ("faiss-cpu", fit_faiss, ("float32",)),
    "superkmeans": ("superkmeans", fit_superkmeans, ("float32",)),
}


def installed(dtype):
    """Libraries that have this type, girih first."""
    wanted = set(filter(None, chosen.rivals.split(","))) or set(LIBRARIES)
    found = {}
    for name, (package, fit, dtypes) in LIBRARIES.items():
        if dtype in dtypes and (package is None or (name in wanted and present(package))):
            found[name] = fit
    return found


def present(package):
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def seconds(fit, iterations):
    begin = time.perf_counter()
    fit(iterations)
    return time.perf_counter() - begin


def product_rate(dtype):
    """Flops a second of a product of square matrices, the best of several."""
    a = np.random.default_rng(0).standard_normal((1536, 1536)).astype(dtype)
    return 2 * 1536**3 / min(seconds(lambda _: a @ a, 0) for _ in range(8))


def iteration_times(points, clusters, dtype):
    """Seconds of an iteration by library, for each round."""
    start, _ = kmeans_plusplus(points[:: max(1, len(points) // 10_000)], clusters, random_state=0)
    fits = {name: make(points, start) for name, make in installed(dtype).items()}
    times = {name: [] for name in fits}
    for fit in fits.values():
        fit(FEW)  # the first run touches fresh memory and starts threads
    for _ in range(chosen.rounds):
        for name, fit in fits.items():
            times[name].append((seconds(fit, MANY) - seconds(fit, FEW)) / (MANY - FEW))
    return {name: np.array(rounds) for name, rounds in times.items()}


def fit_times(points, clusters, dtype):
    """Seconds of a fit to convergence by library, for each round, and its iterations."""
    start = np.ascontiguousarray(points[np.random.default_rng(1).choice(len(points), clusters, replace=False)])
    others = [name for name in installed(dtype) if name in ("girih", "scikit-learn", "intelex")]
    fits = {name: LIBRARIES[name][1](points, start) for name in others}
    iterations = {name: fit(300) for name, fit in fits.items()}
    console.print(f"  iterations: {iterations}")
    return {name: np.array([seconds(fit, 300) for _ in range(chosen.rounds)]) for name, fit in fits.items()}


def seeding_times(points, clusters, dtype):
    """Seconds of k-means++ by library, for each round."""
    here = gr.asarray(points)
    times = {"girih": [], "scikit-learn": []}
    for _ in range(chosen.rounds):
        times["girih"].append(seconds(lambda _: gr.cluster.kmeans_plusplus(here, clusters, random_state=0), 0))
        times["scikit-learn"].append(seconds(lambda _: kmeans_plusplus(points, clusters, random_state=0), 0))
    return {name: np.array(rounds) for name, rounds in times.items()}


def processor():
    """The processor's name, as the system gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def measure(table, what, case, dtype):
    points, clusters = (data if what == "iterations" else clustered)(case)
    points = points.astype(dtype)
    times = MEASUREMENTS[what][1](points, clusters, dtype)
    medians = {name: 1e3 * np.median(rounds) for name, rounds in times.items()}
    fastest = min((name for name in medians if name != "girih"), key=medians.get)
    ratios = times["girih"] / times[fastest]
    spread = np.subtract(*np.percentile(ratios, [75, 25])) / 2 / np.median(ratios)
    n, d = points.shape
    rate = 2 * n * d * clusters / medians["girih"] * 1e-6
    share = "" if what != "iterations" else f"{rate:.0f} of {product_rate(dtype) * 1e-9:.0f}"
    others = (f"{medians[name]:.1f}" if name in medians else "" for name in LIBRARIES)
    table.add_row(
        case, f"{n} × {d}, {clusters}", dtype, *others, f"{np.median(ratios):.2f}", f"{100 * spread:.0f} %", share
    )


MEASUREMENTS = {
    "iterations": ("one Lloyd iteration", iteration_times),
    "fits": ("a fit to convergence", fit_times),
    "seeding": ("greedy k-means++", seeding_times),
}


def main():
    what = "fits" if chosen.converge else "seeding" if chosen.seeding else "iterations"
    cases = CASES if what == "iterations" else CLUSTERED
    names = list(cases) if chosen.cases == "all" else chosen.cases.split(",")
    if not set(names) <= set(cases):
        parser.error(f"--cases takes {', '.join(cases)} or all")
    threads = f"{chosen.threads} thread{'s' * (chosen.threads != '1')}"
    table = Table(title=f"Milliseconds of {MEASUREMENTS[what][0]}, {threads}, medians of {chosen.rounds} rounds")
    for name in ("case", "n × d, k", "dtype", *LIBRARIES, "to fastest", "spread", "GFLOP/s of product"):
        table.add_column(name, justify="left" if name == "case" else "right")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in names:
            for dtype in chosen.dtypes.split(","):
                measure(table, what, case, dtype)
    console.print(table)
    shown = [f"{package} {version(package)}" for package, _, _ in LIBRARIES.values() if package and present(package)]
    missing = [package for package, _, _ in LIBRARIES.values() if package and not present(package)]
    if missing:
        console.print(f"not installed, so left out: {', '.join(missing)}")
    machine = f"{processor()}, {os.cpu_count()} processors; 1 rank; below 1 girih is faster"
    console.print(f"NumPy {np.__version__}, {', '.join(shown)}, {machine}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
