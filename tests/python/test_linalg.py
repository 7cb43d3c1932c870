"""Linear algebra gives NumPy's values, shapes and errors, and the same bits at every number of ranks."""

from __future__ import annotations

import girih as gr
import numpy as np
import pytest

SHAPES = [
    (1, 1),
    (5, 5),
    (7, 3),
    (3, 7),
    (120, 120),
    (40_000, 5),
    (900, 200),
    (5003, 1),
    (391, 391),
    (300, 420),
    (640, 257),
    (4, 6, 6),
    (700, 5, 3),
    (2, 3, 4, 4),
]
TOLERANCE = {"float64": 1e-9, "float32": 2e-3, "complex128": 1e-9, "complex64": 2e-3}


def noise(shape, dtype="float64", seed=0):
    rng = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "c":
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def check_close(found, expected, dtype="float64", scale=1.0):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0) <= TOLERANCE[dtype] * scale * (1 + np.abs(expected).max(initial=0))


def adjoint(x):
    return np.swapaxes(x, -1, -2).conj()


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", SHAPES)
def test_factors_multiply_to_the_matrix(shape, dtype):
    x = noise(shape, dtype)
    q, r = (np.asarray(part) for part in gr.linalg.qr(gr.asarray(x)))
    assert q.dtype == r.dtype == x.dtype
    check_close(q @ r, x, dtype)
    check_close(adjoint(q) @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], q.shape[-1], q.shape[-1])), dtype)
    assert (np.tril(r, -1) == 0).all()
    diagonal = np.diagonal(r, axis1=-2, axis2=-1)
    assert (diagonal.real >= 0).all()
    check_close(diagonal.imag, np.zeros(diagonal.shape), dtype)
    check_close(np.abs(r), np.abs(np.linalg.qr(x, "r")), dtype)
    u, s, vh = (np.asarray(part) for part in gr.linalg.svd(gr.asarray(x), full_matrices=False))
    check_close(u * s[..., None, :] @ vh, x, dtype)
    check_close(s, np.linalg.svd(x, compute_uv=False), dtype)
    check_close(gr.linalg.svdvals(x), s, dtype)
    check_close(adjoint(u) @ u, np.broadcast_to(np.eye(s.shape[-1]), (*shape[:-2], s.shape[-1], s.shape[-1])), dtype)
    if max(shape) < 1000:
        full, s, vh = (np.asarray(part) for part in gr.linalg.svd(x))
        assert full.shape == (*shape[:-1], shape[-2])
        assert vh.shape == (*shape[:-2], shape[-1], shape[-1])
        q, r = (np.asarray(part) for part in gr.linalg.qr(x, mode="complete"))
        assert q.shape == full.shape
        check_close(q @ r, x, dtype)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape[-1] == shape[-2]])
def test_square_matrices(shape, dtype):
    n = shape[-1]
    x = noise(shape, dtype) + 3 * np.sqrt(n) * np.eye(n, dtype=dtype)
    b = noise((*shape[:-1], 2), dtype, seed=1)
    check_close(gr.linalg.solve(x, b), np.linalg.solve(x, b), dtype)
    check_close(gr.linalg.inv(x), np.linalg.inv(x), dtype)
    sign, size = gr.linalg.slogdet(x)
    check_close(sign, np.linalg.slogdet(x)[0], dtype)
    check_close(size, np.linalg.slogdet(x)[1], dtype)
    positive = x @ adjoint(x)
    check_close(gr.linalg.cholesky(positive), np.linalg.cholesky(positive), dtype)
    check_close(gr.linalg.cholesky(positive, upper=True), np.linalg.cholesky(positive, upper=True), dtype)
    values, vectors = (np.asarray(part) for part in gr.linalg.eigh(positive))
    check_close(values, np.linalg.eigvalsh(positive), dtype)
    check_close(gr.linalg.eigvalsh(positive, UPLO="U"), values, dtype)
    check_close(vectors * values[..., None, :] @ adjoint(vectors), positive, dtype)
    check_close(gr.linalg.det(x / n), np.linalg.det(x / n), dtype)
    values, vectors = (np.asarray(part) for part in gr.linalg.eig(x))
    check_close(x @ vectors, vectors * values[..., None, :], dtype, scale=10)
    check_close(np.sort_complex(gr.linalg.eigvals(x)), np.sort_complex(np.linalg.eigvals(x)), dtype, scale=10)
    check_close(gr.linalg.matrix_power(x, 3), np.linalg.matrix_power(x, 3), dtype, scale=10)
    check_close(gr.linalg.matrix_power(x, -2), np.linalg.matrix_power(x, -2), dtype)
    check_close(gr.linalg.pinv(x), np.linalg.pinv(x), dtype)
    check_close(gr.linalg.matrix_rank(x), np.linalg.matrix_rank(x))
    for p in (None, 1, -1, 2, -2, np.inf, "fro"):
        check_close(gr.linalg.cond(x, p), np.linalg.cond(x, p), dtype, scale=10)


