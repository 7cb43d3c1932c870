"""Executors of several ranks: the same script gives the same values with no launcher and on any number of ranks."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from conftest import both_families, launch_line, on_openmpi, run_command

PROGRAM = """
import os, time
import girih as gr
from girih.futures import RankExecutor

def die():
    os.kill(os.getpid(), 9)

def pause(n):
    time.sleep(0.001)
    return n

with RankExecutor(max_workers=3) as executor:
    shared = np.arange(float(1 << 16))
    futures = [executor.submit(pause, n) for n in range(60)]
    lost = executor.submit(die)
    give(
        single=executor.submit(pow, 2, 10).result(),
        many=[future.result() for future in futures],
        mapped=list(executor.map(lambda n: n * n, range(300))),
        chunked=list(executor.map(pow, range(20), [2] * 20, chunksize=3)),
        buffered=list(executor.map(abs, iter(range(-20, 0)), buffersize=4)),
        unordered=sorted(executor.map(abs, range(-20, 0), unordered=True)),
        large=executor.submit(np.multiply, shared, 2).result(),
        closed_over=list(executor.map(lambda n: shared[n] + n, range(50), chunksize=1)),
        error=repr(executor.submit(lambda: {}["absent"]).exception()),
        lost=type(lost.exception()).__name__,
        timeout=type(executor.options(timeout=0.2).submit(time.sleep, 60).exception()).__name__,
        unpicklable=type(executor.submit(abs, (n for n in ())).exception()).__name__,
        workers=executor.report()["workers"],
    )
with RankExecutor() as executor:
    assert list(executor.map(pause, range(40), chunksize=1)) == list(range(40))
    assert sum(executor.report()["tasks_by_rank"]) >= 40 or gr.rank() > 0
assert gr.arange(100000).sum().item() == 4999950000
"""



def check_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert np.array_equal(value, other[name]), name


@both_families
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_same_values_on_any_number_of_ranks(on_ranks, family, ranks):
    alone = on_ranks(PROGRAM, 1).succeeded().given(1)[0]
    assert (alone["single"], alone["lost"], alone["timeout"]) == (1024, "WorkerLostError", "TimeoutError")
    assert alone["many"].tolist() == list(range(60))
    assert alone["mapped"].tolist() == [n * n for n in range(300)]
    for given in on_ranks(PROGRAM, ranks, family, timeout=120, launched=True).succeeded().given(ranks):
        check_same(alone, given)


def test_all_ranks_run_tasks(on_ranks):
    code = """
    import time
    import girih as gr
    from girih.futures import RankExecutor
    with RankExecutor(max_workers=3) as executor:
        list(executor.map(time.sleep, [0.02] * 60, chunksize=1))
    if gr.rank() == 0:
        print(*executor.report()["tasks_by_rank"])
    """
    counts = [int(word) for word in on_ranks(code, 3).succeeded().output.split()]
    assert sum(counts) == 60 and min(counts) >= 1


def test_a_rank_that_submits_something_else_is_told(on_ranks):
    code = """
    import girih as gr
    from girih.futures import RankExecutor
    executor = RankExecutor(max_workers=2)
    future = executor.submit(abs if gr.rank() == 0 else str, -3)
    give(outcome=repr(future.exception()) if gr.rank() else future.result())
    """
    first, second = on_ranks(code, 2).succeeded().given(2)
    assert first["outcome"] == 3
    assert "submitted str where rank 0 submitted abs" in str(second["outcome"])


def test_the_program_may_leave_without_a_word(on_ranks):
    code = """
    import time
    from girih.futures import RankExecutor
    executor = RankExecutor(max_workers=4)
    executor.submit(lambda: (time.sleep(0.3), print("done", flush=True)))
    """
    assert on_ranks(code, 2).succeeded().output.split() == ["done"]


def test_arrays_and_tasks_in_one_program(on_ranks):
    code = """
    import girih as gr
    from girih.futures import RankExecutor
    totals = []
    with RankExecutor(max_workers=2) as executor:
        for n in range(5):
            future = executor.submit(pow, n, 2)
            totals.append(gr.full((100000,), float(n)).sum().item() + future.result())
    give(totals=totals)
    """
    for given in on_ranks(code, 2).succeeded().given(2):
        assert given["totals"].tolist() == [100000.0 * n + n * n for n in range(5)]


def test_an_error_of_one_rank_ends_the_job(on_ranks):
    code = """
    import time
    import girih as gr
    from girih.futures import RankExecutor
    executor = RankExecutor(max_workers=2)
    executor.submit(abs, 1).result()
    if gr.rank() == 1:
        raise ValueError("only here")
    executor.submit(time.sleep, 600).result()
    """
    run = on_ranks(code, 2, timeout=40)
    assert run.status != 0 and "only here" in run.errors


@pytest.mark.parametrize("ranks", [1, 2])
def test_joblib_on_ranks(on_ranks, ranks):
    code = """
    from joblib import Parallel, delayed, parallel_config
    import girih.futures
    with parallel_config(backend="girih", n_jobs=-1):
        give(
            squares=Parallel()(delayed(pow)(n, 2) for n in range(100)),
            generated=list(Parallel(return_as="generator")(delayed(pow)(n, 3) for n in range(30))),
            large=sum(Parallel()(delayed(np.sum)(np.full(1 << 18, n)) for n in range(4))),
        )
    """
    for given in on_ranks(code, ranks, timeout=120).succeeded().given(ranks):
        assert given["squares"].tolist() == [n * n for n in range(100)]
        assert given["generated"].tolist() == [n**3 for n in range(30)]
        assert given["large"] == 6 * (1 << 18)


SCRIPT = """
import sys
from concurrent.futures import as_completed
from girih.futures import RankExecutor
with RankExecutor(initializer=lambda: None) as executor:
    futures = [executor.submit(pow, n, 2) for n in range(50)]
    print(sum(future.result() for future in as_completed(futures)), executor.report()["workers"], sys.argv[1:])
