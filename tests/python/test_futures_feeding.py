"""Threads that feed workers at once: one does, the others give way, and nothing that they saw is forgotten."""

from __future__ import annotations

import threading
from collections import deque
from types import SimpleNamespace

import pytest

from girih.futures.dispatch import Dispatcher


class Balance:
    """Cores that come free while somebody asks for them, told by another thread."""

    window = 8

    def __init__(self, refusals):
        self.refusals = refusals
        self.asked = 0
        self.dispatcher = None

    def reserve(self, task):
        self.asked += 1
        assert self.asked < 20, "asked without end"
        if self.asked > len(self.refusals):
            return True
        if self.refusals[self.asked - 1] == "told meanwhile":
            other = threading.Thread(target=self.dispatcher.feed)
            other.start()
            other.join(10)
            assert not other.is_alive(), "who gives way does not wait"
        return False


@pytest.mark.parametrize(
    ("refusals", "sent", "asked"),
    [
        ([], 3, 3),
        (["told meanwhile"], 3, 4),
        (["told meanwhile", "told meanwhile"], 3, 5),
        (["nobody came"], 0, 1),
        (["told meanwhile", "nobody came"], 0, 2),
    ],
)
def test_who_gives_way_is_heard(refusals, sent, asked):
    dispatcher = Dispatcher.__new__(Dispatcher)
    tasks = [SimpleNamespace(options=SimpleNamespace(threads=2)) for _ in range(3)]
    dispatcher.pending, dispatcher._in_flight, dispatcher._full = deque(tasks), {}, False
    dispatcher._feeding, dispatcher._asked = threading.Lock(), False
    dispatcher.balance = balance = Balance(refusals)
    balance.dispatcher = dispatcher
    out = []
    dispatcher._send = out.append
    dispatcher.feed()
    assert (out, balance.asked) == (tasks[:sent], asked)
    assert not dispatcher._feeding.locked()