def test_the_determinant_is_exact_in_sign():
    for n in range(1, 6):
        for seed in range(4):
            x = noise((n, n), seed=seed)
            check_close(gr.linalg.det(x), np.linalg.det(x))
    assert gr.linalg.det(np.zeros((2, 2))).item() == 0.0
    assert gr.linalg.slogdet(np.zeros((2, 2))).logabsdet.item() == -np.inf


@pytest.mark.parametrize("shape", [(5,), (30_000,), (5, 4), (9000, 3), (30, 4, 5)])
def test_norms(shape):
    x = noise(shape)
    for order in (None, 1, 2, 3, 0, np.inf, -np.inf, -1, -2, "fro", "nuc"):
        for axis in (None, 0, -1, (0, 1), (-2, -1)):
            for keep in (False, True):
                try:
                    expected = np.linalg.norm(x, order, axis, keep)
                except ValueError as error:
                    with pytest.raises(type(error)):
                        gr.linalg.norm(x, order, axis, keep)
                    continue
                check_close(gr.linalg.norm(x, order, axis, keep), expected)
    check_close(gr.linalg.vector_norm(x, axis=0, ord=3), np.linalg.vector_norm(x, axis=0, ord=3))
    if x.ndim > 1:
        check_close(gr.linalg.matrix_norm(x, ord="nuc"), np.linalg.matrix_norm(x, ord="nuc"))


@pytest.mark.parametrize(("m", "n"), [(6, 3), (3, 6), (30_000, 4), (5, 5)])
def test_least_squares(m, n):
    a, b = noise((m, n)), noise((m, 2), seed=3)
    z, c = noise((m, n), "complex128"), noise((m, 2), "complex128", seed=3)
    check_close(gr.linalg.lstsq(z, c)[0], np.linalg.lstsq(z, c)[0])
    for sides in (b, b[:, 0]):
        found, expected = gr.linalg.lstsq(a, sides), np.linalg.lstsq(a, sides)
        for ours, theirs in zip(found, expected, strict=True):
            check_close(ours, theirs)
    deficient = a.copy()
    deficient[:, -1] = deficient[:, 0]
    found, expected = gr.linalg.lstsq(deficient, b), np.linalg.lstsq(deficient, b)
    assert found[2] == expected[2]
    check_close(found[0], expected[0])
    assert gr.linalg.matrix_rank(deficient).item() == np.linalg.matrix_rank(deficient)


def test_a_tall_matrix_of_dependent_columns_keeps_orthonormal_factors():
    x = noise((30_000, 6))
    x[:, 3] = x[:, 0] - x[:, 1]
    x[:, 5] = 0
    q, r = (np.asarray(part) for part in gr.linalg.qr(gr.asarray(x)))
    check_close(q.T @ q, np.eye(6))
    check_close(q @ r, x)
    graded = noise((30_000, 8)) * 10.0 ** -np.arange(0, 16, 2)
    q, r = (np.asarray(part) for part in gr.linalg.qr(gr.asarray(graded)))
    check_close(q.T @ q, np.eye(8))
    check_close(q @ r, graded)


def test_products_of_several_and_tensors():
    a, b, c, v = noise((3, 40)), noise((40, 5)), noise((5, 30)), noise((30,))
    check_close(gr.linalg.multi_dot([a, b, c, v]), np.linalg.multi_dot([a, b, c, v]))
    tensor = noise((6, 4, 2, 12))
    check_close(gr.linalg.tensorsolve(tensor[:, :, :, :], noise((6, 4))), np.linalg.tensorsolve(tensor, noise((6, 4))))
    check_close(gr.linalg.tensorinv(noise((4, 6, 8, 3))), np.linalg.tensorinv(noise((4, 6, 8, 3))))
    x, y = noise((2000, 7, 3)), noise((2000, 7, 3), seed=5)
    check_close(gr.linalg.cross(x, y), np.linalg.cross(x, y))
    check_close(gr.linalg.vecdot(x, y), np.linalg.vecdot(x, y))
    check_close(gr.linalg.diagonal(x, offset=-2), np.linalg.diagonal(x, offset=-2))
    check_close(gr.linalg.trace(x, offset=1), np.linalg.trace(x, offset=1))
    check_close(gr.linalg.matrix_transpose(x), np.linalg.matrix_transpose(x))