"""


@both_families
def test_a_script_on_rank_zero_alone(tmp_path, family):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    module = [sys.executable, "-m", "girih.futures", str(script), "--option"]
    cores = len(os.sched_getaffinity(0))
    alone = run_command(module, tmp_path).succeeded().output.split("\n")
    assert alone == [f"40425 {cores} ['--option']", ""]
    two = run_command([*launch_line(family, 2), *module], tmp_path).succeeded().output.split("\n")
    assert len(two) == 2 and two[0].startswith("40425 ") and two[0].endswith("['--option']")


@on_openmpi
def test_arrays_of_a_script_on_rank_zero_alone_are_an_error(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import girih as gr\nprint(gr.arange(100000).sum().item())")
    module = [sys.executable, "-m", "girih.futures", str(script)]
    run = run_command([*launch_line("openmpi", 2), *module], tmp_path, timeout=40)
    assert run.status != 0 and "DivergenceError" in run.errors


@pytest.mark.parametrize("ranks", [1, 2])
def test_tasks_are_in_the_trace_of_everything_else(on_ranks, tmp_path, ranks):
    path = tmp_path / "trace.json"
    code = f"""
    import time
    import girih as gr
    from girih.futures import RankExecutor
    def some_name(n):
        time.sleep(0.01)
    with RankExecutor(max_workers=2) as executor, gr.trace({str(path)!r}):
        [future.result() for future in [executor.submit(some_name, n) for n in range(20)]]
        gr.arange(100000).sum().item()
    """
    on_ranks(code, ranks).succeeded()
    events = json.loads(path.read_text())["traceEvents"]
    spans = [event for event in events if event.get("cat") == "process"]
    assert [event["name"] for event in spans] == ["some_name"] * 20
    assert {event["pid"] for event in spans} == set(range(ranks))
    assert all(10_000 <= event["dur"] < 5_000_000 for event in spans)
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert any(name.startswith("process ") for name in names)


# --- tasks that move to where there is room ---------------------------------------------------------------------------


def test_a_rank_without_work_takes_what_another_has_not_begun(on_ranks):
    code = """
import os, time, girih as gr
from girih.futures import RankExecutor

def slow(n):
    time.sleep(1.0 if n == 0 else 0.03)
    return os.getpid()

