"""Polynomials by their coefficients, the highest power first, with NumPy's names.

Coefficients are few, and whole on every rank; the points at which a polynomial is taken, or to which it is fitted, may
be many and divided among the ranks.
"""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from girih import _native, linalg, ufuncs
from girih.linalg.factors import Matrices
from girih.products import vander

__all__ = [
    "poly", "poly1d", "polyadd", "polyder", "polydiv", "polyfit", "polyint", "polymul", "polysub", "polyval", "roots",
]  # fmt: skip

Coefficients: TypeAlias = Matrices


def _few(p: Coefficients) -> np.ndarray:
    """Coefficients as an array of NumPy's, with one axis."""
    values = np.atleast_1d(np.asarray(p.coeffs if isinstance(p, np.poly1d) else p))
    if values.ndim != 1:
        raise ValueError("Polynomial must be 1d only.")
    return values


class poly1d(np.poly1d):
    """A polynomial as a function, with NumPy's methods; at an array of girih's its values are an array of girih's.

    >>> import girih as gr
    >>> gr.poly1d([1, 0, 2])(gr.arange(3)).tolist()
    [2, 3, 6]
    """

    def __call__(self, val: Any) -> Any:
        return polyval(self.coeffs, val) if isinstance(val, _native.Array) else super().__call__(val)


def polyval(p: Coefficients, x: Coefficients) -> _native.Array:
    """The values of a polynomial at many points; fused into one pass over them.

    >>> import girih as gr
    >>> gr.polyval([1, 0, 2], [0, 1, 2]).tolist()
    [2, 3, 6]
    """
    coefficients, points = _few(p), _native.asarray(x)
    kind = np.result_type(coefficients.dtype, points.dtype)
    points = points.astype(kind)
    value = _native.zeros(points.shape, kind)
    for coefficient in coefficients.astype(kind):
        value = value * points + coefficient
    return value


def polyfit(
    x: Coefficients,
    y: Coefficients,
    deg: int,
    rcond: float | None = None,
    full: bool = False,
    w: Matrices | None = None,
    cov: bool | str = False,
) -> Any:
    """The polynomial of this degree nearest to points, in the sense of least squares; with `full` and `cov` as NumPy's.

    Cost: two passes over the points, whose rows stay where they are.

    >>> import girih as gr
    >>> [round(c, 9) for c in gr.polyfit([0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0], 1).tolist()]
    [2.0, 1.0]
    """
    points, values = linalg.factors.numbers(x), linalg.factors.numbers(y)
    order = int(deg) + 1
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if points.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if points.size == 0:
        raise TypeError("expected non-empty vector for x")
    if values.ndim < 1 or values.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if points.shape[0] != values.shape[0]:
        raise TypeError("expected x and y to have same length")
    rcond = len(points) * np.finfo(points.dtype).eps if rcond is None else rcond
    lhs, rhs = vander(points, order), values
    if w is not None:
        weights = linalg.factors.numbers(w)
        if weights.ndim != 1 or weights.shape[0] != values.shape[0]:
            raise TypeError("expected a 1-d array for weights of the same length as y")
        lhs = lhs * weights[:, None]
        rhs = rhs * (weights if rhs.ndim == 1 else weights[:, None])
    scale = ufuncs.sqrt((lhs * lhs).sum(axis=0))
    found, residuals, rank, s = linalg.lstsq(lhs / scale, rhs, rcond)
    found = found / (scale if found.ndim == 1 else scale[:, None])
    if rank != order and not full:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=2)
    if full:
        return found, residuals, rank, s, rcond
    if not cov:
        return found
    scaled = lhs / scale
    base = linalg.inv(scaled.T @ scaled) / (scale[:, None] * scale)
    factor: Any = 1.0
    if cov != "unscaled":
        if len(points) <= order:
            raise ValueError("the number of data points must exceed order to scale the covariance matrix")
        factor = residuals / (len(points) - order)
    return found, (base * factor if values.ndim == 1 or cov == "unscaled" else base[:, :, None] * factor)


def poly(seq_of_zeros: Coefficients) -> _native.Array:
    """The coefficients of the polynomial with these zeros, or of a square matrix's characteristic polynomial.

    >>> import girih as gr
    >>> gr.poly([1.0, 2.0]).tolist()
    [1.0, -3.0, 2.0]
    """
    zeros = np.atleast_1d(np.asarray(seq_of_zeros))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] != 0:
        zeros = np.asarray(linalg.eigvals(zeros))
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    kind = np.result_type(zeros.dtype, np.float64) if zeros.dtype.kind != "f" else zeros.dtype
    found = np.ones(1, kind)
    for zero in zeros:
        found = _product(found, np.array([1, -zero], kind))
    if found.dtype.kind == "c" and np.all(np.sort(zeros) == np.sort(zeros.conjugate())):
        found = found.real.copy()
    return _native.asarray(found)


