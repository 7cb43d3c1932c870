"""Ranks that run different programs: all of them end with one error that names both calls, and in time."""

from __future__ import annotations

import re

import pytest
from conftest import both_families

# From the start of the launcher: imports and MPI's own start and end take about two of these.
SECONDS = 15
CATCH = """
import girih as gr
x = gr.arange(100_000.0).reshape(50_000, 2)
def caught(run):
    try:
        run()
        return "nothing"
    except gr.DivergenceError as error:
        return str(error)
"""


def check_diverges(run, ranks, *texts):
    """Every rank tells of both calls, and where they are in the program."""
    given = [str(each["text"]) for each in run.succeeded().given(ranks)]
    assert run.seconds < SECONDS
    for text in given:
        assert all(part in text for part in texts), given
        assert len(set(re.findall(r"program\.py:\d+", text))) == 2, given


@both_families
@pytest.mark.parametrize("ranks", [2, 3])
def test_another_operation(on_ranks, family, ranks):
    code = CATCH + """
def first():
    float(x.sum())
def second():
    float(x.max())
give(text=caught(first if gr.rank() == 0 else second), total=float(gr.ones(100_000).sum()))
"""
    run = on_ranks(code, ranks, family)
    check_diverges(run, ranks, "sum over axes", "max over axes", "float64 [50000, 2]")
    assert [float(each["total"]) for each in run.given(ranks)] == [100_000] * ranks


@both_families
def test_another_shape(on_ranks, family):
    code = CATCH + """
def first():
    float(gr.ones((100_000, 2)).sum())
def second():
    float(gr.ones((100_000, 3)).sum())
give(text=caught(first if gr.rank() == 0 else second))
"""
    check_diverges(on_ranks(code, 2, family), 2, "[100000, 2]", "[100000, 3]")


@both_families
def test_a_barrier_and_a_fit(on_ranks, family):
    code = CATCH + """
def first():
    gr.barrier()
def second():
    gr.cluster.KMeans(2, init=np.ones((2, 2)), n_init=1).fit(x)
give(text=caught(first if gr.rank() == 0 else second))
"""
    check_diverges(on_ranks(code, 2, family), 2, "barrier")


@both_families
def test_fits_with_other_options(on_ranks, family):
    code = CATCH + """
start = np.arange(4.0).reshape(2, 2)
text = caught(lambda: gr.cluster.KMeans(2, init=start, n_init=1, max_iter=3 + gr.rank(), tol=0).fit(x))
give(text=text)
"""
    for each in on_ranks(code, 2, family).succeeded().given(2):
        assert "kmeans: 2 clusters of float64 [50000, 2]" in str(each["text"])


@both_families
def test_one_call_more_on_one_rank_ends_the_job(on_ranks, family):
    code = CATCH + """
if gr.rank() == 1:
    float(x.sum())
"""
    run = on_ranks(code, 2, family)
    assert run.status != 0 and run.seconds < SECONDS
    assert "DivergenceError" in run.errors and "the end of the program" in run.errors
    assert "program.py:" in run.errors


@both_families
def test_one_operation_from_two_lines_is_one_program(on_ranks, family):
    code = CATCH + """
if gr.rank() == 0:
    total = float(x.sum())
else:
    total = float(x.sum())
give(text="", total=total)
"""
    assert [float(each["total"]) for each in on_ranks(code, 2, family).succeeded().given(2)] == [4_999_950_000.0] * 2
