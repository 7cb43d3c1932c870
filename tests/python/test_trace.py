"""Traces of programs on ranks: one file with the tasks and messages of all of them."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from conftest import both_families

PROGRAM = """
import girih as gr
with gr.trace("trace.json"):
    x = gr.ones((40_000, 3))
    total = (x * 2).sum().item()
give(total=total)
"""


def events_of(path):
    events = json.loads(path.read_text())["traceEvents"]
    assert events[-1]["name"] == "girih_end"
    return events


@both_families
def test_a_block_is_traced_on_all_ranks(on_ranks, family):
    run = on_ranks(PROGRAM, 2, family).succeeded()
    assert all(given["total"] == 240_000 for given in run.given(2))
    events = events_of(run.folder / "trace.json")
    for rank in (0, 1):
        mine = Counter(event.get("cat") for event in events if event["pid"] == rank)
        assert mine["task"] > 0 and mine["collective"] > 0 and mine["main"] > 0, (rank, mine)
    # One node, one clock.
    offsets = [event["args"]["clock_offset"] for event in events if event["name"] == "girih_rank"]
    assert offsets == [0, 0]


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_variable_traces_the_whole_program(on_ranks, ranks):
    code = "import girih as gr\ntotal = gr.ones((40_000, 3)).sum().item()"
    run = on_ranks(code, ranks, extra={"GIRIH_TRACE": "whole.json"}).succeeded()
    events = events_of(run.folder / "whole.json")
    assert {event["pid"] for event in events if event.get("cat") == "task"} == set(range(ranks))


def test_mistakes_are_errors_on_all_ranks(on_ranks):
    code = """
        import girih as gr, pytest
        with pytest.raises(FileNotFoundError, match="no/such/place.json"):
            gr.trace("no/such/place.json").__enter__()
        with gr.trace("outer.json"):
            with pytest.raises(ValueError, match="outer.json is being recorded already"):
                gr.trace("inner.json").__enter__()
        with pytest.raises(ZeroDivisionError), gr.trace("failed.json"):
            1 / 0
        give(total=gr.ones((40_000, 3)).sum().item())
    """
    run = on_ranks(code, 2).succeeded()
    assert all(given["total"] == 120_000 for given in run.given(2))
    assert {path.name for path in run.folder.iterdir() if path.suffix != ".npz"} == {"outer.json", "program.py"}
