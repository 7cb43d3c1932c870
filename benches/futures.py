"""Cost of a task in gr.futures beside its peers, 2 workers each, in one run. `make bench-futures`.

Each round starts every contestant once, in turns, in a process of its own that warms its pool and measures; printed are
medians over the rounds, and the ratio to girih's, formed within each round; for girih also the lowest and the highest
of all rounds, and whether the median is what is demanded. Tasks do nothing, so all is overhead.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WORKERS = 2
TASKS = 2000
TRIPS = 300
ARRAY_BYTES = 64 << 20
IDLE_SECONDS = 2.0
# What is measured, its unit, and how it is printed.
MEASURES = {
    "no-op, each": ("µs", 1e6, "{:.1f}"),
    "no-op lambda, each": ("µs", 1e6, "{:.1f}"),
    "round trip": ("µs", 1e6, "{:.0f}"),
    "map, an item": ("µs", 1e6, "{:.2f}"),
    "Parallel of 8": ("ms", 1e3, "{:.2f}"),
    "64 MiB argument": ("ms", 1e3, "{:.1f}"),
    "64 MiB echoed": ("ms", 1e3, "{:.1f}"),
    "idle": ("% of a core", 100.0, "{:.2f}"),
}
# What girih's median is to be at most.
GOALS = {
    "no-op, each": 25e-6,
    "round trip": 60e-6,
    "Parallel of 8": 1e-3,
    "64 MiB argument": 20e-3,
    "64 MiB echoed": 45e-3,
    "idle": 0.02,
}
CONTESTANTS = ("girih", "concurrent.futures", "loky", "mpi4py.futures", "joblib")


def nothing(_=None):
    return None


def echo(value):
    return value


def read(value):
    """Touches every page of an array."""
    return float(value[::512].sum())


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def of_executor(executor):
    """All measures of a `concurrent.futures` executor."""

    def tasks(function):
        futures = [executor.submit(function, n) for n in range(TASKS)]
        for future in futures:
            future.result()

    [future.result() for future in [executor.submit(time.sleep, 0.2) for _ in range(WORKERS)]]
    tasks(nothing)
    found = {
        "no-op, each": min(seconds(lambda: tasks(nothing)) for _ in range(3)) / TASKS,
        "round trip": statistics.median(seconds(lambda: executor.submit(nothing).result()) for _ in range(TRIPS)),
        "map, an item": min(seconds(lambda: list(executor.map(nothing, range(TASKS)))) for _ in range(3)) / TASKS,
    }
    try:
        executor.submit(lambda _: None, 0).result()
        found["no-op lambda, each"] = min(seconds(lambda: tasks(lambda _: None)) for _ in range(3)) / TASKS
    except Exception:  # noqa: BLE001 - a peer that cannot pickle a lambda has no such figure
        pass
    arrays = [np.random.default_rng(n).random(ARRAY_BYTES // 8) for n in range(2)]
    for name, function in (("64 MiB argument", read), ("64 MiB echoed", echo)):
        times = []
        for n in range(6):
            times.append(seconds(lambda n=n: executor.submit(function, arrays[n % 2]).result()))
        # The first ones touch memory for the first time.
        found[name] = statistics.median(times[2:])
    return found


def of_parallel(backend):
    """A call of joblib with eight tasks, and large arrays in calls of one task."""
    import joblib

    def call():
        joblib.Parallel(n_jobs=WORKERS, backend=backend)(joblib.delayed(abs)(n) for n in range(8))

    call()
    found = {"Parallel of 8": statistics.median(seconds(call) for _ in range(20))}
    tasks = [joblib.delayed(abs)(n) for n in range(TASKS)]
    found["map, an item"] = min(
        seconds(lambda: joblib.Parallel(n_jobs=WORKERS, backend=backend)(tasks)) / TASKS for _ in range(3)
    )
    if backend != "girih":
        arrays = [np.random.default_rng(n).random(ARRAY_BYTES // 8) for n in range(4)]
        for name, function in (("64 MiB argument", read), ("64 MiB echoed", echo)):

            def large(array, function=function):
                # Two tasks, for one alone runs in the calling process.
                joblib.Parallel(n_jobs=WORKERS, backend=backend, batch_size=1)(
                    [joblib.delayed(function)(array), joblib.delayed(nothing)(0)]
                )

            found[name] = statistics.median([seconds(lambda array=array: large(array)) for array in arrays][1:])
    return found


def contestant(name):
    """Measures one contestant in this process; prints what was found, then idles so that its idling can be watched."""
    if name == "joblib":
        finish(of_parallel("loky"))
        return
    if name == "girih":
        from girih.futures import RankExecutor, register_joblib

        register_joblib()
        parallel = of_parallel("girih")
        with RankExecutor(WORKERS) as executor:
            found = of_executor(executor)
            finish({**found, "Parallel of 8": parallel["Parallel of 8"]})
    elif name == "concurrent.futures":
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(WORKERS) as executor:
            finish(of_executor(executor))
    elif name == "loky":
        from loky import get_reusable_executor

        finish(of_executor(get_reusable_executor(WORKERS)))
    else:
        from mpi4py.futures import MPIPoolExecutor

        with MPIPoolExecutor(WORKERS) as executor:
            finish(of_executor(executor))


def finish(found):
    print(json.dumps(found), flush=True)
    time.sleep(IDLE_SECONDS + 1.0)


def command(name):
    """How a contestant is started; `None` if it cannot be."""
    own = [str(Path(__file__)), "--contestant", name]
    if name != "mpi4py.futures":
        return [sys.executable, *own]
    launcher = shutil.which("mpirun.openmpi") or shutil.which("mpirun")
    if launcher is None:
        return None
    options = ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
    return [launcher, *options, "-n", str(WORKERS + 1), sys.executable, "-m", "mpi4py.futures", *own]


def processor_seconds(session):
    """Processor time of all processes of a session, the launcher's left out."""
    ticks = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, words = (folder / "stat").read_text().split(")", 1)
            if int(words.split()[3]) == session and "mpirun" not in name:
                ticks += sum(map(int, words.split()[11:13]))
        except (OSError, ValueError, IndexError):
            continue
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(name):
    """What one start of a contestant finds; empty if it cannot be started."""
    line = command(name)
    if line is None:
        return {}
    # Open MPI asks root twice.
    variables = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, start_new_session=True, env=variables)
    text = process.stdout.readline()
    time.sleep(0.5)
    before = processor_seconds(process.pid)
    time.sleep(IDLE_SECONDS)
    idle = (processor_seconds(process.pid) - before) / IDLE_SECONDS
    process.communicate(timeout=60)
    return {**json.loads(text), "idle": idle} if text.startswith("{") else {}


