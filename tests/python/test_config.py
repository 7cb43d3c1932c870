"""Settings that hold for a while: how far evaluations have come, told to a function or shown as a bar."""

from __future__ import annotations

import io
import sys

import pytest

import girih as gr
from girih import configuring

PROGRAM = """
import girih as gr

heard = []
x = gr.arange(600_000.0).reshape(200_000, 3)
with gr.config(progress=lambda *told: heard.append(told)):
    total = (x @ x.T[:, :2]).sum().item()
before = len(heard)
again = (x @ x.T[:, :2]).sum().item()
assert total == again and len(heard) == before > 0, (before, len(heard))
assert all(isinstance(what, str) and 0 <= done <= tasks for what, done, tasks in heard), heard
_, done, tasks = heard[-1]
assert done == tasks > 0, "the last word is that all tasks are done"
give(total=total)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_function_is_told_of_evaluations_on_every_rank(on_ranks, ranks):
    given = on_ranks(PROGRAM, ranks).succeeded().given(ranks)
    assert len({one["total"].tobytes() for one in given}) == 1


def evaluate():
    """Something with a graph, every time it is called."""
    return (gr.arange(100_000.0).reshape(50_000, 2) * 2).sum().item()


def test_blocks_nest_and_what_was_set_before_is_back():
    outer, inner = [], []
    with gr.config(progress=lambda *told: outer.append(told)):
        evaluate()
        with gr.config(progress=lambda *told: inner.append(told)):
            evaluate()
        heard = len(outer)
        with gr.config():
            evaluate()
        with gr.config(progress=False):
            evaluate()
    evaluate()
    assert (heard > 0, len(outer) > heard, len(inner) > 0) == (True, True, True)
    assert len(outer) == 2 * heard == 2 * len(inner)


def test_it_holds_from_its_call_on_and_decorates():
    heard = []
    settings = gr.config(progress=lambda *told: heard.append(told))
    evaluate()
    settings.__exit__()
    assert heard

    @gr.config(progress=False)
    def quietly():
        return evaluate()

    before = len(heard)
    assert quietly() == evaluate() and len(heard) == before


def test_what_the_function_raises_does_not_reach_the_evaluation(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    with gr.config(progress=lambda *_: 1 / 0):
        assert evaluate() == 9_999_900_000.0
    assert said and all(one.exc_type is ZeroDivisionError for one in said)


def test_other_values_are_refused():
    with pytest.raises(TypeError, match="progress must be True, False or a function, not int"):
        gr.config(progress=3)


def shown(steps, patience_seconds):
    """What a bar writes to a terminal."""
    from rich.console import Console

    output = io.StringIO()
    bar = configuring.Bar(Console(file=output, force_terminal=True, width=100), patience_seconds)
    for done in steps:
        bar("`sum` of a map", done, 8)
    return output.getvalue()


def test_a_bar_shows_what_takes_long_and_goes():
    written = shown([1, 4, 8], 0.0)
    assert "sum` of a map" in written and "/8" in written
    assert shown([1, 4, 8], 60.0) == "", "what is over soon shows nothing"
    assert shown([8], 0.0) == ""
