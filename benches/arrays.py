"""Time of array workloads: girih against NumPy and JAX on one rank, and against Heat on two. `make bench-arrays`.

Each round runs every library once on each workload, in turns, and the medians over the rounds are printed with the
ratio to each, formed within each round. Results are compared before the clock starts. Where a workload moves a known
number of bytes, its rate is given as a share of STREAM's triad, measured in the same run on the same threads. The
last column says which goals a line misses: NumPy's time or less, less than JAX's on fused chains, 85 % of the triad
where memory bounds it, three times NumPy's for calls on ten elements, a third of Heat's.
"""

import argparse
import os

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--threads", type=int, default=2, help="of every library (default 2)")
parser.add_argument("--rounds", type=int, default=7, help="measurements of each workload (default 7)")
parser.add_argument("--seconds", type=float, default=2.0, help="after so long a workload stops at 3 (default 2)")
parser.add_argument("--cases", default="", help="only workloads whose names contain one of these, separated by commas")
parser.add_argument("--elements", type=int, default=8_000_000, help="of a large vector (default 8 000 000)")
parser.add_argument("--ranks", type=int, default=2, help="beside Heat, of one thread each; 0 for none (default 2)")
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
from peers import array_on_ranks
from peers.array_workloads import FUSED, WORKLOADS, data
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
# Threads of OpenBLAS wait in a loop for 0.03 s.
REST = 0.1
TRIAD_SHARE_MIN, SMALL_RATIO_MAX, HEAT_RATIO_MAX = 0.85, 3.0, 1 / 3


def triad_runner():
    """Runs STREAM's triad on the chosen threads and returns its bytes a second; None without a C compiler."""
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
    # Each keeps its array alive.
    pointers = [each.ctypes.data_as(ctypes.c_void_p) for each in arrays]

    def rate():
        time.sleep(REST)
        triad(*pointers, ctypes.c_ssize_t(N), 1)  # untimed, as of every library
        return 24 * N / triad(*pointers, ctypes.c_ssize_t(N), 1)

    return rate


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
    """Of a call after one that is not timed, when the threads of the library before have gone to sleep."""
    time.sleep(REST)
    run()
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def measure(compute, operands, rate):
    """Seconds for each round and library, in turns, and the rate beside each; results agree, or there is no figure."""
    found = runners(compute, operands)
    results = [np.asarray(run()) for run in found.values()]
    for other in results[1:]:
        np.testing.assert_allclose(results[0], other, rtol=1e-4, atol=1e-6)
    rounds, rates, begin = [], [], time.perf_counter()
    while len(rounds) < chosen.rounds and (len(rounds) < 3 or time.perf_counter() - begin < chosen.seconds):
        rates.append(rate())
        rounds.append([seconds(run) for run in found.values()])
    return list(found), np.array(rounds), np.array(rates)


def small_calls():
    """Microseconds of calls on ten elements: girih's and NumPy's."""
    ours, theirs = gr.arange(10.0), np.arange(10.0)
    calls = {
        "a[0]": lambda a: a[0], "a[2:5]": lambda a: a[2:5], "a[[1, 2]]": lambda a: a[[1, 2]],
        "a[0] = 1": lambda a: a.__setitem__(0, 1.0), "a + 1": lambda a: a + 1, "a.sum()": lambda a: a.sum(),
    }  # fmt: skip
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


def missed(name, ratios, share):
    """The goals that a line misses, in words."""
    small = name.endswith("10 elements")
    words = []
    if ratios[0] > (SMALL_RATIO_MAX if small else 1.0):
        words.append("NumPy")
    if name in FUSED and len(ratios) > 1 and ratios[1] >= 1.0:
        words.append("JAX")
    if share and share < TRIAD_SHARE_MIN:
        words.append("triad")
    return " ".join(words)


COLUMNS = ("girih", "NumPy", "JAX", "to NumPy", "to JAX", "spread", "of triad", "misses")


