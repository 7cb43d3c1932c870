"""What ends in a crash, an exit or an error, and where on a task's way: it fails alone, and the executor goes on."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import threading
import time

import pytest

from girih.futures import RankExecutor, WorkerLostError


def crash():
    ctypes.string_at(0)


def leave():
    sys.exit(5)


def fail():
    raise LookupError("as asked")


def be_killed():
    os.kill(os.getpid(), signal.SIGKILL)


class AtPickling:
    """Does something when it is pickled."""

    def __init__(self, act):
        self.act = act

    def __reduce__(self):
        self.act()


class AtOpening:
    """Does something when its pickle is opened."""

    def __init__(self, act):
        self.act = act

    def __reduce__(self):
        return self.act, ()


def made(kind, act):
    return kind(act)


def take(value):
    return type(value).__name__


# What happens in a worker and the error of its future; in the process of the program a crash would be the program's.
AT_HOME = [(leave, SystemExit), (fail, LookupError)]
IN_WORKERS = [*AT_HOME, (crash, WorkerLostError), (be_killed, WorkerLostError)]
MATRIX = (
    [("argument pickled", take, (AtPickling, act), error) for act, error in AT_HOME]
    + [("argument opened", take, (AtOpening, act), error) for act, error in IN_WORKERS]
    + [("run", act, None, error) for act, error in IN_WORKERS]
    + [("result pickled", made, (AtPickling, act), error) for act, error in IN_WORKERS]
    + [("result opened", made, (AtOpening, act), error) for act, error in AT_HOME]
)


@pytest.fixture(scope="module")
def executor():
    with RankExecutor(max_workers=2) as shared:
        yield shared


def check_alone(executor, culprit, error):
    """Passes if what `culprit` submits raises the error, all others are done, and the next ones too."""
    others = [executor.submit(abs, -n) for n in range(8)]
    future = culprit()
    others += [executor.submit(abs, -n) for n in range(8, 16)]
    assert isinstance(future.exception(timeout=60), error), future.exception()
    assert [other.result(timeout=60) for other in others] == list(range(16))
    assert executor.submit(os.getpid).result(timeout=60) != os.getpid()


@pytest.mark.parametrize(("where", "function", "value", "error"), MATRIX)
def test_what_fails_fails_alone(executor, where, function, value, error):
    if where.startswith("argument"):
        arguments = (made(*value),)
    else:
        arguments = () if value is None else value
    check_alone(executor, lambda: executor.submit(function, *arguments), error)


@pytest.mark.parametrize(("act", "error"), IN_WORKERS)
def test_in_a_task_of_a_task(executor, act, error):
    def outer():
        with RankExecutor() as inner:
            return type(inner.submit(act).exception()).__name__, inner.submit(abs, -3).result()

    assert executor.submit(outer).result(timeout=60) == (error.__name__, 3)


@pytest.mark.parametrize(("act", "error"), IN_WORKERS)
def test_in_a_map(executor, act, error):
    with pytest.raises(error):
        list(executor.map(lambda n: act() if n == 7 else n, range(20), chunksize=1))
    assert list(executor.map(abs, range(20))) == list(range(20))


def test_an_error_in_a_callback_harms_nobody(executor, caplog):
    future = executor.submit(abs, -1)
    future.add_done_callback(lambda _: fail())
    assert future.result(timeout=60) == 1 and executor.submit(abs, -2).result(timeout=60) == 2


def test_all_workers_killed_at_once():
    with RankExecutor(max_workers=2) as executor:
        futures = [executor.submit(time.sleep, 60) for _ in range(2)]
        while executor.report()["running"] < 2:
            time.sleep(0.01)
        later = [executor.submit(abs, -n) for n in range(50)]
        for process in executor.report()["processes"]:
            os.kill(process, signal.SIGKILL)
        assert all(isinstance(future.exception(timeout=60), WorkerLostError) for future in futures)
        assert [future.result(timeout=60) for future in later] == list(range(50))


def test_a_worker_killed_while_the_executor_shuts_down():
    executor = RankExecutor(max_workers=2)
    futures = [executor.submit(time.sleep, 0.5) for _ in range(4)]
    while executor.report()["running"] < 2:
        time.sleep(0.01)
    victim = next(iter(executor.report()["processes"]))
    ending = threading.Thread(target=executor.shutdown)
    ending.start()
    os.kill(victim, signal.SIGKILL)
    ending.join(60)
    assert not ending.is_alive()
    assert sorted(type(future.exception()).__name__ for future in futures) == ["NoneType"] * 3 + ["WorkerLostError"]


def test_an_error_that_cannot_be_opened_is_told_in_words(executor):
    class Finicky(Exception):
        def __init__(self, one, two):
            super().__init__(one)

    def finicky():
        raise Finicky("first", "second")

    assert "first" in str(executor.submit(finicky).exception(timeout=60))
    assert pickle.loads(pickle.dumps(executor.submit(fail).exception(timeout=60))).args == ("as asked",)

