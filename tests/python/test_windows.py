"""Slices of a stencil are read where their array lies: values are NumPy's, and only rows near a rank's end travel."""

from __future__ import annotations

import numpy as np
import pytest

VALUES = """
import girih as gr
rng = np.random.default_rng(4)
wrong = []

def check(name, run, *operands):
    expected = run(np, *(each.copy() for each in operands))
    found = run(gr, *(gr.asarray(each) for each in operands))
    if not np.allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12):
        wrong.append(name)

def jacobi(m, g):
    for _ in range(3):
        g[1:-1, 1:-1] = 0.25 * (g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:])
    return g

def wide(m, g):
    return g[:-7] + g[7:] - 2 * g[3:-4] + (g[1:-6] > g[2:-5])

def boxes(m, g):
    inner = g[1:-1, 1:-1, 1:-1]
    return inner * 6 - g[:-2, 1:-1, 1:-1] - g[2:, 1:-1, 1:-1] - g[1:-1, :-2, 1:-1] - g[1:-1, 1:-1, 2:]

def halves(m, x):
    n = len(x) // 2
    return x[:n] - x[n : 2 * n] + x[1 : n + 1]

for shape in [(300, 211), (4097, 5), (61, 700), (2, 9001), (3, 9001)]:
    check(f"jacobi {shape}", jacobi, rng.standard_normal(shape))
    check(f"columns {shape}", lambda m, g: g[:, 0] + g[:, -1] * g[:, 1], rng.standard_normal(shape))
    check(f"mirrored {shape}", lambda m, g: g[:, ::-1] + g, rng.standard_normal(shape))
for length in [20_000, 50_001]:
    x = rng.standard_normal(length)
    check("wide", wide, x)
    check("halves", halves, x)
    check("diff", lambda m, x: m.diff(x, n=3), x)
    check("differences summed", lambda m, x: m.sum((x[1:] - x[:-1]) ** 2), x)
    check("a part summed", lambda m, x: m.sum(x[5:-5]), x)
    check("steps", lambda m, x: x[::2][:9000] + x[1::2][:9000], x)
    check("backwards", lambda m, x: x[::-1] + x, x)
    check("short types", lambda m, x: x[1:] ^ x[:-1], (x * 50).astype("i1").repeat(5))
    check("of what is computed", lambda m, x: (m.exp(x)[1:] + m.exp(x)[:-1])[2:-2], x)
check("boxes", boxes, rng.standard_normal((40, 21, 33)))
check("the wide box", boxes, rng.standard_normal((12, 40, 301)))
give(wrong=wrong)
"""
TRAFFIC = """
import girih as gr
x = gr.asarray(np.random.default_rng(4).standard_normal((6007, 33)))
gr.wait(x)
gr.report(reset=True)
y = x[4:] - x[:-4] + x[1:-3, ::-1]
gr.wait(y)
moved = {name: row["bytes"] for name, row in gr.report().items()}
give(moved=moved["evaluate"], rows=[x.local.shape[0], y.local.shape[0]])
"""
BITS = """
import girih as gr
g = gr.random.default_rng(8).standard_normal((3001, 77))
for _ in range(4):
    g[1:-1, 1:-1] = gr.sin(g[:-2, 1:-1] + g[2:, 1:-1]) + g[1:-1, :-2] * g[1:-1, 2:]
x = g.reshape(-1)
found = {"grid": g, "sums": (x[9:] * x[:-9]).sum(), "means": (g[2:] - g[:-2]).mean(axis=0), "rows": g[1:].std(axis=1),
         "place": gr.argmax(x[3:] - x[:-3]), "places": gr.argmin(g[5:], axis=1)}
give(**{name: np.asarray(one) for name, one in found.items()})
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_windows_show_what_numpys_views_show(on_ranks, ranks):
    for given in on_ranks(VALUES, ranks, threads=2 if ranks == 1 else 1, timeout=120).succeeded().given(ranks):
        assert given["wrong"].tolist() == []


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_each_row_of_the_halo_travels_once_and_no_other(on_ranks, ranks):
    given = on_ranks(TRAFFIC, ranks).succeeded().given(ranks)
    held = np.cumsum([0, *(int(each["rows"][0]) for each in given)])
    shown = np.cumsum([0, *(int(each["rows"][1]) for each in given)])
    for rank, each in enumerate(given):
        mine, halo = set(range(held[rank], held[rank + 1])), 0
        for other in set(range(ranks)) - {rank}:
            needed = {row + shift for row in range(shown[other], shown[other + 1]) for shift in (0, 1, 4)}
            halo += len(needed & mine)
        # Eight bytes more tell all ranks that nothing failed.
        assert int(each["moved"]) == halo * 33 * 8 + 8


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    same_bits(BITS)