def cell(rounds, name, what):
    """A contestant's figure: the median, and beside it girih's spread or another's ratio to girih's."""
    _, scale, form = MEASURES[what]
    values = [one[name][what] * scale for one in rounds if what in one[name]]
    if not values:
        return "–"
    text = form.format(statistics.median(values))
    if name == "girih":
        return f"{text} ({form.format(min(values))}–{form.format(max(values))})"
    both = [one for one in rounds if what in one[name] and what in one.get("girih", ())]
    ratios = [one[name][what] / one["girih"][what] for one in both if one["girih"][what] > 0]
    return f"{text} ({statistics.median(ratios):.1f}×)" if ratios else text


def verdict(rounds, what):
    """What is demanded of girih, and whether it holds."""
    _, scale, form = MEASURES[what]
    values = [one["girih"][what] for one in rounds if what in one.get("girih", ())]
    if what not in GOALS or not values:
        return "", ""
    return f"≤ {form.format(GOALS[what] * scale)}", "yes" if statistics.median(values) <= GOALS[what] else "NO"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="starts of each contestant (default 5)")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help="some of them, separated by commas")
    parser.add_argument("--contestant", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contestant:
        contestant(chosen.contestant)
        return
    from rich.console import Console
    from rich.table import Table

    names = chosen.contestants.split(",")
    rounds = [{name: measure(name) for name in names} for _ in range(chosen.rounds)]
    table = Table("", "unit", *names, "goal", "holds")
    for what in MEASURES:
        table.add_row(what, MEASURES[what][0], *(cell(rounds, name, what) for name in names), *verdict(rounds, what))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    load = os.getloadavg()[0]
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}"
    console.print(f"{WORKERS} workers, {os.cpu_count()} cores, {versions}, load {load:.1f}, {chosen.rounds} rounds")


if __name__ == "__main__":
    main()
