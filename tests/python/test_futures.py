"""The executor on one rank: what `concurrent.futures` promises, and what it does not: workers that may be lost."""

from __future__ import annotations

import concurrent.futures as cf
import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path

import pytest

from girih.futures import BrokenWorkersError, RankExecutor, WorkerLostError

@pytest.fixture(scope="module")
def executor():
    with RankExecutor(max_workers=2) as shared:
        yield shared


def die(status=signal.SIGKILL):
    os.kill(os.getpid(), status)


def die_once(path):
    """Ends its worker the first time it is called."""
    if not os.path.exists(path):
        Path(path).touch()
        die()
    return "second"


def wait_for(truth, seconds=20.0):
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, "what was waited for did not happen"
        time.sleep(0.01)


# --- futures ---------------------------------------------------------------------------------------------------------


def test_names_of_arguments_are_the_users(executor):
    assert executor.submit(dict, self=1, fn=2, timeout=3).result() == {"self": 1, "fn": 2, "timeout": 3}


def test_futures_are_the_standard_librarys(executor):
    futures = [executor.submit(pow, 2, n) for n in range(5)]
    assert all(isinstance(future, cf.Future) for future in futures)
    assert {future.result() for future in cf.as_completed(futures)} == {1, 2, 4, 8, 16}
    assert not cf.wait(futures).not_done


def test_lambdas_closures_methods_and_classes_of_main(on_ranks):
    code = """
    from girih.futures import RankExecutor
    class Counter:
        def __init__(self, start): self.start = start
        def plus(self, n): return Counter(self.start + n)
    def outer(k):
        def inner(n): return n * k
        return inner
    with RankExecutor(max_workers=2) as executor:
        print(executor.submit(lambda: 7).result())
        print(executor.submit(outer(3), 5).result())
        result = executor.submit(Counter(1).plus, 2).result()
        print(type(result) is Counter, result.start)
    """
    assert on_ranks(code, 1).succeeded().output.split() == ["7", "15", "True", "3"]


def test_a_program_typed_at_a_prompt(tmp_path):
    code = """
    from girih.futures import RankExecutor
    print("started")
    def double(n): return 2 * n
    executor = RankExecutor(max_workers=2)
    print(list(executor.map(double, range(4))))
    """
    run = subprocess.run(
        [sys.executable, "-"], input=textwrap.dedent(code), capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert run.stdout.split("\n")[:2] == ["started", "[0, 2, 4, 6]"], run.stderr


def test_a_name_that_changes_between_submissions(executor):
    scale = 2
    function = lambda n: n * scale  # noqa: E731 - its cell changes below
    first = executor.submit(function, 5).result()
    scale = 3
    assert (first, executor.submit(function, 5).result()) == (10, 15)


def test_what_a_function_uses_is_sent_as_it_is_now(on_ranks):
    code = """
    from girih.futures import RankExecutor
    scale, items = 2, [1]
    def inner(n): return n * scale
    def outer(n): return inner(n) + len(items)
    def default(n, step=[]): return n + len(step)
    with RankExecutor(max_workers=1) as executor:
        send = lambda: print(*(executor.submit(one, 10).result() for one in (outer, inner, default)))
        send(); send()
        scale = 3; items.append(2); default.__defaults__[0].append(0)
        send()
        def inner(n): return -n
        send()
    """
    lines = on_ranks(code, 1).succeeded().output.split("\n")
    assert lines == ["21 20 10", "21 20 10", "32 30 11", "-8 -10 11", ""]


def test_an_exception_brings_its_traceback(executor):
    error = executor.submit(lambda: {}["key of nothing"]).exception()
    assert isinstance(error, KeyError)
    text = str(error.__cause__)
    assert "worker" in text and "test_futures.py" in text and "key of nothing" in text


class Unpicklable:
    def __reduce__(self):
        raise ValueError("not to be pickled")


class Unopenable(Exception):
    def __init__(self, one, two):
        super().__init__(one)


@pytest.mark.parametrize(
    ("function", "argument", "kind", "words"),
    [
        (abs, Unpicklable(), ValueError, "not to be pickled"),
        (lambda _: Unpicklable(), 0, ValueError, "not to be pickled"),
        (lambda _: threading.Lock(), 0, TypeError, "pickle"),
        (lambda _: (_ for _ in ()).throw(Unopenable(1, 2)), 0, RuntimeError, "Unopenable"),
        (lambda _: sys.exit(3), 0, SystemExit, "3"),
    ],
)
def test_what_cannot_travel_fails_alone(executor, function, argument, kind, words):
    failing, fine = executor.submit(function, argument), executor.submit(abs, -1)
    assert isinstance(failing.exception(), kind) and words in str(failing.exception())
    assert fine.result() == 1


def test_tasks_start_in_the_order_of_submission():
    with RankExecutor(max_workers=1) as executor:
        starts = [executor.submit(time.monotonic_ns) for _ in range(200)]
        times = [future.result() for future in starts]
    assert times == sorted(times)


def test_pending_tasks_can_be_cancelled(tmp_path):
    with RankExecutor(max_workers=1) as executor:
        futures = [executor.submit(time.sleep, 0.2) for _ in range(20)]
        assert futures[-1].cancel()
        executor.shutdown(cancel_futures=True)
    assert futures[0].result() is None
    assert sum(future.cancelled() for future in futures) >= 15


def test_after_the_end_nothing_is_accepted():
    executor = RankExecutor(max_workers=1)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, 1)


