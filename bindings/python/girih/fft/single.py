"""Transforms along one axis."""

from __future__ import annotations

import math
import operator
from typing import Any, TypeAlias

import numpy as np

from girih import _native
from girih.linalg.factors import Matrices
from girih.products import permuted
from girih.writing import written

Operand: TypeAlias = Matrices
_NORMS = ("backward", "ortho", "forward")
# Below this the lesser factor of a length makes short transforms not worth their exchanges.
_FACTOR_MIN = 16
# A single transform of so many bytes is made of short ones.
_WHOLE_BYTES = 2**16


def scale_of(norm: str | None, n: int, forward: bool) -> float:
    """What a transform of this length is multiplied by."""
    norm = "backward" if norm is None else norm
    if norm not in _NORMS:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    if norm == "ortho":
        return 1.0 / math.sqrt(n)
    return 1.0 / n if (norm == "forward") == forward else 1.0


@written
def fft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The discrete Fourier transform along an axis, of length `n`: elements are cut, or zeros added.

    >>> import girih as gr
    >>> gr.fft.fft([1.0, 0.0, 0.0]).tolist()
    [(1+0j), (1+0j), (1+0j)]
    """
    return _complex(a, n, axis, norm, forward=True)


@written
def ifft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The inverse of `fft`.

    >>> import girih as gr
    >>> gr.fft.ifft([4.0, 0.0, 0.0, 0.0]).tolist()
    [(1+0j), (1+0j), (1+0j), (1+0j)]
    """
    return _complex(a, n, axis, norm, forward=False)


