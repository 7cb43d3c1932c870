"""Indexing, views that alias and assignment are NumPy's, on any number of ranks; what travels is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import girih as gr

HERE = str(Path(__file__).parent)
PROGRAMS = f"""
import sys
sys.path.insert(0, {HERE!r})
import index_programs
give(wrong=index_programs.main(int(sys.argv[1]), 200))
"""
WITHOUT_TRAFFIC = """
import girih as gr
x = gr.arange(400_000.0).reshape(100_000, 4)
gr.wait(x)
gr.report(reset=True)
y = x[::2]
y[:, 1] = -1.0
x[x < 0] = 0.0
x += 1
x[10:20_000] = 5.0
gr.wait(x)
sent = sum(row["bytes"] for name, row in gr.report().items() if name != "control")
give(sent=sent, local=x.local, sum=np.asarray(x.sum()))
"""
TAKEN = """
import girih as gr
n = 200_000
x = gr.arange(n) * 3
places = gr.asarray(np.random.default_rng(0).permutation(n))
gr.wait(x, places)
gr.report(reset=True)
y = x[places]
gr.wait(y)
sent = gr.report()["all-to-all"]["bytes"]
give(sent=sent, y=np.asarray(y))
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_random_programs_of_views_and_writes_are_numpys(on_ranks, ranks):
    run = on_ranks(PROGRAMS, ranks, arguments=[str(1000 * ranks)], timeout=300)
    for given in run.succeeded().given(ranks):
        assert given["wrong"].tolist() == []


@pytest.mark.parametrize("ranks", [1, 3])
def test_writing_a_number_through_views_sends_nothing(on_ranks, ranks):
    expected = np.arange(400_000.0).reshape(100_000, 4)
    expected[::2, 1] = 0.0
    expected += 1
    expected[10:20_000] = 5.0
    given = on_ranks(WITHOUT_TRAFFIC, ranks).succeeded().given(ranks)
    assert np.array_equal(np.concatenate([each["local"] for each in given]), expected)
    # The sum gathers the roots of its tree, after the count was taken.
    assert [int(each["sent"]) for each in given] == [0] * ranks


@pytest.mark.parametrize("ranks", [2, 3])
def test_taking_sends_each_place_and_each_element_that_changes_its_rank_once(on_ranks, ranks):
    n = 200_000
    places = np.random.default_rng(0).permutation(n)
    given = on_ranks(TAKEN, ranks).succeeded().given(ranks)
    leaf = 1 << max(0, (-(-n // 4096) - 1).bit_length())
    each, more = divmod(-(-n // leaf), ranks)
    starts = [min(n, leaf * (rank * each + min(rank, more))) for rank in range(ranks + 1)]
    owner = np.searchsorted(starts, np.arange(n), side="right") - 1
    for rank, part in enumerate(given):
        assert np.array_equal(part["y"], places * 3)
        asked = np.count_nonzero((owner == rank) & (owner[places] != rank))
        answered = np.count_nonzero((owner != rank) & (owner[places] == rank))
        assert int(part["sent"]) == 8 * (asked + answered)


def test_an_element_named_twice_keeps_the_last_value():
    x = gr.zeros(4)
    x[[1, 1, 2]] = [5, 6, 7]
    assert x.tolist() == [0, 6, 7, 0]


def test_expressions_recorded_before_a_write_keep_the_old_value():
    x = gr.arange(30_000.0)
    before, view = x * 2, x[:3]
    x[0] = 9
    assert float(before[0]) == 0
    assert view.tolist() == [9, 1, 2]


def test_a_numpy_view_of_the_local_rows_never_changes():
    x = gr.arange(30_000.0)
    seen = x.local
    x[...] = 1
    x[5] = 7
    assert seen[5] == 5
    assert float(x[5]) == 7


def test_broadcast_views_and_diagonals_are_not_written():
    for view in (gr.broadcast_to(gr.zeros(3), (2, 3)), gr.diagonal(gr.zeros((3, 3)))):
        with pytest.raises(ValueError, match="read-only"):
            view[...] = 1


def test_storage_is_shared_as_numpy_shares_it():
    x = gr.zeros((4, 5))
    y = x.T[1:]
    assert gr.shares_memory(x, y)
    assert gr.may_share_memory(x[:2], x[2:])
    assert not gr.shares_memory(x[:2], x[2:])
    assert not gr.may_share_memory(x, x.copy())
    x.reshape(-1)[7] = 3
    assert float(x[1, 2]) == 3


def test_an_element_of_a_small_array_is_a_value_and_writing_one_spares_who_saw_the_old():
    x = gr.arange(6).reshape(2, 3)
    element, expression, seen, part = x[1, 2], x * 2, x[1], x.local
    x[1, 2] = 9
    assert (int(element), int(expression[1, -1]), int(seen[2]), int(part[1, 2])) == (5, 10, 9, 5)
    x[-1, 0] = 7
    assert x.tolist() == [[0, 1, 2], [7, 4, 9]]
    assert (x[0, 1].dtype, x[0, 1].shape) == (np.int64, ())


@pytest.mark.parametrize("index", [6, -7, (0, 0), (0, 0, 0, 0, 0), [0, 6], [1 << 70]])
def test_places_outside_of_a_small_array_are_refused_as_numpy_refuses_them(index):
    for array in (gr.arange(6.0), np.arange(6.0)):
        with pytest.raises((IndexError, OverflowError)):
            array[index]
        with pytest.raises((IndexError, OverflowError)):
            array[index] = 1


@pytest.mark.parametrize("value", [2.5, 1 << 40, -1, 1j, True])
def test_a_number_written_to_a_small_array_is_cast_or_refused_as_numpys(value):
    for dtype in ("int32", "uint8", "float32", "bool", "complex64"):
        outcomes = []
        for module in (gr, np):
            x = module.zeros(3, dtype=dtype)
            try:
                x[1] = value
                outcomes.append(np.asarray(x).tolist())
            except (TypeError, OverflowError) as error:
                outcomes.append(type(error))
        assert outcomes[0] == outcomes[1], (dtype, value)
