"""The future of a task beside the standard library's: the same answers whatever is asked first, and from any thread."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, InvalidStateError, as_completed, wait

import pytest

from girih.futures.future import Future as TaskFuture

STEPS = {
    "run": lambda f: f.set_running_or_notify_cancel(),
    "result": lambda f: f.set_result(5),
    "error": lambda f: f.set_exception(KeyError("k")),
    "cancel": lambda f: f.cancel(),
    "call": lambda f: f.add_done_callback(lambda done: done.heard.append(done.cancelled() or done.exception(0))),
    "done": lambda f: (f.done(), f.running(), f.cancelled()),
    "ask": lambda f: f.result(timeout=0),
    "exception": lambda f: f.exception(timeout=0),
}


def said(future, names):
    """What a future answers to these steps, one after the other."""
    future.heard = []
    answers = []
    for name in names:
        try:
            answers.append(STEPS[name](future))
        except (CancelledError, InvalidStateError, KeyError, TimeoutError, RuntimeError) as error:
            answers.append((type(error).__name__, str(error).replace(f"{id(future):#x}", "")))
    return [str(one) for one in answers], str(future.heard)


def test_every_order_of_three_steps_answers_as_the_standard_library():
    compared = 0
    for first in STEPS:
        for second in STEPS:
            for third in STEPS:
                names = (first, second, third, "done", "ask", "exception")
                ours, theirs = said(TaskFuture(), names), said(Future(), names)
                assert ours == theirs, names
                compared += 1
    assert compared == 512


@pytest.fixture
def hasty():
    """Threads change as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


WAYS = {
    "result": lambda fs: [f.result(timeout=30) for f in fs],
    "callback": lambda fs: called_back(fs),
    "as_completed": lambda fs: sorted(f.result() for f in as_completed(fs, timeout=30)),
    "wait": lambda fs: sorted(f.result() for f in wait(fs, timeout=30).done),
    "first": lambda fs: [wait(fs, timeout=30, return_when=FIRST_COMPLETED) and f.result(timeout=30) for f in fs],
}


def called_back(futures):
    """The results as callbacks bring them, each once."""
    found, every = [], threading.Semaphore(0)
    for future in futures:
        future.add_done_callback(lambda f: (found.append(f.result()), every.release()))
    for _ in futures:
        assert every.acquire(timeout=30)
    return sorted(found)


@pytest.mark.parametrize("way", WAYS)
def test_who_waits_while_it_is_settled_hears_once(hasty, way):
    for _ in range(60):
        futures = [TaskFuture() for _ in range(25)]
        begin = threading.Barrier(2)

        def settle(futures=futures, begin=begin):
            begin.wait()
            for place, future in enumerate(futures):
                assert future.set_running_or_notify_cancel()
                future.set_result(place)

        setter = threading.Thread(target=settle)
        setter.start()
        begin.wait()
        assert WAYS[way](futures) == list(range(25))
        setter.join()


def test_cancelling_and_starting_at_once_has_one_winner(hasty):
    for _ in range(40):
        futures = [TaskFuture() for _ in range(25)]
        begin, started = threading.Barrier(2), []

        def start(futures=futures, begin=begin, started=started):
            begin.wait()
            started += [future.set_running_or_notify_cancel() for future in futures]

        starter = threading.Thread(target=start)
        starter.start()
        begin.wait()
        cancelled = [future.cancel() for future in reversed(futures)][::-1]
        starter.join()
        assert [not one for one in started] == cancelled