def test_a_low_rank_is_found():
    x = noise((20_000, 5)) @ noise((5, 60)) + 1e-9 * noise((20_000, 60))
    u, s, vh = (np.asarray(part) for part in gr.linalg.svd_lowrank(gr.asarray(x), 5))
    check_close(s, np.linalg.svd(x, compute_uv=False)[:5])
    check_close(u * s @ vh, x, scale=10)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (0, 2, 2), (2, 0, 3)])
def test_empty_matrices(shape):
    x = np.zeros(shape)
    for ours, theirs in zip(gr.linalg.qr(x), np.linalg.qr(x), strict=True):
        assert ours.shape == theirs.shape
    assert gr.linalg.svdvals(x).shape == np.linalg.svdvals(x).shape
    assert gr.linalg.pinv(x).shape == np.linalg.pinv(x).shape
    if shape[-1] == shape[-2]:
        check_close(gr.linalg.det(x), np.linalg.det(x))
        assert gr.linalg.inv(x).shape == shape


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda m: m.linalg.solve([[1.0, 1.0], [1.0, 1.0]], [1.0, 2.0]), np.linalg.LinAlgError, "Singular matrix"),
        (lambda m: m.linalg.inv(np.zeros((200, 200))), np.linalg.LinAlgError, "Singular matrix"),
        (lambda m: m.linalg.cholesky([[1.0, 2.0], [2.0, 1.0]]), np.linalg.LinAlgError, "not positive definite"),
        (lambda m: m.linalg.svd([[np.nan, 1.0]]), np.linalg.LinAlgError, "SVD did not converge"),
        (lambda m: m.linalg.det(np.ones((2, 3))), np.linalg.LinAlgError, "must be square"),
        (lambda m: m.linalg.qr(np.ones(3)), np.linalg.LinAlgError, "1-dimensional array given"),
        (lambda m: m.linalg.solve(np.eye(3), np.ones(2)), ValueError, "mismatch in its core dimension"),
        (lambda m: m.linalg.matrix_power(np.eye(2), 0.5), TypeError, "exponent must be an integer"),
        (lambda m: m.linalg.norm(np.ones((2, 2)), 7), ValueError, "Invalid norm order"),
    ],
)
def test_mistakes_are_numpys(call, kind, text):
    for module in (np, gr):
        with pytest.raises(kind, match=text):
            call(module)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("count", [1, 130])
def test_equations_of_a_large_matrix(dtype, count):
    x, b = noise((300, 300), dtype), noise((300, count), dtype, seed=1)
    found = np.asarray(gr.linalg.solve(gr.asarray(x), gr.asarray(b)))
    check_close(x @ found, b, dtype, scale=100)
    check_close(gr.linalg.solve(x, b[:, 0]), found[:, 0], dtype)
    assert gr.linalg.solve(x, np.ones((300, 0), dtype)).shape == (300, 0)


def test_a_large_matrix_of_dependent_columns():
    x = noise((300, 2)) @ noise((2, 300), seed=1)
    x[:, 200:] = 0
    q, r = (np.asarray(part) for part in gr.linalg.qr(x))
    check_close(q.T @ q, np.eye(300))
    check_close(q @ r, x)
    x[:, 0] = 0
    assert gr.linalg.det(x).item() == 0.0
    assert gr.linalg.slogdet(x).logabsdet.item() == -np.inf
    for call in (gr.linalg.inv, lambda x: gr.linalg.solve(x, x)):
        with pytest.raises(np.linalg.LinAlgError, match="Singular matrix"):
            call(x)
    late = np.eye(300)
    late[290, 290] = -1
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        gr.linalg.cholesky(late)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        gr.linalg.cholesky(np.where(np.eye(300) == 1, np.nan, 0))


def test_exchanged_rows_are_those_of_numpy():
    order = np.random.default_rng(0).permutation(400)
    x = np.eye(400)[order] * 2
    check_close(gr.linalg.inv(x), np.linalg.inv(x))
    assert gr.linalg.slogdet(x).sign.item() == np.linalg.slogdet(x).sign


