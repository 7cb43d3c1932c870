"""Sorting, sets, quantiles and histograms beside NumPy's, over dtypes and awkward shapes; errors are part of it."""

from __future__ import annotations

import warnings

import numpy as np

import girih as gr

warnings.simplefilter("ignore")
LINES = [(0,), (1,), (7,), (20_011,), (9001,)]
BOXES = [(0, 3), (4, 5), (3, 4, 2), (9001, 3), (4, 4099), (500, 5, 9)]
METHODS = (
    "inverted_cdf averaged_inverted_cdf closest_observation interpolated_inverted_cdf hazen weibull linear "
    "median_unbiased normal_unbiased lower higher midpoint nearest"
).split()


class Comparison:
    """Runs the same on girih and on NumPy and keeps what differs."""

    def __init__(self, seed):
        self.rng, self.wrong = np.random.default_rng(seed), []

    def data(self, shape, dtype, nan=0.0):
        """Few different values, so that equal ones are frequent; a part of them NaN."""
        if dtype == "bool":
            return self.rng.random(shape) < 0.5
        if "int" in dtype:
            return self.rng.integers(0 if dtype.startswith("u") else -50, 50, shape).astype(dtype)
        found = np.round(self.rng.standard_normal(shape) * 5, 1).astype(dtype)
        return np.where(self.rng.random(shape) < nan, np.nan, found).astype(dtype)

    def check(self, name, run, *arrays, near=0.0):
        outcomes = []
        for module, given in ((gr, [gr.asarray(array) for array in arrays]), (np, arrays)):
            try:
                outcomes.append((run(module, *given), None))
            except Exception as error:
                outcomes.append((None, error))
        (ours, our_error), (theirs, their_error) = outcomes
        shapes = [array.shape for array in arrays]
        if their_error is not None or our_error is not None:
            if their_error is None or not isinstance(their_error, type(our_error)):
                self.wrong.append(f"{name} {shapes}: {our_error!r}, not {their_error!r}")
        elif not alike(ours, theirs, near):
            self.wrong.append(f"{name} {shapes} {arrays[0].dtype if arrays else ''} differs")


def alike(ours, theirs, near):
    """Whether shapes, dtypes and elements agree, to a tolerance if there is one."""
    if isinstance(theirs, tuple | list):
        return len(ours) == len(theirs) and all(
            alike(one, other, near) for one, other in zip(ours, theirs, strict=True)
        )
    one, other = np.asarray(ours), np.asarray(theirs)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if near and other.dtype.kind in "fc":
        return bool(np.allclose(one, other, rtol=near, atol=near, equal_nan=True))
    return bool(np.array_equal(one, other, equal_nan=other.dtype.kind in "fc"))


def orders(c, shape, dtype):
    x = c.data(shape, dtype, nan=0.05)
    for axis in [*range(-len(shape), len(shape)), None]:
        c.check(f"sort {axis}", lambda m, a, axis=axis: m.sort(a, axis=axis), x)
        c.check(f"argsort {axis}", lambda m, a, axis=axis: m.argsort(a, axis=axis, kind="stable"), x)
        if x.size and dtype != "complex128":
            c.check(f"median {axis}", lambda m, a, axis=axis: m.median(a, axis=axis), x, near=1e-6)
            wide = x.astype(float)
            c.check(
                f"quantile {axis}", lambda m, a, axis=axis: m.quantile(a, [0.1, 0.5, 0.93], axis=axis), wide, near=1e-12
            )
            c.check(
                f"nanquantile {axis}",
                lambda m, a, axis=axis: m.nanquantile(a, [0.1, 0.93], axis=axis, keepdims=True), wide, near=1e-12,
            )  # fmt: skip


def sets(c, shape, dtype):
    x, y, other = c.data(shape, dtype, nan=0.05), c.data(shape, dtype), c.data((50,), dtype)
    for options in [
        {},
        {"return_index": True},
        {"return_counts": True},
        {"return_inverse": True, "return_counts": True},
    ]:
        c.check(f"unique {options}", lambda m, a, options=options: m.unique(a, **options), x)
    if len(shape) > 1 and dtype != "complex128":
        every = {"return_index": True, "return_inverse": True, "return_counts": True}
        c.check("unique axis 0", lambda m, a: m.unique(a, axis=0, **every), y)
    for name in ("union1d", "intersect1d", "setxor1d", "setdiff1d", "isin"):
        c.check(name, lambda m, a, b, name=name: getattr(m, name)(a, b), y, other)
    c.check("intersect1d places", lambda m, a, b: m.intersect1d(a, b, return_indices=True), y, other)
    for name in ("unique_all", "unique_counts", "unique_inverse"):
        c.check(name, lambda m, a, name=name: getattr(m, name)(a), y)


