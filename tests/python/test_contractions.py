"""Products over axes and polynomials give NumPy's values and shapes, and the same bits at every number of ranks."""

from __future__ import annotations

import girih as gr
import numpy as np
import pytest


def noise(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def check_close(found, expected, tolerance=1e-10):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * (1 + np.abs(expected).max(initial=0)))


STACKS = [
    ((3, 4, 5), (3, 5, 2)), ((2000, 4, 5), (2000, 5, 2)), ((2000, 4, 5), (5, 2)), ((4, 5), (2000, 5, 2)),
    ((2000, 4, 5), (5,)), ((5,), (2000, 5, 2)), ((2, 1, 4, 5), (3, 5, 2)), ((6, 1, 4, 5), (6, 7, 5, 2)),
    ((0, 4, 5), (0, 5, 2)), ((3, 4, 0), (3, 0, 2)), ((3, 0, 5), (5, 2)), ((1, 30, 300), (1, 300, 200)),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["float64", "float32", "int64", "bool"])
@pytest.mark.parametrize(("left", "right"), STACKS)
def test_products_of_stacks(left, right, kind):
    x, y = (4 * noise(*left)).astype(kind), (4 * noise(*right, seed=1)).astype(kind)
    check_close(gr.matmul(x, y), np.matmul(x, y), 1e-4 if kind == "float32" else 1e-10)
    check_close(gr.asarray(x) @ gr.asarray(y), x @ y, 1e-4 if kind == "float32" else 1e-10)


def test_stacks_that_do_not_fit_are_refused():
    for left, right in [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 4, 5)), ((2, 3, 4), ())]:
        with pytest.raises(ValueError, match=r"matmul|broadcast"):
            gr.matmul(np.ones(left), np.ones(right))