with RankExecutor(max_workers=2) as executor:
    list(executor.map(slow, [1] * 8, chunksize=1))
    futures = [executor.submit(slow, n) for n in [0] + [1] * 20]
    first, rest = futures[0].result(), [future.result() for future in futures[1:]]
    # Whoever sleeps for a second runs none of the others that were queued behind it, but the one it had begun.
    if gr.rank() == 0:
        print(sum(process == first for process in rest) <= 1, sum(executor.report()["tasks_by_rank"]))
"""
    assert on_ranks(code, 2).succeeded().output == "True 29\n"


def test_tasks_of_a_task_are_run_by_other_ranks_too(on_ranks):
    code = """
import os, time, girih as gr
from girih.futures import RankExecutor

def inner(n, data):
    time.sleep(0.03)
    return os.getpid(), float(data[n])

def outer(data):
    with RankExecutor() as executor:
        return list(executor.map(inner, range(40), [data] * 40, chunksize=1))

def broken():
    with RankExecutor() as executor:
        return [type(executor.submit([].pop).exception()).__name__ for _ in range(12)]

with RankExecutor(max_workers=2) as executor:
    pairs = executor.submit(outer, np.arange(50_000.)).result()
    give(values=[value for _, value in pairs], errors=executor.submit(broken).result())
    if gr.rank() == 0:
        print(len({process for process, _ in pairs}) > 1, sum(executor.report()["stolen_by_rank"]) > 0)
"""
    run = on_ranks(code, 2).succeeded()
    assert run.output == "True True\n"
    for given in run.given(2):
        assert given["values"].tolist() == list(range(40)) and given["errors"].tolist() == ["IndexError"] * 12


def test_a_task_goes_to_the_rank_that_has_its_data(on_ranks):
    code = """
import os, time, girih as gr
from girih.futures import RankExecutor

def look(data):
    time.sleep(0.02)
    return os.getppid()

with RankExecutor(max_workers=2) as executor:
    ranks = executor.gather([executor.options(rank=r).submit(look, None) for r in range(2)])
    parts = executor.scatter([np.zeros(4_000_000), np.zeros(4_000_000)])
    found = [executor.submit(look, parts[n]).result() for n in (0, 1, 1, 0, 1, 0)]
    everywhere = executor.gather([executor.submit(look, parts[1]) for _ in range(30)])
    if gr.rank() == 0:
        print(found == [ranks[n] for n in (0, 1, 1, 0, 1, 0)], set(everywhere) == set(ranks))
        sent = executor.report()["bytes_sent_by_rank"][1]
        print(32_000_000 <= sent < 32_100_000)
"""
    run = on_ranks(code, 2, extra={"GIRIH_FUTURES_NODE_RANKS": "1"}).succeeded()
    assert run.output == "True True\nTrue\n"


@pytest.mark.parametrize("ranks", [1, 2])
def test_cores_are_reserved_on_one_rank(on_ranks, ranks):
    code = """
import os, girih as gr
from girih.futures import RankExecutor

def limits():
    import threadpoolctl
    return os.environ["OMP_NUM_THREADS"], [pool["num_threads"] for pool in threadpoolctl.threadpool_info()]

with RankExecutor(max_workers=4) as executor:
    wide = executor.options(threads=2)
    inside = [wide.submit(limits) for _ in range(6)]
    beside = [executor.submit(pow, n, 2) for n in range(40)]
    values = [one.result() for one in beside]
    print([one.result()[0] for one in inside] == ["2"] * 6, values == [n * n for n in range(40)])
"""
    assert on_ranks(code, ranks).succeeded().output == "True True\n" * ranks


def test_a_task_that_has_reserved_cores_is_not_asked_back(on_ranks):
    # On rank 1 one worker stands at its gate, the other runs the long task; the first wide task waits in the queue with
    # the cores that the second and third want, while rank 0 has nothing to do and asks for work.
    code = """
import time, girih as gr
from girih.futures import RankExecutor

with RankExecutor(max_workers=4) as executor:
    long = executor.options(rank=1).submit(time.sleep, 1.0)
    wide = executor.options(rank=1, threads=2)
    inside = [wide.submit(pow, n, 2) for n in range(3)]
    movable = [executor.submit(pow, n, 3) for n in range(3)]
    print([one.result() for one in inside], [one.result() for one in movable])
"""
    assert on_ranks(code, 2).succeeded().output == "[0, 1, 4] [0, 1, 8]\n" * 2
