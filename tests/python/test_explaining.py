"""`gr.explain` against what then happens: traffic by the counters, tasks by a trace; and what notebooks show."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import girih as gr


def test_what_is_stored_and_what_is_fused():
    x = gr.arange(100_000.0).reshape(25_000, 4)
    gr.wait(x)
    plan = gr.explain(((x - 1) * 2).sum(axis=0))
    (step,) = plan.steps
    assert step.fused == ("subtract", "multiply")
    assert (step.shape, step.dtype, step.arrays) == ((4,), "float64", 1)
    assert not step.divided
    assert len(plan.ranks) == 1 and plan.ranks[0]["messages"] == 0
    assert "subtract, multiply" in str(plan) and "bytes held" in str(plan)


def test_steps_read_steps():
    x = gr.arange(100_000.0).reshape(25_000, 4)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    plan = gr.explain(z)
    assert plan.steps[-1].divided and plan.steps[-1].shape == (25_000, 4)
    for number, step in enumerate(plan.steps):
        assert all(earlier < number for earlier in step.inputs)
    assert plan.steps[-1].inputs
    # Only looked at: the same explanation again, and the same numbers as ever.
    assert gr.explain(z).steps == plan.steps
    expected = np.arange(100_000.0).reshape(25_000, 4)
    np.testing.assert_allclose(np.asarray(z), (expected - expected.mean(axis=0)) / expected.std(axis=0), rtol=1e-12)
    assert gr.explain(z).steps == ()
    assert str(gr.explain(z)) == "nothing to do: the value is there"


def test_only_arrays_are_explained():
    with pytest.raises(TypeError, match=r"x must be a girih\.Array, not ndarray"):
        gr.explain(np.ones(3))


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf", ".dot"])
def test_pictures_are_written(tmp_path, ending):
    x = gr.ones((50_000, 3))
    plan = gr.explain((x - x.mean(axis=0)).sum(axis=0))
    plan.save(tmp_path / f"plan{ending}")
    begin = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF", ".dot": b"digraph"}[ending]
    assert (tmp_path / f"plan{ending}").read_bytes().startswith(begin)
    with pytest.raises(ValueError, match="path must end in"):
        plan.save(tmp_path / "plan.txt")


def test_html_is_well_formed_and_computes_nothing():
    x = gr.ones((50_000, 3)) + 1
    for shown in (x, gr.ones(3), gr.explain(x), gr.zeros((0, 3))):
        text = shown._repr_html_()
        ElementTree.fromstring(f"<body>{text}</body>")
    assert "(50000, 3)" in x._repr_html_() and "rank 0: rows 0 to 49999" in x._repr_html_()
    assert gr.explain(x).steps, "showing an array has computed it"


TRUE = """
import girih as gr
x = gr.random.default_rng(0).normal(size=(40_011, 6))
gr.wait(x)
cases = {
    "map": lambda: (x - 1) * x, "sum": lambda: (x * x).sum(axis=0), "rows": lambda: x.sum(axis=1),
    "product": lambda: x.T @ x, "standard": lambda: (x - x.mean(axis=0)) / x.std(axis=0),
    "cumsum": lambda: x.cumsum(axis=0),
    "reversed": lambda: x[::-1] * 1,
}
found = {}
for name, make in cases.items():
    y = make()
    plan = gr.explain(y)
    with gr.trace(Path(os.environ["TEST_OUTPUT"]) / f"{name}.json"):
        gr.report(reset=True)
        gr.wait(y)
        rows = gr.report().values()
    mine = plan.ranks[gr.rank()]
    found[f"{name} bytes"] = [mine["bytes_sent"], sum(row["bytes"] for row in rows)]
    found[f"{name} messages"] = [mine["messages"], sum(row["messages"] for row in rows)]
    found[f"{name} all"] = [row["tasks"] for row in plan.ranks]
give(**found)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_it_says_what_happens(on_ranks, ranks):
    run = on_ranks(TRUE, ranks, timeout=120).succeeded()
    names = {name.rpartition(" ")[0] for name in run.given(ranks)[0]}
    assert len(names) == 7
    for given in run.given(ranks):
        for name in names:
            said, sent = given[f"{name} messages"]
            assert said == sent, f"{name}: {said} messages said, {sent} sent"
    for name in names:
        with open(run.folder / f"{name}.json") as file:
            events = json.load(file)["traceEvents"]
        for rank, said in enumerate(run.given(ranks)[0][f"{name} all"]):
            ran = sum(event.get("cat") == "task" and event.get("pid") == rank for event in events)
            assert ran == said, f"{name}: {said} tasks said on rank {rank}, {ran} ran"