def line(name, cells):
    """One line of the table, printed as soon as it is known, for the whole takes minutes."""
    print(f"{name:24}" + "".join(f"{cell:>10}" for cell in cells[:-1]) + f"   {cells[-1]}", flush=True)


def row(name, libraries, rounds, scale, share):
    """Prints a line; whether it meets its goals."""
    medians = scale * np.median(rounds, axis=0)
    ratios = rounds[:, :1] / rounds[:, 1:]
    spread = np.subtract(*np.percentile(ratios[:, 0], [75, 25])) / 2 / np.median(ratios[:, 0])
    middle, blank = np.median(ratios, axis=0), [""] if len(libraries) == 2 else []
    cells = [*(f"{value:.3f}" for value in medians), *blank, *(f"{value:.2f}" for value in middle), *blank]
    misses = missed(name, middle, share)
    line(name, [*cells, f"{100 * spread:.0f} %", f"{100 * share:.0f} %" if share else "", misses or "none"])
    return not misses


def on_one_rank(wanted, triad):
    """The table of one rank; how many lines met their goals, of how many."""
    theirs = data(N)
    ours = {name: gr.asarray(each) for name, each in theirs.items()}
    others = None if jax is None else {name: jnp.asarray(each) for name, each in theirs.items()}
    print(f"Milliseconds, {chosen.threads} threads, medians; calls on 10 elements in microseconds\n")
    line("workload", COLUMNS)
    verdicts = []
    for name, (compute, vectors) in WORKLOADS.items():
        if not wanted or any(part in name for part in wanted):
            rate = triad if vectors and triad else lambda: np.nan
            libraries, rounds, rates = measure(compute, (ours, theirs, others), rate)
            share = vectors and triad and np.median(8 * N * vectors / rounds[:, 0] / rates)
            verdicts.append(row(name, libraries, rounds, 1e3, share))
    if not wanted or "small" in wanted:
        for name, rounds in small_calls():
            verdicts.append(row(f"{name}, 10 elements", ["girih", "NumPy"], rounds, 1e6, None))
    return sum(verdicts), len(verdicts)


def beside_heat(console, wanted):
    """The table of several ranks; how many lines met their goal, of how many."""
    runs = array_on_ranks.compared(chosen.ranks, N // 4, wanted)
    if isinstance(runs, str):
        console.print(runs, highlight=False, soft_wrap=True)
        return 0, 0
    print()
    table = Table(title=f"Milliseconds, {chosen.ranks} ranks of 1 thread, vectors of {N // 4} numbers, medians")
    for name in ("workload", "girih", "Heat", "to Heat", "misses"):
        table.add_column(name, justify="left" if name == "workload" else "right")
    met = 0
    for name, (ours, theirs) in runs.items():
        ratio = ours / theirs
        met += ratio <= HEAT_RATIO_MAX
        verdict = "met" if ratio <= HEAT_RATIO_MAX else "Heat"
        table.add_row(name, f"{1e3 * ours:.3f}", f"{1e3 * theirs:.3f}", f"{ratio:.2f}", verdict)
    console.print(table)
    return met, len(runs)


def main():
    warnings.simplefilter("ignore")
    console = Console()
    triad = triad_runner()
    wanted = [part for part in chosen.cases.split(",") if part]
    met, lines = on_one_rank(wanted, triad)
    if chosen.ranks:
        more = beside_heat(console, wanted)
        met, lines = met + more[0], lines + more[1]
    versions = f"NumPy {np.__version__}, {'no JAX' if jax is None else f'JAX {jax.__version__}'}, {processor()}"
    bandwidth = f"triad {triad() / 1e9:.1f} GB/s, " if triad else ""
    console.print(f"{bandwidth}{versions}; below 1 girih is faster", highlight=False, soft_wrap=True)
    console.print(f"{met} of {lines} lines meet their goals", highlight=False)


if __name__ == "__main__":
    main()
