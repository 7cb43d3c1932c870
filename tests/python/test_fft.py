"""Transforms give NumPy's values, shapes and types, and the same bits at every number of ranks."""

from __future__ import annotations

import girih as gr
import numpy as np
import pytest

COMPLEX, REAL, HALF = ("fft", "ifft"), ("rfft", "ihfft"), ("irfft", "hfft")
SHAPES = [(1,), (8,), (15,), (300, 7), (9000, 3), (5, 4, 3), (2000, 2, 5)]
# Powers of two, many factors, a prime, a prime by a small number; all divided among ranks.
LONG = [16_384, 30_030, 20_011, 2 * 10_007]


def noise(shape, kind="float64"):
    rng = np.random.default_rng([7, *np.atleast_1d(shape)])
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if np.dtype(kind).kind == "c" else values).astype(kind)


def check_close(found, expected):
    found = np.asarray(found)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    single = expected.dtype in (np.float32, np.complex64)
    limit = (2e-5 if single else 1e-11) * (1 + np.abs(expected).max(initial=0))
    assert np.abs(found - expected).max(initial=0) <= limit


@pytest.mark.parametrize("kind", ["float64", "float32", "complex128", "complex64", "int64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_one_axis(shape, kind):
    x = (9 * noise(shape, kind)).astype(kind)
    for name in COMPLEX + HALF + (REAL if np.dtype(kind).kind != "c" else ()):
        for axis in range(-1, x.ndim):
            for n in (None, 1, 5, 16):
                for norm in (None, "ortho", "forward"):
                    if name in HALF and n is None and shape[axis] == 1:
                        continue
                    expected = getattr(np.fft, name)(x, n, axis, norm)
                    check_close(getattr(gr.fft, name)(x, n, axis, norm), expected)


@pytest.mark.parametrize("length", LONG)
def test_a_long_transform(length):
    z, x = noise(length, "complex128"), noise(length)
    for norm in (None, "ortho", "forward"):
        check_close(gr.fft.fft(z, norm=norm), np.fft.fft(z, norm=norm))
    check_close(gr.fft.ifft(z), np.fft.ifft(z))
    check_close(gr.fft.rfft(x), np.fft.rfft(x))
    check_close(gr.fft.fft(x, n=length + 1000), np.fft.fft(x, n=length + 1000))
    check_close(gr.fft.fft(x, n=length - 1000), np.fft.fft(x, n=length - 1000))
    check_close(gr.fft.irfft(z, n=length), np.fft.irfft(z, n=length))
    check_close(gr.fft.irfft(z[: length // 2 + 1], n=length), np.fft.irfft(z[: length // 2 + 1], n=length))
    check_close(gr.fft.fft(z.astype("complex64")), np.fft.fft(z.astype("complex64")))


@pytest.mark.parametrize("shape", [(8, 6), (300, 40), (5, 4, 6), (2000, 3, 4)])
def test_several_axes(shape):
    x, z = noise(shape), noise(shape, "complex128")
    for name in ("fft2", "ifft2", "fftn", "ifftn", "irfft2", "irfftn"):
        check_close(getattr(gr.fft, name)(z), getattr(np.fft, name)(z))
    for name in ("rfft2", "rfftn"):
        check_close(getattr(gr.fft, name)(x), getattr(np.fft, name)(x))
    check_close(gr.fft.fftn(z, axes=(0,)), np.fft.fftn(z, axes=(0,)))
    check_close(gr.fft.fftn(z, s=(7, 4), axes=(0, 1)), np.fft.fftn(z, s=(7, 4), axes=(0, 1)))
    check_close(gr.fft.irfftn(z, s=(4, 6), axes=(0, 1)), np.fft.irfftn(z, s=(4, 6), axes=(0, 1)))
    for axes in (None, 0, (0, 1)):
        check_close(gr.fft.fftshift(x, axes), np.fft.fftshift(x, axes))
        check_close(gr.fft.ifftshift(x, axes), np.fft.ifftshift(x, axes))


@pytest.mark.parametrize("n", [1, 2, 7, 20_001, 20_002])
def test_frequencies(n):
    check_close(gr.fft.fftfreq(n, 0.5), np.fft.fftfreq(n, 0.5))
    check_close(gr.fft.rfftfreq(n), np.fft.rfftfreq(n))


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda m: m.fft.fft(np.ones(3), n=0), ValueError),
        (lambda m: m.fft.fft(np.ones(3), axis=1), (IndexError, ValueError)),
        (lambda m: m.fft.fft(np.ones(3), norm="none"), ValueError),
        (lambda m: m.fft.rfft(np.ones(3, complex)), TypeError),
        (lambda m: m.fft.fftfreq(0.5), ValueError),
    ],
)
def test_mistakes_are_numpys(call, kind):
    for module in (np, gr):
        with pytest.raises(kind):
            call(module)


def test_all_of_numpys_names_are_there():
    assert set(np.fft.__all__) - set(gr.fft.__all__) == set()


def test_convolutions():
    for n, m in [(7, 3), (3, 7), (1, 1), (30_000, 5), (30_000, 1500), (20, 20_000)]:
        for kind in ("float64", "float32", "int64", "complex128"):
            x, y = (3 * noise(n, kind)).astype(kind), (3 * noise(m, kind)).astype(kind)
            for mode in ("full", "same", "valid"):
                check_close(gr.convolve(x, y, mode), np.convolve(x, y, mode))
                check_close(gr.correlate(x, y, mode), np.correlate(x, y, mode))
    with pytest.raises(ValueError, match="cannot be empty"):
        gr.convolve([1.0], [])


EVERYWHERE = """
import girih as gr
rng = np.random.default_rng(9)
x = gr.asarray(rng.standard_normal((4001, 6)))
found = {"rows": gr.fft.fft(x), "columns": gr.fft.fft(x, axis=0), "all": gr.fft.fftn(x), "real": gr.fft.rfftn(x)}
for length in (16_384, 20_011, 30_030):
    v = gr.asarray(rng.standard_normal(length))
    found[f"{length}"] = gr.fft.fft(v)
    found[f"{length} back"] = gr.fft.irfft(gr.fft.rfft(v), n=length)
    found[f"{length} convolved"] = gr.convolve(v, v[:100])
v = gr.asarray(rng.standard_normal(1 << 17)) + 0j
gr.wait(v)
gr.report(reset=True)
gr.wait(gr.fft.fft(v))
give(sent=sum(row["bytes"] for row in gr.report().values()), **digests(found))
"""


def test_the_bits_do_not_depend_on_ranks_threads_or_tiles(same_bits):
    for ranks, sent in same_bits(EVERYWHERE)[1]:
        # Three exchanges, in each of which a rank sends no more than it has.
        assert sent <= 3 * (1.1 * 16 * 2**17 / ranks) + 1000
