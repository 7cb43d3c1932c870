"""Quantiles with weights, running results of any universal function, geometric spacing: against NumPy, same bits."""

from __future__ import annotations

import numpy as np
import pytest

import girih as gr

RNG = np.random.default_rng(3)
X, W = np.round(RNG.standard_normal((11, 6)), 1), RNG.integers(0, 4, (11, 6)).astype(float)
HOLES = np.where(RNG.random(X.shape) < 0.2, np.nan, X)


@pytest.mark.parametrize("q", [0, 0.5, 1, [0.0, 0.1, 0.25, 0.9], [[0.2, 0.3], [0.4, 1.0]]])
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("name", ["quantile", "nanquantile"])
def test_weighted_quantiles_are_numpys(name, axis, q):
    for x in (X, (10 * X).astype(int), HOLES):
        options = {"axis": axis, "weights": W, "method": "inverted_cdf"}
        ours, theirs = getattr(gr, name)(gr.asarray(x), q, **options), getattr(np, name)(x, q, **options)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(np.asarray(ours), theirs)


def test_weights_of_one_axis_and_hundredths():
    for axis, weights in ((0, W[:, 0]), (1, W[0])):
        options = {"axis": axis, "weights": weights, "method": "inverted_cdf", "keepdims": True}
        ours, theirs = gr.percentile(X, [5, 50], **options), np.percentile(X, [5, 50], **options)
        np.testing.assert_array_equal(np.asarray(ours), theirs)


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"weights": W}, ValueError, "Only method 'inverted_cdf' supports weights"),
        ({"weights": -W - 1, "method": "inverted_cdf"}, ValueError, "Weights must be non-negative"),
        ({"weights": W[0], "method": "inverted_cdf"}, TypeError, "Axis must be specified"),
        ({"weights": W[0], "axis": 0, "method": "inverted_cdf"}, ValueError, "Shape of weights must be consistent"),
    ],
)
def test_mistakes_with_weights_are_numpys(options, kind, text):
    for module in (np, gr):
        with pytest.raises(kind, match=text):
            module.quantile(X, 0.5, **options)


@pytest.mark.parametrize("name", ["subtract", "power", "divide", "arctan2", "hypot", "fmax", "logaddexp", "logical_or"])
@pytest.mark.parametrize("axis", [0, 1])
def test_running_results_are_numpys(name, axis):
    x = np.abs(X) + 0.5
    ours, theirs = getattr(gr, name).accumulate(gr.asarray(x), axis=axis), getattr(np, name).accumulate(x, axis=axis)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-12)
    whole = (10 * x).astype("i4")
    for function in ("gcd", "lcm", "bitwise_xor"):
        ours = getattr(gr, function).accumulate(whole % 7 + 1, axis=axis)
        np.testing.assert_array_equal(np.asarray(ours), getattr(np, function).accumulate(whole % 7 + 1, axis=axis))


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.geomspace(-1, -1000, 4),
        lambda m: m.geomspace(1j, 1000j, 4),
        lambda m: m.geomspace(1 + 1j, -4 + 4j, 6),
        lambda m: m.geomspace([1, 2], [10, 20], 7, axis=1),
        lambda m: m.geomspace(1, 256, 8, endpoint=False),
        lambda m: m.geomspace(2, 256, 1),
        lambda m: m.logspace([0, 1], [2, 3], 4, axis=-1),
    ],
)
def test_geometric_spacing_is_numpys(call):
    ours, theirs = call(gr), call(np)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=1e-12, atol=1e-15)


EVERYWHERE = """
import girih as gr
rng = gr.random.default_rng(1)
x, w = rng.normal(size=(5003, 4)), rng.random((5003, 4))
found = {
    "whole": gr.quantile(x, [0, 0.3, 1], weights=w, method="inverted_cdf"),
    "columns": gr.quantile(x, [0, 0.3, 1], axis=0, weights=w, method="inverted_cdf"),
    "running": gr.hypot.accumulate(x, axis=0),
    "spaced": gr.geomspace(1, 1e6, 20_011),
}
give(**digests(found))
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    same_bits(EVERYWHERE)
