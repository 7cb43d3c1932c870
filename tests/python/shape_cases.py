"""Joins, shapes and the indexing functions beside NumPy's, over awkward shapes; errors are part of it."""

from __future__ import annotations

import numpy as np
from order_cases import Comparison

SHAPES = [(), (1,), (7,), (0, 3), (4, 5), (3, 4, 2), (9001, 3), (20_011,), (1, 4, 1, 3)]


def along(c, x, other, axis):
    """Everything that takes an axis."""
    length = x.shape[axis]
    c.check("concatenate", lambda m, a, b: m.concatenate([a, b, a], axis=axis), x, other)
    c.check("stack", lambda m, a, b: m.stack([a, b], axis=axis), x, other)
    c.check("roll", lambda m, a: m.roll(a, 3, axis=axis), x)
    c.check("flip", lambda m, a: m.flip(a, axis), x)
    c.check("expand_dims", lambda m, a: m.expand_dims(a, axis), x)
    c.check("repeat", lambda m, a: m.repeat(a, 2, axis=axis), x)
    c.check("append", lambda m, a: m.append(a, a, axis=axis), x)
    c.check("squeeze", lambda m, a: m.squeeze(a, axis), x)
    if length == 0:
        return
    c.check("repeat each", lambda m, a: m.repeat(a, np.arange(length) % 3, axis=axis), x)
    for which in [0, -1, slice(0, 2), [0, -1], slice(None, None, 2)]:
        c.check(f"delete {which}", lambda m, a, which=which: m.delete(a, which, axis=axis), x)
        c.check(f"insert {which}", lambda m, a, which=which: m.insert(a, which, 5, axis=axis), x)
    c.check("array_split", lambda m, a: m.array_split(a, 3, axis=axis), x)
    c.check("split", lambda m, a: m.split(a, [1, 2], axis=axis), x)
    c.check("take", lambda m, a: m.take(a, [[0, -1], [0, 0]], axis=axis), x)
    c.check("take clip", lambda m, a: m.take(a, [99, -5], axis=axis, mode="clip"), x)
    order = np.argsort(x, axis=axis, kind="stable")
    c.check("take_along_axis", lambda m, a, o: m.take_along_axis(a, o, axis=axis), x, order)
    c.check("compress", lambda m, a: m.compress([True, False, True][:length], a, axis=axis), x)
    c.check("unstack", lambda m, a: m.unstack(a, axis=axis) if length < 10 else (), x)


def between(c, x, axis, other):
    """Everything that takes two axes."""
    c.check("swapaxes", lambda m, a: m.swapaxes(a, axis, other), x)
    c.check("moveaxis", lambda m, a: m.moveaxis(a, axis, other), x)
    c.check("rollaxis", lambda m, a: m.rollaxis(a, axis, other), x)
    if x.ndim > 1:
        c.check("diagonal", lambda m, a: m.diagonal(a, 1, axis, other), x)
        c.check("diagonal below", lambda m, a: m.diagonal(a, -2, axis, other), x)
        c.check("rot90", lambda m, a: m.rot90(a, 3, axes=(axis, other)), x)


def whole(c, x, other):
    """What takes whole arrays."""
    names = (
        "ravel flip fliplr flipud squeeze atleast_1d atleast_2d atleast_3d transpose matrix_transpose nonzero "
        "flatnonzero copy zeros_like ones_like rot90 permute_dims"
    ).split()
    for name in names:
        c.check(name, lambda m, a, name=name: getattr(m, name)(a), x)
    for offset in (-2, 0, 3):
        # Of one line they make a square.
        if x.ndim > 1 or (x.ndim == 1 and x.size < 100):
            c.check("tril", lambda m, a, offset=offset: m.tril(a, offset), x)
            c.check("triu", lambda m, a, offset=offset: m.triu(a, offset), x)
        if x.ndim != 1 or x.size < 100:
            c.check("diag", lambda m, a, offset=offset: m.diag(a, offset), x)
    for name in ("vstack", "hstack", "dstack", "column_stack"):
        c.check(name, lambda m, a, b, name=name: getattr(m, name)([a, b]), x, other)
    for times in [2, (2, 1), (1, 2, 3), (), 0]:
        c.check(f"tile {times}", lambda m, a, times=times: m.tile(a, times), x)
    for shape in [3, (2, 5), (0,), (7, 3, 2)]:
        c.check(f"resize {shape}", lambda m, a, shape=shape: m.resize(a, shape), x)
    c.check("reshape F", lambda m, a: m.reshape(a, (-1,), order="F"), x)
    c.check("roll flat", lambda m, a: m.roll(a, -5), x)
    c.check("block", lambda m, a, b: m.block([[a, b], [b, a]]), x, other)
    c.check("argwhere", lambda m, a: m.argwhere(a > 1), x)
    c.check("extract", lambda m, a: m.extract(a > 0, a), x)
    c.check("select", lambda m, a: m.select([a > 2, a < 0], [a, -a], 7), x)
    c.check("choose", lambda m, a: m.choose((a > 0).astype(int), [a, -a]), x)
    if x.ndim:
        c.check("piecewise", lambda m, a: m.piecewise(a, [a < 0, a >= 1], [-1, lambda v: v * 2, 5]), x)
    c.check("trim_zeros", lambda m, a: m.trim_zeros(a), x)


