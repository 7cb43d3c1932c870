"""Distances are SciPy's, and have the same bits at every number of ranks."""

from __future__ import annotations

import girih as gr
import numpy as np
import pytest
from scipy.spatial import distance

REAL = [
    "braycurtis", "canberra", "chebyshev", "cityblock", "correlation", "cosine", "euclidean", "hamming", "minkowski",
    "sqeuclidean",
]  # fmt: skip
TRUTHS = ["dice", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule"]
SHAPES = [(7, 5, 4), (1, 1, 1), (3000, 70, 9), (40, 200, 3), (0, 3, 2), (3, 0, 2)]


def noise(m, d, seed=0):
    return np.random.default_rng([seed, m, d]).standard_normal((m, d))


def check_close(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("metric", [*REAL, "seuclidean", "mahalanobis", "jensenshannon"])
def test_distances_of_numbers(metric, shape):
    m, n, d = shape
    x, y = noise(m, d), noise(n, d, seed=1)
    if metric == "hamming":
        x, y = np.round(x), np.round(y)
    if metric == "jensenshannon":
        x, y = np.abs(x), np.abs(y)
    if metric in ("seuclidean", "mahalanobis") and m + n < d + 5:
        return
    if metric == "correlation" and d == 1:
        return
    check_close(gr.spatial.distance.cdist(x, y, metric), distance.cdist(x, y, metric))
    if 1 < m < 1000 and not (metric == "mahalanobis" and m <= d):
        check_close(gr.spatial.distance.pdist(x, metric), distance.pdist(x, metric))
    if metric in REAL and metric != "hamming":
        w = np.arange(1.0, d + 1)
        check_close(gr.spatial.distance.cdist(x, y, metric, w=w), distance.cdist(x, y, metric, w=w))


@pytest.mark.parametrize("metric", TRUTHS)
def test_distances_of_truths(metric):
    x, y = noise(60, 12) > 0, noise(50, 12, seed=1) > 0.5
    check_close(gr.spatial.distance.cdist(x, y, metric), distance.cdist(x, y, metric))
    check_close(gr.spatial.distance.pdist(y, metric), distance.pdist(y, metric))


def test_exponents_and_given_spreads():
    x, y = noise(50, 4), noise(60, 4, seed=1)
    for p in (1, 1.5, 2, 3, np.inf):
        check_close(gr.spatial.distance.cdist(x, y, "minkowski", p=p), distance.cdist(x, y, "minkowski", p=p))
    v = np.arange(1.0, 5)
    check_close(gr.spatial.distance.cdist(x, y, "seuclidean", V=v), distance.cdist(x, y, "seuclidean", V=v))
    vi = np.linalg.inv(np.cov(x.T))
    check_close(gr.spatial.distance.pdist(x, "mahalanobis", VI=vi), distance.pdist(x, "mahalanobis", VI=vi))
    by_pairs = np.array([[distance.jensenshannon(abs(row), abs(other), base=2) for other in y] for row in x])
    check_close(gr.spatial.distance.cdist(abs(x), abs(y), "js", base=2), by_pairs)


def test_square_forms():
    for m in (2, 3, 50, 300):
        half = distance.pdist(noise(m, 3))
        square = distance.squareform(half)
        check_close(gr.spatial.distance.squareform(half), square)
        check_close(gr.spatial.distance.squareform(square), half)
    with pytest.raises(ValueError, match="Incompatible vector size"):
        gr.spatial.distance.squareform(np.ones(4))
    with pytest.raises(ValueError, match="must be symmetric"):
        gr.spatial.distance.squareform([[0.0, 1.0], [2.0, 0.0]])


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda d: d.cdist(np.ones((2, 3)), np.ones((2, 4))), ValueError, "same number of columns"),
        (lambda d: d.cdist(np.ones((2, 3)), np.ones((2, 3)), "nearest"), ValueError, "Unknown Distance Metric"),
        (lambda d: d.cdist(np.ones((2, 3)), np.ones((2, 3)), "cosine", w=-np.ones(3)), ValueError, "non-negative"),
    ],
)
def test_mistakes_are_scipys(call, kind, text):
    for module in (distance, gr.spatial.distance):
        with pytest.raises(kind, match=text):
            call(module)


EVERYWHERE = f"""
import girih as gr
rng = np.random.default_rng(8)
x, y = gr.asarray(rng.random((4001, 6))), gr.asarray(rng.random((37, 6)))
found = {{name: gr.spatial.distance.cdist(x, y, name) for name in {REAL + TRUTHS + ["mahalanobis", "jensenshannon"]!r}}}
found["pairs"] = gr.spatial.distance.pdist(x[:300])
found["square"] = gr.spatial.distance.squareform(found["pairs"])
give(**digests(found))
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    same_bits(EVERYWHERE)