def test_accepted_tasks_are_done_at_the_end_of_the_program(on_ranks):
    code = """
    import time
    from girih.futures import RankExecutor
    RankExecutor(max_workers=1).submit(lambda: (time.sleep(0.3), print("done", flush=True)))
    """
    assert on_ranks(code, 1).succeeded().output.split() == ["done"]


@pytest.mark.parametrize("wrong", [{"max_workers": 0}, {"max_workers": -2}, {"max_tasks_per_child": 0}])
def test_numbers_that_make_no_executor(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RankExecutor(**wrong)


def test_keywords_of_other_executors(tmp_path):
    (tmp_path / "of_the_path.py").write_text("name = 'found'")
    # All that mpi4py.futures and the standard library's executors know.
    keywords = {
        "python_exe": sys.executable, "python_args": ["-O"], "mpi_info": {"host": "here"}, "main": False,
        "backoff": 0.0, "use_pkl5": True, "mp_context": None, "thread_name_prefix": "mine", "max_tasks_per_child": 100,
        "globals": {"colour_of_main": "blue"}, "path": [str(tmp_path)], "wdir": str(tmp_path), "env": {"COLOUR": "red"},
    }  # fmt: skip

    def look():
        import __main__
        import of_the_path

        return os.getenv("COLOUR"), __main__.colour_of_main, of_the_path.name, os.getcwd()

    with RankExecutor(1, None, (), **keywords) as executor:
        assert executor.submit(look).result() == ("red", "blue", "found", str(tmp_path))
        assert (executor.num_workers, executor.bootup() is executor) == (1, True)
        assert list(executor.starmap(pow, [(2, 3)], timeout=20, chunksize=1, buffersize=2, unordered=True)) == [8]
    with pytest.raises(TypeError, match="max_wokers"):
        RankExecutor(max_wokers=2)


# --- map -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunksize", ["auto", 1, 3, 1000])
@pytest.mark.parametrize("buffersize", [None, 1, 7])
@pytest.mark.parametrize("unordered", [False, True])
@pytest.mark.parametrize("count", [0, 1, 100])
def test_map_is_the_builtin_map(executor, chunksize, buffersize, unordered, count):
    given = executor.map(
        pow, range(count), [2] * 200, chunksize=chunksize, buffersize=buffersize, unordered=unordered
    )  # fmt: skip
    values = list(given)
    assert (sorted(values) if unordered else values) == [n * n for n in range(count)]


def test_a_buffer_bounds_what_is_taken_from_the_arguments(executor):
    taken = []
    results = executor.map(abs, (taken.append(n) or n for n in range(1000)), buffersize=4)
    assert next(results) == 0
    assert len(taken) <= 6
    results.close()


def test_map_times_out(executor):
    results = executor.map(time.sleep, [0, 5], timeout=0.5, chunksize=1)
    assert next(results) is None
    with pytest.raises(TimeoutError):
        next(results)


def test_map_raises_where_the_function_did(executor):
    results = executor.map(lambda n: 6 // n, [3, 2, 0, 1], chunksize=1)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


class Thing:
    pass


def test_map_keeps_no_result(executor):
    for thing in executor.map(lambda _: Thing(), range(4)):
        seen = weakref.ref(thing)
        del thing
        gc.collect()
        assert seen() is None


@pytest.mark.parametrize("wrong", [{"chunksize": 0}, {"buffersize": 0}])
def test_sizes_that_make_no_map(executor, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        executor.map(abs, [1], **wrong)


def test_progress_is_told_of_each_result(executor):
    class Bar:
        count = 0

        def update(self, count):
            self.count += count

    bar = Bar()
    assert len(list(executor.map(abs, range(50), progress=bar))) == bar.count == 50


# --- workers that are lost -------------------------------------------------------------------------------------------


def test_a_killed_worker_loses_its_own_task_alone():
    with RankExecutor(max_workers=2) as executor:
        others = [executor.submit(time.sleep, 0.02) for _ in range(6)]
        culprit = executor.submit(die)
        others += [executor.submit(time.sleep, 0.02) for _ in range(6)]
        assert [future.exception() for future in others] == [None] * 12
        error = culprit.exception()
        assert isinstance(error, WorkerLostError) and isinstance(error, cf.BrokenExecutor)
        assert (error.status, error.host) == (-signal.SIGKILL, os.uname().nodename)
        assert "SIGKILL" in str(error) and str(pickle.loads(pickle.dumps(error))) == str(error)
        assert executor.submit(abs, -1).result(timeout=10) == 1


@pytest.mark.parametrize(
    "end", [lambda: os._exit(7), lambda: ctypes.string_at(0), lambda: die(signal.SIGTERM), lambda: os.abort()]
)
def test_however_a_worker_ends(end):
    with RankExecutor(max_workers=1) as executor:
        assert isinstance(executor.submit(end).exception(), WorkerLostError)
        assert executor.submit(abs, -1).result() == 1


def test_idle_workers_that_are_killed_are_replaced():
    with RankExecutor(max_workers=2) as executor:
        processes = set(executor.map(lambda _: (time.sleep(0.2), os.getpid())[1], range(2), chunksize=1))
        for process in processes:
            os.kill(process, signal.SIGKILL)
        assert not processes & set(executor.map(lambda _: os.getpid(), range(4), chunksize=1))


def test_many_workers_that_are_killed_at_any_time():
    with RankExecutor(max_workers=2) as executor:
        options = executor.options(retries=50)
        futures = [options.submit(pow, n, 2) for n in range(3000)]
        for _ in range(10):
            ready = executor.submit(os.getpid).result(timeout=60)
            futures += [options.submit(pow, n, 2) for n in range(len(futures), len(futures) + 500)]
            os.kill(ready, signal.SIGKILL)
        assert [future.result(timeout=60) for future in futures] == [n * n for n in range(8000)]


def test_a_lost_task_is_tried_again_if_it_may_be(tmp_path):
    with RankExecutor(max_workers=1, retries=1) as executor:
        assert executor.submit(die_once, str(tmp_path / "mark")).result() == "second"
        assert executor.report()["retries"] == 1


def test_a_timeout_ends_one_task_of_many():
    with RankExecutor(max_workers=2) as executor:
        limited = executor.options(timeout=0.5)
        futures = [limited.submit(time.sleep, 60 if n == 3 else 0.01) for n in range(20)]
        errors = [type(future.exception(timeout=30)) for future in futures]
    assert errors == [TimeoutError if n == 3 else type(None) for n in range(20)]


def test_a_running_task_can_be_cancelled():
    with RankExecutor(max_workers=1) as executor:
        running, pending = executor.submit(time.sleep, 60), executor.submit(abs, -2)
        wait_for(lambda: executor.report()["running"] == 1)
        assert executor.cancel(running)
        with pytest.raises(cf.CancelledError):
            running.result(timeout=10)
        assert pending.result(timeout=10) == 2


def test_an_initializer_runs_once_in_each_worker_and_in_replacements():
    def initialize(value):
        import builtins

        builtins.seen = [*getattr(builtins, "seen", []), value]

    def read():
        import builtins

        return builtins.seen

    with RankExecutor(max_workers=1, initializer=initialize, initargs=(5,)) as executor:
        assert [executor.submit(read).result() for _ in range(2)] == [[5], [5]]
        assert isinstance(executor.submit(die).exception(), WorkerLostError)
        assert executor.submit(read).result() == [5]


def test_an_initializer_that_fails_breaks_the_executor():
    with RankExecutor(max_workers=2, initializer=lambda: 1 / 0) as executor:
        futures = [executor.submit(abs, 1) for _ in range(5)]
        assert all(isinstance(future.exception(timeout=30), BrokenWorkersError) for future in futures)
        with pytest.raises(cf.BrokenExecutor):
            executor.submit(abs, 1)


def test_workers_leave_after_so_many_tasks():
    with RankExecutor(max_workers=1, max_tasks_per_child=3) as executor:
        processes = [executor.submit(os.getpid).result(timeout=30) for _ in range(9)]
    assert [len(set(processes[k : k + 3])) for k in (0, 3, 6)] == [1, 1, 1]
    assert len(set(processes)) == 3


def test_nothing_is_left_when_the_program_is_killed(tmp_path):
    code = """
    import sys, time, numpy as np
    from girih.futures import RankExecutor
    executor = RankExecutor(max_workers=2)
    executor.submit(np.sum, np.ones(1 << 20)).result()
    futures = [executor.submit(time.sleep, 600) for _ in range(2)]
    print(*executor.report()["processes"], flush=True)
    time.sleep(600)
    """
    before = set(os.listdir("/dev/shm"))
    program = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
    workers = [int(word) for word in program.stdout.readline().split()]
    assert len(workers) == 2
    program.kill()
    program.wait()
    program.stdout.close()
    wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") and not zombie(worker) for worker in workers))
    assert not [name for name in set(os.listdir("/dev/shm")) - before if "girih" in name]


def zombie(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().split(")")[-1].split()[0] == "Z"
    except OSError:
        return True


def test_ctrl_c_leaves_the_executor_usable(tmp_path):
    code = """
    import os, signal, threading, time
    from girih.futures import RankExecutor
    executor = RankExecutor(max_workers=2)
    executor.submit(abs, 1).result()
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
        list(executor.map(time.sleep, [600] * 8, chunksize=1))
    except KeyboardInterrupt:
        print("interrupted")
    print(executor.submit(abs, -4).result())
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["interrupted", "4"], run.stderr


def test_a_task_in_the_queue_can_be_cancelled():
    with RankExecutor(max_workers=1) as executor:
        running = executor.submit(time.sleep, 600)
        wait_for(lambda: executor.report()["running"] == 1)
        queued = [executor.submit(time.sleep, 600) for _ in range(3)]
        last = executor.submit(abs, -5)
        for future in (*queued, running):
            assert executor.cancel(future)
            with pytest.raises(cf.CancelledError):
                future.result(timeout=20)
        assert last.result(timeout=20) == 5


def test_managers_of_multiprocessing_know_the_workers(executor):
    with multiprocessing.Manager() as manager:
        seen = manager.dict()
        assert executor.submit(seen.update, {"a": 1}).result(timeout=20) is None
        assert dict(seen) == {"a": 1}
