"""Joins, shapes, sorting, sets and quantiles are NumPy's on any number of ranks; what travels is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

HERE = str(Path(__file__).parent)
CASES = f"""
import sys
sys.path.insert(0, {HERE!r})
import importlib
give(wrong=importlib.import_module(sys.argv[1]).main(int(sys.argv[2]), int(sys.argv[3])))
"""
SORTED = """
import girih as gr
n = 1_000_003
x = np.random.default_rng(7).standard_normal(n)
a = gr.asarray(x)
gr.wait(a)
def traffic(run):
    gr.report(reset=True)
    result = run()
    gr.wait(result)
    return result, {name: row["bytes"] for name, row in gr.report().items()}
s, sort = traffic(lambda: gr.sort(a))
q, quantile = traffic(lambda: gr.quantile(a, 0.3))
h, histogram = traffic(lambda: gr.histogram(a, bins=50, range=(-4, 4))[0])
give(exchanged=sort["all-to-all"], sort=sum(sort.values()), quantile=sum(quantile.values()),
     histogram=sum(histogram.values()), s=s.local, q=float(q), before=a.local.shape[0])
"""
MANY = """
import girih as gr
rng = np.random.default_rng(11)
n = 250_003  # enough that workers share the work on each of four ranks
floats = np.concatenate([rng.standard_normal(n - 6), [0.0, -0.0, np.nan, np.nan, np.inf, -np.inf]])
pieces = {"many": floats, "narrow": floats.astype("float32"), "few": rng.integers(-40, 40, n),
          "some": rng.integers(0, 9000, n), "bytes": rng.integers(0, 255, n).astype("uint8"),
          "complex": floats.round(1) + 1j * rng.integers(0, 3, n), "bool": floats > 0}
wrong = []
def check(name, found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype != expected.dtype or not np.array_equal(found, expected, equal_nan=found.dtype.kind in "fc"):
        wrong.append(name)
for name, a in pieces.items():
    x, mask = gr.asarray(a), rng.random(n) < 0.3
    for options in [{}, {"return_inverse": True, "return_counts": True}, {"return_index": True}]:
        found, expected = gr.unique(x, **options), np.unique(a, **options)
        for one, other in zip(*((found, expected) if options else ([found], [expected])), strict=True):
            check(f"unique {name} {options}", one, other)
    check(f"mask {name}", x[gr.asarray(mask)], a[mask])
    ordered = np.sort(a)[::7]
    for side in ("left", "right"):
        for values in (ordered, ordered[::9000]):
            check(f"searchsorted {name} {side}", gr.searchsorted(gr.asarray(values), x, side=side),
                  np.searchsorted(values, a, side=side))
    if name in ("some", "bytes"):
        check(f"bincount {name}", gr.bincount(x), np.bincount(a))
give(wrong=wrong)
"""
EVERYWHERE = """
import girih as gr
rng = gr.random.default_rng(3)
x = rng.standard_normal((40_000, 3)).astype("float32")
n = rng.integers(0, 500, 90_001)
y = x[::-1].copy()
y[n[:20_000] * 79] *= 3
y[y > 2] = -1
found = {"y": y, "sorted": gr.sort(y, axis=0), "places": gr.argsort(n), "quantiles": gr.quantile(y, [0.1, 0.5, 0.77]),
         "median": gr.median(x, axis=0), "weights": gr.histogram(y[:, 0], bins=40, weights=y[:, 1])[0],
         "bins": gr.bincount(n, n / 7), "joined": gr.concatenate([y[5:], x[:9]]).mean(axis=0),
         "rolled": gr.roll(y, 1234, axis=0).cumsum(axis=0), "runs": gr.add.reduceat(n / 3, [0, 7, 77_777]),
         "padded": gr.pad(n / 9, 5, mode="mean"), "drawn": rng.choice(y, 7000, axis=0), "shuffled": rng.permutation(n)}
values, first, inverse, counts = gr.unique(n, True, True, True)
gr.add.at(y, n[:30_000] * 79, x[:30_000])
found |= {"values": values, "first": first, "inverse": inverse, "counts": counts, "added": y}
give(**{name: np.asarray(one) for name, one in found.items()})
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    same_bits(EVERYWHERE)


@pytest.mark.parametrize("cases", ["order_cases", "shape_cases"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_functions_are_numpys(on_ranks, cases, ranks):
    for given in on_ranks(CASES, ranks, arguments=[cases, "5", str(ranks)], timeout=120).succeeded().given(ranks):
        assert given["wrong"].tolist() == []


@pytest.mark.parametrize("ranks", [2, 3])
def test_sorting_sends_what_changes_its_rank_and_a_quantile_next_to_nothing(on_ranks, ranks):
    given = on_ranks(SORTED, ranks, timeout=120).succeeded().given(ranks)
    x = np.random.default_rng(7).standard_normal(1_000_003)
    ordered = np.sort(x)
    assert np.array_equal(np.concatenate([each["s"] for each in given]), ordered)
    starts = np.cumsum([0, *(int(each["before"]) for each in given)])
    for rank, each in enumerate(given):
        mine = x[starts[rank] : starts[rank + 1]]
        low, high = ordered[starts[rank]], ordered[starts[rank + 1] - 1]
        leaving = np.count_nonzero((mine < low) | (mine > high))
        assert int(each["exchanged"]) == 8 * leaving
        assert int(each["sort"]) <= 1.02 * 8 * leaving
        assert int(each["quantile"]) < 100_000
        assert int(each["histogram"]) < 100_000
        assert float(each["q"]) == np.quantile(x, 0.3)


@pytest.mark.parametrize(("ranks", "threads"), [(1, 1), (1, 2), (2, 1), (3, 2), (4, 1)])
def test_elements_that_workers_share_are_found_as_by_numpy(on_ranks, ranks, threads):
    for given in on_ranks(MANY, ranks, threads=threads).succeeded().given(ranks):
        assert given["wrong"].tolist() == []