@written
def rfft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The transform of real numbers: the first `n // 2 + 1` elements, which tell the others.

    >>> import girih as gr
    >>> gr.fft.rfft([1.0, 1.0]).tolist()
    [(2+0j), 0j]
    """
    x = _native.asarray(a)
    if x.dtype.kind == "c":
        raise TypeError("rfft takes real numbers; use fft for complex ones")
    x = real_numbers(x)
    n = length_of(x, n, axis)
    scale = scale_of(norm, n, True)
    if _is_long(x, n):
        return _long(resized(x, n).astype(_complex_of(x.dtype)), n, -1.0, scale)[: n // 2 + 1]
    return along("real forward", x, n, axis, scale)


@written
def irfft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The inverse of `rfft`: real numbers, `2 * (m - 1)` of them from m unless `n` says otherwise.

    >>> import girih as gr
    >>> gr.fft.irfft([2.0, 0.0]).tolist()
    [1.0, 1.0]
    """
    x = complex_numbers(_native.asarray(a))
    if x.ndim == 0:
        _no_axis(axis, 0)
    n = 2 * (x.shape[axis] - 1) if n is None else operator.index(n)
    n = length_of(x, n, axis)
    scale = scale_of(norm, n, False)
    if _is_long(x, n // 2 + 1):
        half = resized(x, n // 2 + 1)
        mirrored = half[1 : (n + 1) // 2][::-1].conj()
        return _long(_native.concatenate([half, mirrored]), n, 1.0, scale).real
    return along("real backward", x, n, axis, scale)


@written
def hfft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The transform, which is real, of numbers with Hermitian symmetry, of which half is given.

    >>> import girih as gr
    >>> gr.fft.hfft([1.0, 0.0]).tolist()
    [1.0, 1.0]
    """
    x = complex_numbers(_native.asarray(a))
    n = 2 * (x.shape[axis] - 1) if n is None else n
    return irfft(x.conj(), n, axis, _swapped(norm))


@written
def ihfft(a: Operand, n: int | None = None, axis: int = -1, norm: str | None = None, out: Any = None) -> _native.Array:
    """The inverse of `hfft`.

    >>> import girih as gr
    >>> gr.fft.ihfft([1.0, 1.0]).shape
    (2,)
    """
    return rfft(a, n, axis, _swapped(norm)).conj()


def real_numbers(x: _native.Array) -> _native.Array:
    """Real numbers of a type that transforms know."""
    if x.dtype == np.float16:
        return x.astype(np.float32)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def complex_numbers(x: _native.Array) -> _native.Array:
    """Complex numbers, as many digits as before."""
    return x if x.dtype.kind == "c" else x.astype(_complex_of(real_numbers(x).dtype))


def _complex_of(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.complex64 if dtype == np.float32 else np.complex128)


def length_of(x: _native.Array, n: int | None, axis: int) -> int:
    """The length of a transform along an axis that must be there."""
    if not -x.ndim <= axis < x.ndim:
        _no_axis(axis, x.ndim)
    n = x.shape[axis] if n is None else operator.index(n)
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    return n


def along(kind: str, x: _native.Array, n: int, axis: int, scale: float) -> _native.Array:
    """A native transform along any axis."""
    if x.ndim == 1:
        return _native.fourier(kind, x.reshape(1, -1), n, scale).reshape(-1)
    axis %= x.ndim
    if axis == x.ndim - 1:
        return _native.fourier(kind, x, n, scale)
    order = [*(other for other in range(x.ndim) if other != axis), axis]
    back = [order.index(place) for place in range(x.ndim)]
    return permuted(_native.fourier(kind, permuted(x, order), n, scale), back)


def resized(x: _native.Array, n: int) -> _native.Array:
    """A vector cut or with zeros behind."""
    if x.shape[0] == n:
        return x
    return x[:n] if x.shape[0] > n else _native.concatenate([x, _native.zeros(n - x.shape[0], x.dtype)])


def _complex(a: Operand, n: int | None, axis: int, norm: str | None, forward: bool) -> _native.Array:
    x = complex_numbers(_native.asarray(a))
    n = length_of(x, n, axis)
    scale = scale_of(norm, n, forward)
    if _is_long(x, n):
        return _long(resized(x, n), n, -1.0 if forward else 1.0, scale)
    return along("forward" if forward else "backward", x, n, axis, scale)


def _is_long(x: _native.Array, n: int) -> bool:
    """Whether a single transform is divided among the ranks; a function of lengths alone."""
    return x.ndim == 1 and n * 8 > _WHOLE_BYTES


def _long(x: _native.Array, n: int, sign: float, scale: float) -> _native.Array:
    """A single transform of complex numbers in three exchanges."""
    first = next(factor for factor in range(math.isqrt(n), 0, -1) if n % factor == 0)
    if first < _FACTOR_MIN:
        return _by_convolution(x, n, sign, scale)
    kind = "forward" if sign < 0 else "backward"
    # Element a·n2 + b of the input, k1 + n1·k2 of the result; b, k1 and k2 are in turn the rows.
    columns = _native.fourier(kind, x.reshape(first, n // first).T, first, 1.0)
    inner = _native.twiddled(columns, n, sign)
    return _native.fourier(kind, inner.T, n // first, scale).T.reshape(-1)


def _by_convolution(x: _native.Array, n: int, sign: float, scale: float) -> _native.Array:
    """A transform of any length by two of a power of two, at least twice as long.

    Source: Bluestein, "A linear filtering approach to the computation of the discrete Fourier transform" (1970).
    """
    size = 1 << (2 * n - 2).bit_length()
    factors = _native.chirp(n, n, sign).astype(x.dtype)
    mirrored = factors.conj()
    gap = _native.zeros(size - 2 * n + 1, x.dtype)
    kernel = _native.concatenate([mirrored, gap, mirrored[1:][::-1]])
    product = _long(resized(x * factors, size), size, -1.0, 1.0) * _long(kernel, size, -1.0, 1.0)
    return _long(product, size, 1.0, scale / size)[:n] * factors


def _swapped(norm: str | None) -> str:
    norm = "backward" if norm is None else norm
    if norm not in _NORMS:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return {"backward": "forward", "ortho": "ortho", "forward": "backward"}[norm]


def _no_axis(axis: int, dimensions: int) -> None:
    raise np.exceptions.AxisError(axis, dimensions)