def roots(p: Coefficients) -> _native.Array:
    """The zeros of a polynomial: the eigenvalues of its companion matrix.

    >>> import girih as gr
    >>> sorted(round(zero, 9) for zero in gr.roots([1.0, -3.0, 2.0]).tolist())
    [1.0, 2.0]
    """
    coefficients = _few(p)
    places = np.nonzero(coefficients)[0]
    if len(places) == 0:
        return _native.zeros(0)
    behind = len(coefficients) - places[-1] - 1
    coefficients = coefficients[places[0] : places[-1] + 1]
    kind = coefficients.dtype if coefficients.dtype.kind in "fc" else np.dtype(np.float64)
    count = len(coefficients) - 1
    if count == 0:
        return _native.zeros(behind, kind)
    companion = np.diag(np.ones(count - 1, kind), -1)
    companion[0, :] = -coefficients[1:] / coefficients[0]
    found = np.asarray(linalg.eigvals(companion))
    return _native.asarray(np.concatenate([found, np.zeros(behind, found.dtype)]))


def polyadd(a1: Coefficients, a2: Coefficients) -> Any:
    """The sum of two polynomials.

    >>> import girih as gr
    >>> gr.polyadd([1, 2], [1, 0, 0]).tolist()
    [1, 1, 2]
    """
    return _like(np.add(*_alike(a1, a2)), a1, a2)


def polysub(a1: Coefficients, a2: Coefficients) -> Any:
    """The difference of two polynomials.

    >>> import girih as gr
    >>> gr.polysub([1, 0, 0], [1, 2]).tolist()
    [1, -1, -2]
    """
    return _like(np.subtract(*_alike(a1, a2)), a1, a2)


def polymul(a1: Coefficients, a2: Coefficients) -> Any:
    """The product of two polynomials.

    >>> import girih as gr
    >>> gr.polymul([1, 1], [1, -1]).tolist()
    [1, 0, -1]
    """
    return _like(_product(_few(a1), _few(a2)), a1, a2)


def polydiv(u: Coefficients, v: Coefficients) -> tuple[Any, Any]:
    """The quotient of two polynomials, and the rest.

    >>> import girih as gr
    >>> [part.tolist() for part in gr.polydiv([1.0, 0.0, -1.0], [1.0, 1.0])]
    [[1.0, -1.0], [0.0]]
    """
    over, under = _few(u) + 0.0, _few(v) + 0.0
    kind = np.result_type(over.dtype, under.dtype)
    rest, under = over.astype(kind), under.astype(kind)
    m, n = len(over) - 1, len(under) - 1
    quotient = np.zeros(max(m - n + 1, 1), kind)
    for k in range(m - n + 1):
        quotient[k] = rest[k] / under[0]
        rest[k : k + n + 1] -= quotient[k] * under
    while len(rest) > 1 and np.allclose(rest[0], 0, rtol=1e-14):
        rest = rest[1:]
    return _like(quotient, u, v), _like(rest, u, v)


def polyder(p: Coefficients, m: int = 1) -> Any:
    """The derivative of a polynomial, `m` times.

    >>> import girih as gr
    >>> gr.polyder([1, 2, 3]).tolist()
    [2, 2]
    """
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    coefficients = _few(p)
    for _ in range(int(m)):
        coefficients = coefficients[:-1] * np.arange(len(coefficients) - 1, 0, -1)
    return _like(coefficients, p)


def polyint(p: Coefficients, m: int = 1, k: ArrayLike | None = None) -> Any:
    """The antiderivative of a polynomial, `m` times; `k` are the constants.

    >>> import girih as gr
    >>> gr.polyint([2.0, 2.0], k=3).tolist()
    [1.0, 2.0, 3.0]
    """
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else np.atleast_1d(np.asarray(k, dtype=float))
    if len(constants) == 1 and m > 1:
        constants = np.full(m, constants[0])
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    coefficients = _few(p)
    for constant in constants[: int(m)]:
        coefficients = np.append(coefficients / np.arange(len(coefficients), 0, -1), constant)
    return _like(coefficients, p)


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """In one order on every machine, which library routines do not promise."""
    found = np.zeros(len(a) + len(b) - 1, np.result_type(a.dtype, b.dtype))
    for place, factor in enumerate(a):
        found[place : place + len(b)] += factor * b
    return found


def _alike(a: Coefficients, b: Coefficients) -> tuple[np.ndarray, np.ndarray]:
    first, second = _few(a), _few(b)
    length = max(len(first), len(second))
    return np.pad(first, (length - len(first), 0)), np.pad(second, (length - len(second), 0))


def _like(found: np.ndarray, *given: Any) -> Any:
    """A polynomial if one was given, else an array."""
    return poly1d(found) if any(isinstance(one, np.poly1d) for one in given) else _native.asarray(found)
