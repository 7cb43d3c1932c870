"""Time of Lloyd iterations, fits and seeding, girih against other libraries: same data, cores. `make bench-kmeans`.

Four sections. `iterations`: each round fits once with few and once with many iterations of each library, in turns, so
that a disturbance of the machine meets all; the slope between the two counts is the time of an iteration without
setup, and stands beside the rate of a matrix product of NumPy's in the same round. `fits`: whole fits to convergence
from the same start, on clustered data. `plain`: girih's fits with pruning against its own without, also on data where
pruning cannot help. `seeding`: greedy k-means++, which draws the same numbers in girih and scikit-learn.

Each row ends with how many times girih is faster than the fastest other, the median over the rounds of the ratio
within a round, beside what is demanded. A library more than twice as slow as the fastest is measured once, and no
case begins a new round after `--seconds`.

Exact libraries only: scikit-learn's Lloyd (and Elkan for fits), scikit-learn-intelex (oneDAL), faiss, superkmeans with
its products alone. Those that are not installed are left out, with a line that says so.
"""

import argparse
import os
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--threads", default="1,2", help="of every library, one run for each number (default 1,2)")
parser.add_argument("--sections", default="iterations,fits,plain,seeding", help="of these (default all)")
parser.add_argument("--rounds", type=int, default=5, help="most measurements of each library (default 5)")
parser.add_argument("--seconds", type=float, default=30, help="after which a case begins no round (default 30)")
parser.add_argument("--cases", default="all", help="such as demo,wide,tall,many (fits: wide, low; plain: also even)")
parser.add_argument("--dtypes", default="float32,float64", help="of float32, float64 (default both)")
parser.add_argument("--rivals", default="", help="names of others, separated by commas (default all)")
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
# Seconds after which the threads of the library before no longer wait for work in a loop, and take cores from nobody.
PAUSE = 0.5
CASES = {
    "demo": (273_280, 3, 64),
    "wide": (200_000, 128, 256),
    "tall": (1_000_000, 16, 32),
    "many": (100_000, 64, 1000),
}
CLUSTERED = {"wide": (200_000, 128, 256), "low": (1_000_000, 8, 256)}
# Without clusters: shape and iterations.
EVEN = {"even": (200_000, 128, 256), "even-low": (1_000_000, 8, 256), "even-many": (100_000, 64, 1000)}
EVEN_ITERATIONS = 40
# How many times faster than the fastest other; float64 has one goal for all cases.
GOALS = {"demo": 3.0, "tall": 2.5, "wide": 1.45, "many": 1.7, "float64": 1.8}
GOALS |= {"fits": 3.0, "plain": 0.95, "seeding": 5.0}
PRODUCT_GOAL, PRODUCT_COLUMNS = 0.9, 64
# Wide enough for the table where there is no terminal.
console = Console() if sys.stdout.isatty() else Console(width=190)


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


class Plain(gr.cluster.KMeans):
    """girih's KMeans that compares all rows with all centres in every iteration."""

    def _lloyd(self, observations, start, callback, kept):
        return observations.lloyd(start, self.max_iter, float(self.tol), callback, prunes=False)


def fit_plain(points, start):
    here = gr.asarray(points)
    return lambda n: Plain(len(start), init=start, n_init=1, max_iter=n, tol=0).fit(here).n_iter_


def fit_scikit_learn(points, start, estimator=KMeans, algorithm="lloyd"):
    def fit(iterations):
        model = estimator(len(start), init=start, n_init=1, max_iter=iterations, tol=0, algorithm=algorithm)
        return model.fit(points).n_iter_

    return fit


def fit_elkan(points, start):
    return fit_scikit_learn(points, start, algorithm="elkan")


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


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def product_rate(dtype):
    """Flops a second of a product of square matrices, the best of several."""
    a = np.random.default_rng(0).standard_normal((1536, 1536)).astype(dtype)
    return 2 * 1536**3 / min(seconds(lambda: a @ a) for _ in range(5))


def rested(measure):
    time.sleep(PAUSE)
    return measure()


def in_turns(measures):
    """What each of these calls returns, by name and round; those far behind the fastest other are called once."""
    begin = time.perf_counter()
    times = {name: [rested(measure)] for name, measure in measures.items()}
    others = {name: rounds[0] for name, rounds in times.items() if name not in ("girih", "product")}
    near = [name for name in times if others.get(name, 0) <= 2 * min(others.values())]
    for _ in range(chosen.rounds - 1):
        if time.perf_counter() - begin > chosen.seconds:
            break
        for name in near:
            times[name].append(rested(measures[name]))
    return {name: np.array(rounds) for name, rounds in times.items()}