def places(c, shape, dtype):
    x, y = c.data(shape, dtype, nan=0.05), c.data(shape, dtype)
    ordered = np.sort(y)
    for side in ("left", "right"):
        find = lambda m, a, v, side=side: m.searchsorted(a, v, side=side)  # noqa: E731
        c.check(f"searchsorted {side}", find, ordered, c.data((30, 7), dtype))
        c.check(f"searchsorted {side} many", find, ordered, c.data((30_011,), dtype, nan=0.05))
        c.check(f"searchsorted {side} in few", find, ordered[:5], x)
    c.check("lexsort", lambda m, a, b: m.lexsort((a, b)), y, c.data(shape, dtype))
    if dtype not in ("bool", "complex128"):
        c.check("digitize", lambda m, a: m.digitize(a, [-3, 0, 2.5, 4]), y)
        c.check("digitize falling", lambda m, a: m.digitize(a, [4, 2, -1], right=True), y)


def histograms(c, shape, dtype):
    y = c.data(shape, dtype)
    c.check("histogram", lambda m, a: m.histogram(a, bins=13), y, near=1e-12)
    c.check("histogram density", lambda m, a: m.histogram(a, bins=[-3, 0, 1, 4], density=True), y, near=1e-12)
    for rule in ("auto", "fd", "sqrt", "sturges", "rice", "scott", "doane"):
        c.check(f"histogram {rule}", lambda m, a, rule=rule: m.histogram(a, bins=rule), y.astype(float), near=1e-6)
    weights = c.rng.random(shape)
    c.check("weights", lambda m, a, w: m.histogram(a, bins=7, range=(-4, 9), weights=w), y, weights, near=1e-10)
    pair = c.data(shape, "float64"), c.data(shape, "float64")
    c.check("histogram2d", lambda m, a, b: m.histogram2d(a, b, bins=(4, 6)), *pair, near=1e-10)
    if dtype == "int64":
        c.check("bincount", lambda m, a: m.bincount(a), np.abs(y))
        c.check("bincount weights", lambda m, a, w: m.bincount(a, w, minlength=80), np.abs(y), weights - 0.5, near=1e-9)
        c.check("bincount negative", lambda m, a: m.bincount(a), y)


def methods(c, dtypes):
    asked = [0, 0.1, 0.25, 0.5, 1 / 3, 0.999, 1.0]
    for method in METHODS:
        for shape in [(7,), (1,), (20_011,), (9001, 3)]:
            for dtype in dtypes:
                x = c.data(shape, dtype)
                c.check(method, lambda m, a, how=method: m.quantile(a, asked, method=how, axis=0), x, near=1e-6)
                c.check(
                    method,
                    lambda m, a, how=method: m.percentile(a, 37, method=how, axis=-1, keepdims=True),
                    x,
                    near=1e-5,
                )
    c.check("histogramdd", lambda m, a: m.histogramdd(a, bins=(3, 4, 5)), c.data((9001, 3), "float64"), near=1e-10)


def main(seed, ranks):
    """What differs; several ranks, which share the cores, share the types among their numbers."""
    c = Comparison(seed)
    shared = {2: ("float64", "int8"), 3: ("int64", "complex128"), 4: ("float32", "bool")}
    dtypes = shared.get(ranks, ("float64", "float32", "int64", "int8", "uint16", "bool", "complex128"))
    for dtype in dtypes:
        for shape in LINES + BOXES:
            orders(c, shape, dtype)
            sets(c, shape, dtype)
            if len(shape) == 1 and shape[0]:
                places(c, shape, dtype)
                if dtype not in ("bool", "complex128"):
                    histograms(c, shape, dtype)
    methods(c, ("float64", "int64", "float32") if ranks == 1 else dtypes[:1])
    return c.wrong
