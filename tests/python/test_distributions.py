"""Arrays that are divided along any axis: values are NumPy's, what is computed of them stays where it lies."""

from __future__ import annotations

import numpy as np
import pytest

VALUES = """
from girih import _native
import girih as gr
rng = np.random.default_rng(5)
wrong = []

def check(name, found, expected, axis=None):
    if axis is not None:
        wanted = "rows" if axis == 0 else f"axis {axis}"
        if not found.distribution.startswith(wanted):
            wrong.append((name, found.distribution))
    if found.shape != expected.shape or not np.allclose(np.asarray(found), expected, rtol=1e-12, atol=1e-12):
        wrong.append(name)

def own_part(x, axis):
    start, stop = _native.rows_of_rank(x.shape[axis])
    return (slice(None),) * axis + (slice(start, stop),)

for shape in [(301, 61), (3, 9001), (61, 17, 23), (9001, 1, 3), (2, 3, 5, 700)]:
    a, b = rng.standard_normal(shape), rng.standard_normal(shape)
    for axis in range(a.ndim):
        x, y = gr.asarray(a).redistribute(axis), gr.asarray(b).redistribute(axis=axis - a.ndim)
        name = f"{shape} along {axis}"
        check(name, x, a, axis)
        if not np.array_equal(np.asarray(x.local), a[own_part(a, axis)]) or x.local.flags.writeable:
            wrong.append(f"{name}: local")
        check(f"{name}: a pair", gr.maximum(x, y) * 2 - abs(x), np.maximum(a, b) * 2 - abs(a), axis)
        check(f"{name}: with rows", x + gr.asarray(b), a + b)
        check(f"{name}: with a row", x - gr.asarray(b[0]), a - b[0], axis if b[0].nbytes <= 65536 else None)
        check(f"{name}: where", gr.where(x > 0, x, 7.0), np.where(a > 0, a, 7.0), axis)
        check(f"{name}: back", (x + 1).redistribute(0), a + 1, 0)
        check(f"{name}: whole", gr.exp(x).redistribute(None), np.exp(a))
        check(f"{name}: the whole summed", x.redistribute(None).sum(axis=-1), a.sum(axis=-1))
        check(f"{name}: turned", x.T * y.T, a.T * b.T, a.ndim - 1 - axis)
        check(f"{name}: from parts", gr.from_local(np.array(x.local), axis=axis), a, axis)
        check(f"{name}: swapped", gr.swapaxes(x, 0, -1) / 3, np.swapaxes(a, 0, -1) / 3)
        check(f"{name}: flat", x.reshape(-1), a.reshape(-1))
        check(f"{name}: a slice", x[1:, ..., ::-1] + 1, a[1:, ..., ::-1] + 1)
        check(f"{name}: sorted", gr.sort(x, axis=axis), np.sort(a, axis=axis))
        check(f"{name}: masked", x[x > 0.5], a[a > 0.5])
        check(f"{name}: taken", x[[0, -1, 1]], a[[0, -1, 1]])
        check(f"{name}: joined", gr.concatenate([x, gr.asarray(b), y], axis=axis), np.concatenate([a, b, b], axis=axis))
        check(f"{name}: transformed", gr.fft.fft(x, axis=axis), np.fft.fft(a, axis=axis))
        gr.save("x.npy", x)
        check(f"{name}: saved", gr.load("x.npy"), a)
        check(f"{name}: median", gr.median(x, axis=axis), np.median(a, axis=axis))
        check(f"{name}: a product", gr.tensordot(x, y, a.ndim), np.tensordot(a, b, a.ndim))
        for along in [*range(a.ndim), None, (0, a.ndim - 1)]:
            for keep in (False, True):
                for call in ("sum", "std", "max"):
                    found, expected = (getattr(each, call)(axis=along, keepdims=keep) for each in (x, a))
                    check(f"{name}: {call} {along}", gr.asarray(found), np.asarray(expected))
            if not isinstance(along, tuple):
                check(f"{name}: argmax {along}", gr.asarray(x.argmax(axis=along)), np.asarray(a.argmax(axis=along)))
                check(f"{name}: cumsum {along}", gr.cumsum(x, axis=along), np.cumsum(a, axis=along))
        check(f"{name}: centred", x - x.mean(axis=-1, keepdims=True), a - a.mean(axis=-1, keepdims=True), axis)
        z, c = x + 0, a + 0
        z[0], c[0] = 5, 5
        z[..., -1] += 1
        c[..., -1] += 1
        z *= 2
        c *= 2
        check(f"{name}: written", z, c)
        view = z.T
        view[0] = -1
        c.T[0] = -1
        check(f"{name}: written through its transpose", z, c)
        gr.wait(z)
        check(f"{name}: after a wait", z.sum(axis=0) if a.ndim > 1 else z, c.sum(axis=0) if a.ndim > 1 else c)
points = rng.standard_normal((3000, 5))
fits = [gr.cluster.KMeans(4, random_state=0).fit(gr.asarray(points).redistribute(axis)) for axis in (0, 1)]
check("K-Means of columns", gr.asarray(fits[1].cluster_centers_), fits[0].cluster_centers_)
small = gr.asarray(np.arange(12.0).reshape(3, 4))
check("a small array", small.redistribute(1), np.arange(12.0).reshape(3, 4))
check("no elements", gr.zeros((0, 5)).redistribute(1), np.zeros((0, 5)))
for axis in (2, -3):
    try:
        small.redistribute(axis)
        wrong.append(f"axis {axis} of a matrix")
    except np.exceptions.AxisError:
        pass
give(wrong=np.array([str(one) for one in wrong]))
"""
TRAFFIC = """
import girih as gr
n, d = 3001, 67
a = np.random.default_rng(5).standard_normal((n, d))
rows = gr.asarray(a)
gr.wait(rows)
gr.report(reset=True)
columns = rows.redistribute(axis=1)
gr.wait(columns)
moved = gr.report(reset=True)["evaluate"]["bytes"]
z = gr.exp(columns) * columns - a[0] + a[:, :1]
turned = (rows.T * 2 + rows.T).T - rows
columns += 1
running = gr.cumsum(z, axis=0)
gr.wait(z, turned, columns, running)
stayed = [name for name in gr.report(reset=True) if name != "control"]
right = np.allclose(np.asarray(z), np.exp(a) * a - a[0] + a[:, :1]) and np.allclose(np.asarray(turned), 2 * a)
give(right=right, moved=moved, stayed=np.array(stayed, str), rows=rows.local.shape[0], columns=columns.local.shape[1])
"""
BITS = """
import girih as gr
x = gr.random.default_rng(8).standard_normal((301, 77, 5)).redistribute(axis=1)
z = gr.sin(x) * x[:, :, ::-1] + gr.swapaxes(gr.swapaxes(x, 0, 1) / 3, 0, 1)

def results():
    found = {"z": z, "sum": z.sum(), "sums": z.sum(axis=(0, 1)), "means": z.mean(axis=1), "std": z.std(axis=0)}
    return {name: np.asarray(one) for name, one in (found | {"scan": gr.cumsum(z, 2)}).items()}

early = results()
gr.wait(z)
same = [one.tobytes() == early[name].tobytes() for name, one in results().items()]
give(same=np.array(same), **early)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_arrays_divided_along_any_axis_are_numpys(on_ranks, ranks):
    for given in on_ranks(VALUES, ranks, threads=2 if ranks == 1 else 1, timeout=120).succeeded().given(ranks):
        assert given["wrong"].tolist() == []


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_what_changes_its_rank_travels_once_and_what_is_computed_stays(on_ranks, ranks):
    given = on_ranks(TRAFFIC, ranks).succeeded().given(ranks)
    for each in given:
        others = sum(int(other["columns"]) for other in given if other is not each)
        assert each["right"]
        # Eight bytes more tell all ranks that nothing failed.
        assert int(each["moved"]) == int(each["rows"]) * others * 8 + 8
        assert each["stayed"].tolist() == []


def test_the_bits_do_not_depend_on_ranks_threads_or_when_they_are_computed(same_bits):
    reference, _ = same_bits(BITS)
    assert reference["same"].all()