def iteration_times(case, dtype):
    """Seconds of an iteration by library, for each round, and the rate of a matrix product."""
    points, clusters = data(case)
    points = points.astype(dtype)
    start, _ = kmeans_plusplus(points[:: max(1, len(points) // 10_000)], clusters, random_state=0)
    fits = {name: make(points, start) for name, make in installed(dtype).items()}
    for fit in fits.values():
        fit(FEW)  # the first run touches fresh memory and starts threads

    def slope(fit):
        fit(FEW)
        return (seconds(lambda: fit(MANY)) - seconds(lambda: fit(FEW))) / (MANY - FEW)

    measures = {name: (lambda fit=fit: slope(fit)) for name, fit in fits.items()}
    return in_turns(measures | {"product": lambda: product_rate(dtype)}), (*points.shape, clusters)


def fit_times(case, dtype):
    """Seconds of a fit to convergence by library, for each round."""
    points, clusters = clustered(case)
    points = points.astype(dtype)
    start = np.ascontiguousarray(points[np.random.default_rng(1).choice(len(points), clusters, replace=False)])
    # The others have no test for convergence.
    fits = {name: make for name, make in installed(dtype).items() if name in ("girih", "scikit-learn", "intelex")}
    fits = {name: make(points, start) for name, make in (fits | {"elkan": fit_elkan}).items()}
    fits["girih"](FEW)
    shape = (*points.shape, clusters)
    return in_turns({name: (lambda fit=fit: seconds(lambda: fit(300))) for name, fit in fits.items()}), shape


def plain_times(case, dtype):
    """Seconds of a fit with pruning and of one without, for each round."""
    if case in EVEN:
        rows, columns, clusters = EVEN[case]
        points = np.random.default_rng(0).random((rows, columns))
    else:
        points, clusters = clustered(case)
    points = points.astype(dtype)
    start = np.ascontiguousarray(points[np.random.default_rng(1).choice(len(points), clusters, replace=False)])
    fits = {"girih": fit_girih(points, start), "plain": fit_plain(points, start)}
    iterations = EVEN_ITERATIONS if case in EVEN else 300
    fits["girih"](FEW)
    shape = (*points.shape, clusters)
    return in_turns({name: (lambda fit=fit: seconds(lambda: fit(iterations))) for name, fit in fits.items()}), shape


def seeding_times(case, dtype):
    """Seconds of k-means++ by library, for each round."""
    points, clusters = clustered(case)
    points = points.astype(dtype)
    here = gr.asarray(points)
    gr.cluster.kmeans_plusplus(here, 3, random_state=0)
    seeds = {"girih": (gr.cluster.kmeans_plusplus, here), "scikit-learn": (kmeans_plusplus, points)}
    run = {
        name: (lambda call=call, x=x: seconds(lambda: call(x, clusters, random_state=0)))
        for name, (call, x) in seeds.items()
    }
    return in_turns(run), (*points.shape, clusters)


def processor():
    """The processor's name, as the system gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def against(ratios, goal):
    """Median and spread of ratios beside what is demanded."""
    ratio = float(np.median(ratios))
    spread = np.subtract(*np.percentile(ratios, [75, 25])) / 2 / ratio
    return f"{ratio:.2f}", f"{100 * spread:.0f} %", f"{goal:g}", "holds" if ratio >= goal else "MISSES"


def measure(table, section, case, dtype):
    times, (n, d, k) = SECTIONS[section][2](case, dtype)
    rates = times.pop("product", None)
    medians = {name: 1e3 * np.median(rounds) for name, rounds in times.items()}
    fastest = min((name for name in medians if name != "girih"), key=medians.get)
    goal = GOALS[section] if section in GOALS else GOALS[dtype if dtype in GOALS else case]
    rounds = len(times["girih"])
    ratios = times[fastest] / times["girih"]
    cells = [f"{medians[name]:.1f}" if name in medians else "" for name in SECTIONS[section][1]]
    shares = ()
    if rates is not None:
        shares = ("", "", "")
        if d >= PRODUCT_COLUMNS:
            share, _, goal_of_product, verdict = against(2 * n * d * k / times["girih"] / rates, PRODUCT_GOAL)
            shares = (f"{share} of {np.median(rates) * 1e-9:.0f}", goal_of_product, verdict)
    table.add_row(case, f"{n} × {d}, {k}", dtype, *cells, str(rounds), *against(ratios, goal), *shares)


# Title, columns of times, measurement, cases.
SECTIONS = {
    "iterations": ("one Lloyd iteration", tuple(LIBRARIES), iteration_times, tuple(CASES)),
    "fits": ("a fit to convergence", ("girih", "scikit-learn", "elkan", "intelex"), fit_times, tuple(CLUSTERED)),
    "plain": ("a fit with and without pruning", ("girih", "plain"), plain_times, (*CLUSTERED, *EVEN)),
    "seeding": ("greedy k-means++", ("girih", "scikit-learn"), seeding_times, ("wide",)),
}


def show(section):
    title, libraries, _, cases = SECTIONS[section]
    names = cases if chosen.cases == "all" else [case for case in chosen.cases.split(",") if case in cases]
    if not names:
        return
    threads = f"{chosen.threads} thread{'s' * (chosen.threads != '1')}"
    table = Table(title=f"Milliseconds of {title}, {threads}, medians")
    columns = ("case", "n × d, k", "dtype", *libraries, "rounds", "times faster", "spread", "goal", "verdict")
    for name in columns + (("of product", "goal", "verdict") if section == "iterations" else ()):
        table.add_column(name, justify="left" if name == "case" else "right")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in names:
            for dtype in chosen.dtypes.split(","):
                measure(table, section, case, dtype)
    console.print(table)


def main():
    sections = chosen.sections.split(",")
    if not set(sections) <= set(SECTIONS):
        parser.error(f"--sections takes {', '.join(SECTIONS)}")
    known = {case for _, _, _, cases in SECTIONS.values() for case in cases}
    if chosen.cases != "all" and not set(chosen.cases.split(",")) <= known:
        parser.error(f"--cases takes {', '.join(sorted(known))} or all")
    for section in sections:
        show(section)
    shown = [f"{package} {version(package)}" for package, _, _ in LIBRARIES.values() if package and present(package)]
    missing = [package for package, _, _ in LIBRARIES.values() if package and not present(package)]
    if missing:
        console.print(f"not installed, so left out: {', '.join(missing)}")
    load = f"load {os.getloadavg()[1]:.1f} over the last 5 minutes" if hasattr(os, "getloadavg") else ""
    machine = f"{processor()}, {os.cpu_count()} processors; 1 rank; {load}"
    console.print(f"NumPy {np.__version__}, {', '.join(shown)}, {machine}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