TRAFFIC = """
import girih as gr
n = 1000
x = gr.random.default_rng(0).standard_normal((n, n))
positive = x @ x.T + n * gr.eye(n)
gr.wait(positive)
gr.report(reset=True)
gr.linalg.cholesky(positive)
give(sent=gr.report()["evaluate"]["bytes"] if gr.size() > 1 else 0, rows=positive.local.shape[0])
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_panel_is_sent_once_to_each_rank_that_needs_it(on_ranks, ranks):
    n, item, width = 1000, 8, 128
    widths = [min(width, n - first) for first in range(0, n, width)]
    blocks = range(len(widths))
    for rank, given in enumerate(on_ranks(TRAFFIC, ranks).succeeded().given(ranks)):
        rows, own = int(given["rows"]), [block for block in blocks if block % ranks == rank]
        to_columns = rows * sum(widths[block] for block in blocks if block not in own)
        back_to_rows = sum(widths[block] for block in own) * (n - rows)
        panels = 0
        for block in own:
            others = {later % ranks for later in blocks if later > block} - {rank}
            panels += (n - block * width) * widths[block] * len(others)
        agreement = 8 if ranks > 1 else 0
        assert given["sent"] == item * (to_columns + panels + back_to_rows) + agreement


EVERYWHERE = """
import girih as gr
rng = np.random.default_rng(5)
found = {}
def keep(name, *values):
    found.update(digests({f"{name} {part}": v for part, v in enumerate(values)}))
for shape in [(30_011, 7), (2000, 90), (300, 300), (420, 270), (4000, 5, 5), (6, 200, 200)]:
    for dtype in ("float64", "float32", "complex128"):
        values = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype == "complex128" else 0)
        x = gr.asarray(values.astype(dtype))
        keep(f"qr {shape} {dtype}", *gr.linalg.qr(x))
        keep(f"svd {shape} {dtype}", *gr.linalg.svd(x, full_matrices=False))
        keep(f"norms {shape} {dtype}", gr.linalg.norm(x), gr.linalg.norm(x, axis=0), gr.linalg.norm(x, axis=-1))
        keep(f"pinv {shape} {dtype}", gr.linalg.pinv(x))
        if shape[-1] == shape[-2]:
            y = x @ gr.matrix_transpose(x).conj()
            keep(f"square {shape} {dtype}", gr.linalg.inv(x), gr.linalg.det(x), *gr.linalg.eigh(y),
                 gr.linalg.solve(x, x), gr.linalg.solve(x, x[..., :1]), gr.linalg.matrix_power(x, 3),
                 gr.linalg.cholesky(y + shape[-1] * gr.eye(shape[-1]).astype(dtype)))
        elif len(shape) == 2:
            keep(f"lstsq {shape} {dtype}", *gr.linalg.lstsq(x, x[:, 0]))
keep("lowrank", *gr.linalg.svd_lowrank(gr.asarray(rng.standard_normal((9000, 30))), 4))
mistakes = []
for call in (lambda: gr.linalg.inv(gr.zeros((300, 300))), lambda: gr.linalg.cholesky(-gr.eye(300))):
    try:
        call()
    except np.linalg.LinAlgError as error:
        mistakes.append(str(error))
x = gr.asarray(rng.standard_normal((100_000, 8)))
gr.wait(x)
gr.report(reset=True)
gr.wait(gr.linalg.qr(x, mode="r"))
sent = sum(row["bytes"] for row in gr.report().values())
give(mistakes=mistakes, sent=sent, **found)
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    reference, sent = same_bits(EVERYWHERE)
    assert reference["mistakes"].tolist() == ["Singular matrix", "Matrix is not positive definite"]
    assert max(bytes for _, bytes in sent) < 200_000, "triangles travel, and a few rows near the ends of ranks"


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("scale", [1e-30, 4e18, 1e30])
def test_numbers_whose_squares_are_infinite_or_zero_have_singular_values(dtype, scale):
    x = (np.random.default_rng(0).standard_normal((7, 5)) * scale).astype(dtype)
    np.testing.assert_allclose(gr.linalg.svd(x, compute_uv=False), np.linalg.svd(x, compute_uv=False), rtol=1e-5)
    u, s, v = (np.asarray(part) for part in gr.linalg.svd(x, full_matrices=False))
    np.testing.assert_allclose((u * (s / scale)) @ v, x / scale, atol=1e-5)


def test_names_are_numpys():
    """What of NumPy's functions is not there, with the reason."""
    absent = {"test": "runs NumPy's own tests"}
    theirs = {name for name in np.linalg.__all__ if callable(getattr(np.linalg, name))}
    missing = theirs - set(gr.linalg.__all__)
    assert missing <= set(absent), missing
