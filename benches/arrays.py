"""Time of array workloads, girih against NumPy and, if it is installed, JAX. `make bench-arrays`.

Each round runs every library once on each workload, in turns, and the medians over the rounds are printed with the
ratio to each, formed within each round. Results are compared before the clock starts. Where a workload moves a known
number of bytes, its rate is given as a share of STREAM's triad, measured in the same run on the same threads.
"""

import argparse
import os

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--threads", type=int, default=2, help="of every library (default 2)")
parser.add_argument("--rounds", type=int, default=7, help="measurements of each workload (default 7)")
parser.add_argument("--cases", default="", help="only workloads whose names contain one of these, separated by commas")
parser.add_argument("--elements", type=int, default=8_000_000, help="of a large vector (default 8 000 000)")
chosen = parser.parse_args()

# Read when the libraries are loaded, so before their imports.
for name in ("GIRIH_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(chosen.threads)
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={chosen.threads}"
for trap in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(trap, None)

import ctypes
import platform
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import girih as gr

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = jnp = None

HERE = Path(__file__).parent
N = chosen.elements
SIDE = max(4, int(N**0.5) // 2 * 2)


def black_scholes(m, d):
    """Prices of calls, with the logistic approximation of the normal distribution."""
    s, k, t = d["price"], d["strike"], d["years"]
    root = 0.3 * m.sqrt(t)
    d1 = (m.log(s / k) + (0.02 + 0.045) * t) / root
    phi = [1 / (1 + m.exp(-1.5976 * z - 0.07056 * z * z * z)) for z in (d1, d1 - root)]
    return s * phi[0] - k * m.exp(-0.02 * t) * phi[1]


def softmax(m, d):
    shifted = m.exp(d["tall"] - m.max(d["tall"], axis=1, keepdims=True))
    return shifted / m.sum(shifted, axis=1, keepdims=True)


def logistic_step(m, d):
    """One step of gradient descent."""
    predicted = 1 / (1 + m.exp(-(d["tall"] @ d["weights"])))
    return d["weights"] - 0.1 * (d["tall"].T @ (predicted - d["labels"])) / len(d["labels"])


def jacobi(m, d):
    g = d["grid"]
    return 0.25 * (g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:])


# Name: what it computes, and the vectors of N float64 that it must move at least, if that is what bounds it.
WORKLOADS = {
    "add": (lambda m, d: d["x"] + d["y"], 3),
    "scale": (lambda m, d: 2.5 * d["x"], 2),
    "axpy": (lambda m, d: 2.5 * d["x"] + d["y"], 3),
    "divide": (lambda m, d: d["x"] / d["price"], 3),
    "square root": (lambda m, d: m.sqrt(d["price"]), 2),
    "compare": (lambda m, d: d["x"] < d["y"], 2),
    "where": (lambda m, d: m.where(d["x"] > 0, d["x"], d["y"]), 3),
    "clip": (lambda m, d: m.clip(d["x"], -0.5, 0.5), 2),
    "absolute": (lambda m, d: m.absolute(d["x"]), 2),
    "float32 add": (lambda m, d: d["x32"] + d["x32"] * 2, 1),
    "int64 add": (lambda m, d: d["n"] + 7, 2),
    "int64 floor divide": (lambda m, d: d["n"] // 7, None),
    "complex multiply": (lambda m, d: d["z"] * d["z"], None),
    "cast to float32": (lambda m, d: d["x"].astype("float32"), None),
    "exp": (lambda m, d: m.exp(d["x"]), None),
    "log": (lambda m, d: m.log(d["price"]), None),
    "sin": (lambda m, d: m.sin(d["x"]), None),
    "tanh": (lambda m, d: m.tanh(d["x"]), None),
    "power": (lambda m, d: d["price"] ** 1.5, None),
    "sin² + cos²": (lambda m, d: m.sin(d["x"]) ** 2 + m.cos(d["x"]) ** 2, None),
    "sum": (lambda m, d: m.sum(d["x"]), 1),
    "sum of columns": (lambda m, d: m.sum(d["tall"], axis=0), 1),
    "sum of rows": (lambda m, d: m.sum(d["tall"], axis=1), 1),
    "mean": (lambda m, d: m.mean(d["tall"], axis=0), 1),
    "std": (lambda m, d: m.std(d["tall"], axis=0), 2),
    "max": (lambda m, d: m.max(d["x"]), 1),
    "argmax": (lambda m, d: m.argmax(d["x"]), None),
    "any": (lambda m, d: m.any(d["x"] > 9), 1),
    "sum of squares": (lambda m, d: m.sum(d["x"] * d["x"]), 1),
    "dot": (lambda m, d: d["x"] @ d["y"], 2),
    "cumsum": (lambda m, d: m.cumsum(d["x"]), 3),
    "diff": (lambda m, d: m.diff(d["x"]), 2),
    "a row for all": (lambda m, d: d["tall"] - d["weights"], 2),
    "transpose": (lambda m, d: d["grid"].T + 0.0, 2),
    "Black-Scholes": (black_scholes, None),
    "z-score": (lambda m, d: (d["tall"] - m.mean(d["tall"], axis=0)) / m.std(d["tall"], axis=0), 4),
    "Jacobi": (jacobi, 2),
    "softmax": (softmax, None),
    "logistic step": (logistic_step, None),
    "matmul": (lambda m, d: d["left"] @ d["right"], None),
    "gram": (lambda m, d: d["tall"].T @ d["tall"], None),
    "sort": (lambda m, d: m.sort(d["x"]), None),
    "fft": (lambda m, d: m.fft.fft(d["tall"], axis=1), None),
}


def data():
    """The operands, as NumPy has them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(N)
    return {
        "x": x, "y": rng.standard_normal(N), "x32": x.astype(np.float32), "z": x[: N // 2] + 1j * x[N // 2 :][: N // 2],
        "n": rng.integers(-1000, 1000, N), "price": rng.uniform(10, 50, N), "strike": rng.uniform(10, 50, N),
        "years": rng.uniform(1, 2, N), "tall": rng.standard_normal((N // 64, 64)), "weights": rng.standard_normal(64),
        "labels": (rng.random(N // 64) < 0.5).astype(float), "grid": x[: SIDE * SIDE].reshape(SIDE, SIDE),
        "left": rng.standard_normal((1000, 1000)), "right": rng.standard_normal((1000, 1000)),
    }  # fmt: skip


def triad_rate():
    """Bytes a second of STREAM's triad on the chosen threads; None without a C compiler."""
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "triad.so"
        line = ["cc", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC", "-o", built, HERE / "peers" / "triad.c"]
        try:
            subprocess.run([str(part) for part in line], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        triad = ctypes.CDLL(str(built)).triad
    triad.restype = ctypes.c_double
    arrays = [np.ones(N) for _ in range(3)]
    pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in arrays]
    return 24 * N / triad(*pointers, ctypes.c_ssize_t(N), 10)


def runners(compute, operands):
    """By library, what runs the workload to its end."""
    ours, theirs, others = operands

    def with_girih():
        result = compute(gr, ours)
        gr.wait(result)
        return result

    found = {"girih": with_girih, "NumPy": lambda: compute(np, theirs)}
    if jax is not None:
        compiled = jax.jit(lambda d: compute(jnp, d))
        found["JAX"] = lambda: compiled(others).block_until_ready()
    return found


def seconds(run):
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def measure(compute, operands):
    """Seconds for each round and library, in turns; the results agree, or there is no figure."""
    found = runners(compute, operands)
    results = [np.asarray(run()) for run in found.values()]
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=1e-4, atol=1e-6)
    return list(found), np.array([[seconds(run) for run in found.values()] for _ in range(chosen.rounds)])


def small_calls():
    """Microseconds of calls on ten elements: girih's and NumPy's."""
    ours, theirs = gr.arange(10.0), np.arange(10.0)
    calls = {"a[0]": lambda a: a[0], "a + 1": lambda a: a + 1, "a + a": lambda a: a + a, "a.sum()": lambda a: a.sum()}
    for name, call in calls.items():
        rounds = []
        for _ in range(chosen.rounds):
            pair = []
            for array in (ours, theirs):
                begin = time.perf_counter()
                for _ in range(2000):
                    call(array)
                pair.append((time.perf_counter() - begin) / 2000)
            rounds.append(pair)
        yield name, np.array(rounds)


def processor():
    """The processor's name, as the system gives it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def row(table, name, libraries, rounds, scale, share):
    medians = scale * np.median(rounds, axis=0)
    ratios = rounds[:, :1] / rounds[:, 1:]
    spread = np.subtract(*np.percentile(ratios[:, 0], [75, 25])) / 2 / np.median(ratios[:, 0])
    cells = [f"{value:.3f}" for value in medians] + ([""] if len(libraries) == 2 else [])
    cells += [f"{value:.2f}" for value in np.median(ratios, axis=0)] + ([""] if len(libraries) == 2 else [])
    table.add_row(name, *cells, f"{100 * spread:.0f} %", share)


def main():
    warnings.simplefilter("ignore")
    console = Console()
    triad = triad_rate()
    theirs = data()
    ours = {name: gr.asarray(each) for name, each in theirs.items()}
    others = None if jax is None else {name: jnp.asarray(each) for name, each in theirs.items()}
    title = f"Milliseconds, {chosen.threads} threads, medians of {chosen.rounds} rounds; small calls in microseconds"
    table = Table(title=title)
    for name in ("workload", "girih", "NumPy", "JAX", "to NumPy", "to JAX", "spread", "of triad"):
        table.add_column(name, justify="left" if name == "workload" else "right")
    wanted = [part for part in chosen.cases.split(",") if part]
    absent = []
    for name, (compute, vectors) in WORKLOADS.items():
        if wanted and not any(part in name for part in wanted):
            continue
        try:
            libraries, rounds = measure(compute, (ours, theirs, others))
        except AttributeError as error:
            absent.append(f"{name} ({error})")
            continue
        rate = vectors and triad and 8 * N * vectors / np.median(rounds[:, 0]) / triad
        row(table, name, libraries, rounds, 1e3, f"{100 * rate:.0f} %" if rate else "")
    if not wanted or "small" in wanted:
        for name, rounds in small_calls():
            row(table, f"{name}, 10 elements", ["girih", "NumPy"], rounds, 1e6, "")
    console.print(table)
    for each in absent:
        console.print(f"not there yet: {each}", highlight=False)
    versions = f"NumPy {np.__version__}, {'no JAX' if jax is None else f'JAX {jax.__version__}'}, {processor()}"
    bandwidth = f"triad {triad / 1e9:.1f} GB/s, " if triad else ""
    console.print(f"{bandwidth}{versions}; 1 rank; below 1 girih is faster", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