def written(c, x):
    """What writes an array."""

    def after(write):
        def run(m, a):
            array = a.copy()
            write(m, array)
            return array

        return run

    c.check("put", after(lambda m, a: m.put(a, [0, -1, 2], [7, 8])), x)
    if x.ndim:
        c.check("place", after(lambda m, a: m.place(a, a > 0, [1, 2, 3])), x)
    c.check("putmask", after(lambda m, a: m.putmask(a, a > 0, [1, 2, 3])), x)
    c.check("copyto", after(lambda m, a: m.copyto(a, 5, where=a > 0)), x)
    c.check("fill_diagonal", after(lambda m, a: m.fill_diagonal(a, 9)), x)
    c.check("fill_diagonal wrap", after(lambda m, a: m.fill_diagonal(a, [1, 2], wrap=True)), x)
    first = np.zeros((1,) * x.ndim, int)
    c.check("put_along_axis", after(lambda m, a: m.put_along_axis(a, first, 9, axis=-1)), x)


def indices(c):
    """Indices that follow from shapes."""
    line, one = c.data((7,), "float64"), c.data((1,), "float64")
    runs = [
        lambda m: m.tri(300, 200, -3), lambda m: m.indices((3, 4)), lambda m: m.indices((3, 4), sparse=True),
        lambda m: m.tril_indices(40, 2, 30), lambda m: m.triu_indices(400, -2), lambda m: m.diag_indices(4, 3),
        lambda m: m.mask_indices(5, m.triu, 1), lambda m: m.mgrid[0:5, 1:3:5j], lambda m: m.ogrid[0:5, 1:3],
        lambda m: m.mgrid[-1:1:5j], lambda m: m.r_[0:5, 3.5, 1:2:3j],
        lambda m: m.ravel_multi_index(([1, 2], [3, 0]), (4, 5)),
        lambda m: m.ravel_multi_index(([1, 2], [3, 0]), (4, 5), order="F"),
        lambda m: m.ravel_multi_index(([1, 9], [3, 0]), (4, 5)),
        lambda m: m.ravel_multi_index(([1, 9], [3, 0]), (4, 5), mode="wrap"),
        lambda m: m.unravel_index([22, 41, 37], (7, 6), order="F"), lambda m: m.unravel_index([22, 42, 37], (7, 6)),
    ]  # fmt: skip
    for number, run in enumerate(runs):
        c.check(f"indices {number}", run)
    pairs = [
        lambda m, a, b: m.meshgrid(a, b), lambda m, a, b: m.meshgrid(a, b, indexing="ij", sparse=True),
        lambda m, a, b: m.r_[a, 0, 0, b], lambda m, a, b: m.c_[a, a], lambda m, a, b: m.r_["0,2", a, a],
        lambda m, a, b: m.r_["1,2,0", a, a], lambda m, a, b: m.vander(a, 4), lambda m, a, b: m.broadcast_to(a, (3, 7)),
        lambda m, a, b: m.broadcast_to(a, (3, 8)), lambda m, a, b: m.broadcast_arrays(a, b),
        lambda m, a, b: a[m.ix_([0, 1])],
    ]  # fmt: skip
    for number, run in enumerate(pairs):
        c.check(f"pairs {number}", run, line, one)


def main(seed, _ranks):
    """What differs."""
    c = Comparison(seed)
    for shape in SHAPES:
        x, other = c.data(shape, "float64"), c.data(shape, "int64")
        for axis in range(-len(shape), len(shape)):
            along(c, x, other, axis)
            for second in range(-len(shape), len(shape)):
                between(c, x, axis, second)
        whole(c, x, other)
        written(c, x)
    indices(c)
    return c.wrong
