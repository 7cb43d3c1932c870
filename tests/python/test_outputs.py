"""`out=` writes where the caller wants it, through views too, on any number of ranks; what does not fit is refused."""

from __future__ import annotations

import numpy as np
import pytest

import girih as gr

PROGRAM = """
import girih as gr
x = gr.random.default_rng(5).standard_normal((20_001, 4))
CASES = {
    "fft": lambda out: gr.fft.fft(x, axis=0, out=out),
    "ifft2": lambda out: gr.fft.ifft2(x, out=out),
    "rfft": lambda out: gr.fft.rfft(x[:, 0].copy(), None, -1, None, out),
    "random": lambda out: gr.random.default_rng(1).random((20_001, 4), out=out),
    "gamma": lambda out: gr.random.default_rng(1).standard_gamma(2.5, (9001, 2), "float32", out),
    "permuted": lambda out: gr.random.default_rng(1).permuted(x, axis=1, out=out),
    "einsum": lambda out: gr.einsum("ij,kj->ik", x, x[:3], out=out),
    "matmul": lambda out: gr.matmul(x, x[:3].T, out=out),
    "dot": lambda out: gr.dot(x[0], x.T, out),
    "cdist": lambda out: gr.spatial.distance.cdist(x, x[:5], out=out),
    "add": lambda out: gr.add(x, 1, out=out),
    "sum": lambda out: gr.sum(x, axis=0, out=out),
    "cumsum": lambda out: gr.cumsum(x, axis=0, out=out),
    "median": lambda out: gr.median(x, axis=1, out=out),
    "quantile": lambda out: gr.quantile(x, [0.1, 0.9], axis=0, out=out),
    "take": lambda out: gr.take(x, [7, 19_000, 7], axis=0, out=out),
    "round": lambda out: gr.round(x, 2, out=out),
    "maximum.reduce": lambda out: gr.maximum.reduce(x, axis=0, out=out),
    "add.reduceat": lambda out: gr.add.reduceat(x, [0, 7, 12_000], out=out),
}
wrong = []
for name, run in CASES.items():
    fresh = run(None)
    base = gr.zeros((2 * fresh.shape[0], *fresh.shape[1:]), dtype=fresh.dtype)
    view = base[1::2]
    given = run(view)
    if given is not view or not gr.array_equal(base[1::2], fresh) or bool((base[::2] != 0).any()):
        wrong.append(name)
give(wrong=wrong)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_results_are_written_to_views_of_other_arrays(on_ranks, ranks):
    for given in on_ranks(PROGRAM, ranks).succeeded().given(ranks):
        assert given["wrong"].tolist() == []


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (lambda: gr.fft.fft(gr.ones(4), out=gr.zeros(4)), TypeError),
        (lambda: gr.fft.fft(gr.ones(4), out=gr.zeros(3, dtype=complex)), ValueError),
        (lambda: gr.fft.fft(gr.ones(4), out=np.zeros(4, dtype=complex)), TypeError),
        (lambda: gr.matmul(gr.ones((2, 3)), gr.ones((3, 2)), out=gr.zeros((1, 2, 2))), ValueError),
        (lambda: gr.matmul(gr.ones((2, 3)), gr.ones((3, 2)), out=gr.zeros((2, 2), dtype=int)), TypeError),
        (lambda: gr.matmul(gr.ones((2, 3)), gr.ones((3, 2)), out=np.zeros((2, 2))), TypeError),
        (lambda: gr.dot(gr.ones(3), gr.ones(3), gr.zeros((), dtype="float32")), TypeError),
        (lambda: gr.matmul(gr.ones((2, 2)), gr.ones((2, 2)), dtype=int), TypeError),
        (lambda: gr.random.default_rng(1).random(3, out=gr.zeros(4)), ValueError),
        (lambda: gr.random.default_rng(1).random(out=gr.zeros(4, dtype="float32")), TypeError),
        (lambda: gr.random.default_rng(1).permuted([1, 2], out=gr.zeros(3)), ValueError),
        (lambda: gr.add(1, 2, out=gr.broadcast_to(gr.zeros(1), 3)), ValueError),
    ],
)
def test_what_does_not_fit_is_refused(run, error):
    with pytest.raises(error):
        run()