NAMED = [
    ("dot", (3,), (3,)), ("dot", (4, 3), (3, 2)), ("dot", (2, 4, 3), (3,)), ("dot", (2, 4, 3), (5, 3, 2)),
    ("dot", (), (3, 2)), ("vdot", (4, 3), (3, 4)), ("vdot", (20_000,), (20_000,)), ("inner", (4, 3), (5, 3)),
    ("inner", (3,), ()), ("outer", (4, 2), (3,)), ("outer", (300,), (70,)), ("matvec", (2000, 4, 3), (2000, 3)),
    ("matvec", (4, 3), (3,)), ("vecmat", (2000, 4), (2000, 4, 3)), ("vecmat", (4,), (4, 3)),
    ("vecdot", (2000, 5), (5,)), ("vecdot", (5,), (5,)), ("kron", (2, 3), (4, 5)), ("kron", (3,), (100, 50)),
    ("kron", (40, 2), (300, 3)), ("cross", (3,), (4000, 3)), ("tensordot", (3, 4, 5), (4, 5, 2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "left", "right"), NAMED)
def test_products_by_name(name, left, right):
    for kind in ("float64", "int64"):
        x, y = (9 * noise(*left)).astype(kind), (9 * noise(*right, seed=1)).astype(kind)
        check_close(getattr(gr, name)(x, y), getattr(np, name)(x, y))


def test_tensordot_over_chosen_axes():
    x, y = noise(60, 7, 50, 3), noise(50, 60, 4)
    for axes in (([0, 2], [1, 0]), (0, 1), ([2], [0]), 0):
        if axes == 0:
            check_close(gr.tensordot(x[:2], y[:2], 0), np.tensordot(x[:2], y[:2], 0))
        else:
            check_close(gr.tensordot(x, y, axes), np.tensordot(x, y, axes))
    with pytest.raises(ValueError, match="shape-mismatch"):
        gr.tensordot(x, y, axes=1)


EINSUMS = [
    ("ij,jk->ik", (40, 50), (50, 60)), ("ij,ij->", (40, 50), (40, 50)), ("ij->ji", (300, 40)), ("ii->i", (30, 30)),
    ("ii", (30, 30)), ("ij->", (300, 50)), ("i,j->ij", (300,), (50,)), ("bij,bjk->bik", (90, 4, 5), (90, 5, 6)),
    ("bij,bjk->ik", (90, 4, 5), (90, 5, 6)), ("ij,jk,kl->il", (40, 50), (50, 60), (60, 7)),
    ("ki,kj->ij", (9000, 4), (9000, 5)), ("...ij,...jk->...ik", (2, 3, 4, 5), (3, 5, 6)), ("...i->...", (30, 40, 5)),
    ("i...,i...->...", (30, 4), (30, 4)), ("ij,j", (4, 5), (5,)), ("abc,cd,be->ade", (6, 7, 8), (8, 9), (7, 5)),
    ("iij->ij", (5, 5, 6)), ("ij,kl->", (4, 5), (6, 7)), ("ij,ij->ij", (300, 50), (300, 50)),
    ("ij,jk->ik", (4, 1), (5, 6)), ("ijk,ilm,njm,nlk,abc->", (3, 4, 5), (3, 6, 7), (8, 4, 7), (8, 6, 5), (2, 3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", EINSUMS, ids=lambda case: case[0])
def test_einstein_sums(case):
    subscripts, *shapes = case
    for kind in ("float64", "int64"):
        operands = [(5 * noise(*shape, seed=place)).astype(kind) for place, shape in enumerate(shapes)]
        check_close(gr.einsum(subscripts, *operands), np.einsum(subscripts, *operands))


def test_einstein_sums_by_lists_of_axes_and_their_mistakes():
    x, y = noise(4, 5), noise(5, 6)
    check_close(gr.einsum(x, [0, 1], y, [1, 2], [0, 2]), np.einsum(x, [0, 1], y, [1, 2], [0, 2]))
    check_close(gr.einsum(x, [Ellipsis, 1]), np.einsum(x, [Ellipsis, 1]))
    path = gr.einsum_path("ij,jk,kl->il", x, y, noise(6, 2))
    assert path[0] == np.einsum_path("ij,jk,kl->il", x, y, noise(6, 2))[0]
    for subscripts, operands in [
        ("ij,jk->ik", (x,)),
        ("ij->ik", (x,)),
        ("ijk->i", (x,)),
        ("ij,jk->ik", (x, x)),
        ("i&->i", (x,)),
    ]:
        with pytest.raises(ValueError, match="."):
            np.einsum(subscripts, *operands)
        with pytest.raises(ValueError, match="."):
            gr.einsum(subscripts, *operands)


def test_covariance_and_correlation():
    x = noise(9000, 4)
    weights = np.arange(9000) % 3
    for arguments in ({}, {"bias": True}, {"ddof": 0}, {"fweights": weights}, {"aweights": weights + 0.5}):
        check_close(gr.cov(x, rowvar=False, **arguments), np.cov(x, rowvar=False, **arguments))
        check_close(
            gr.cov(x.T[:, :500], **{k: v if np.ndim(v) == 0 else v[:500] for k, v in arguments.items()}),
            np.cov(x.T[:, :500], **{k: v if np.ndim(v) == 0 else v[:500] for k, v in arguments.items()}),
        )
    check_close(gr.cov(x[:, 0]), np.cov(x[:, 0]))
    check_close(gr.corrcoef(x, rowvar=False), np.corrcoef(x, rowvar=False))
    with pytest.raises(ValueError, match="more than 2 dimensions"):
        gr.cov(noise(2, 3, 4))


def test_diagonals_and_powers():
    x = noise(6, 5, 7)
    for offset in (-7, -2, 0, 3):
        for axes in ((0, 1), (2, 0), (-1, 1)):
            check_close(gr.products.trace(x, offset, *axes), np.trace(x, offset, *axes))
    for values in (np.arange(5), noise(9000)):
        check_close(gr.vander(values, 4), np.vander(values, 4))
        check_close(gr.vander(values, 4, increasing=True), np.vander(values, 4, increasing=True))


def test_polynomials():
    p, q = np.array([2.0, -1.0, 0.0, 3.0]), np.array([1.0, 4.0])
    x = noise(30_000)
    check_close(gr.polyval(p, x), np.polyval(p, x))
    for name in ("polyadd", "polysub", "polymul"):
        check_close(getattr(gr, name)(p, q), getattr(np, name)(p, q))
    for ours, theirs in zip(gr.polydiv(p, q), np.polydiv(p, q), strict=True):
        check_close(ours, theirs)
    check_close(gr.polyder(p, 2), np.polyder(p, 2))
    check_close(gr.polyint(p, 2, [1, 2]), np.polyint(p, 2, [1, 2]))
    check_close(gr.poly([1.0, 2.0, 3.0]), np.poly([1.0, 2.0, 3.0]))
    check_close(np.sort(gr.roots([1.0, -6.0, 11.0, -6.0, 0.0])), np.sort(np.roots([1.0, -6.0, 11.0, -6.0, 0.0])))
    check_close(gr.poly1d(p)(gr.asarray(x)), np.poly1d(p)(x))
    y = np.polyval(p, x) + 0.1 * noise(30_000, seed=2)
    check_close(gr.polyfit(x, y, 3), np.polyfit(x, y, 3))
    weights = np.abs(noise(30_000, seed=3))
    check_close(gr.polyfit(x, y, 2, w=weights), np.polyfit(x, y, 2, w=weights))
    for ours, theirs in zip(gr.polyfit(x, y, 3, cov=True), np.polyfit(x, y, 3, cov=True), strict=True):
        check_close(ours, theirs)
    for ours, theirs in zip(gr.polyfit(x, y, 3, full=True), np.polyfit(x, y, 3, full=True), strict=True):
        check_close(np.asarray(ours, float), np.asarray(theirs, float), 1e-8)


EVERYWHERE = """
import girih as gr
rng = np.random.default_rng(6)
x = gr.asarray(rng.standard_normal((30_011, 6)))
t = gr.asarray(rng.standard_normal((2000, 4, 5)))
u = gr.asarray(rng.standard_normal((2000, 5, 3)))
found = {
    "matmul": t @ u, "one": t @ u[0], "einsum": gr.einsum("bij,bjk->ik", t, u), "across": gr.einsum("ki,kj->ij", x, x),
    "tensordot": gr.tensordot(x, x, axes=(0, 0)), "inner": gr.inner(x[:500], x[:500]), "vdot": gr.vdot(x, x),
    "cov": gr.cov(x, rowvar=False), "corrcoef": gr.corrcoef(x, rowvar=False),
    "kron": gr.kron(x[:2000], gr.ones((2, 2))), "outer": gr.outer(x[:300, 0], x[:300, 1]),
    "polyfit": gr.polyfit(x[:, 0], x[:, 1], 3), "polyval": gr.polyval([1.0, 2.0, 3.0], x),
    "vecdot": gr.vecdot(x, x), "cross": gr.cross(x[:, :3], x[:, 3:]), "trace": gr.products.trace(x),
}
d = 6
gr.wait(x)
gr.report(reset=True)
gr.wait(gr.einsum("ki,kj->ij", x, x), x.T @ x)
give(sent=sum(row["bytes"] for row in gr.report().values()), **digests(found))
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    for ranks, sent in same_bits(EVERYWHERE)[1]:
        # A partial product of 6×6 for each node of the tree that a rank owns wholly, at most two a level; twice.
        assert sent <= 2 * 2 * 13 * 6 * 6 * 8 + 500
