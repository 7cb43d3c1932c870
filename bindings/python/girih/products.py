"""Products of arrays with NumPy's names: dot, tensordot, kron, cov and their kin.

Each is made of `matmul`, elementwise products and sums, so sums run in one order and the bits do not depend on ranks or
threads. `x.T @ x` moves partial products of d×d, never rows.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from girih import _native, ufuncs
from girih.linalg.factors import Matrices, conjugate

Operand: TypeAlias = Matrices

__all__ = [
    "convolve", "corrcoef", "correlate", "cov", "cross", "dot", "inner", "kron", "matmul", "matvec", "outer",
    "tensordot", "vander", "vdot", "vecdot", "vecmat",
]  # fmt: skip


def matmul(
    x1: Operand, x2: Operand, /, out: _native.Array | None = None, *, casting: str = "same_kind", dtype: Any = None
) -> _native.Array:
    """The matrix product; more axes are those of a stack of matrices.

    Each element's sum runs in one order, so its bits do not depend on ranks, threads or tiles. `dtype` is the type in
    which it is computed, `out` an array that the product is written to if `casting` allows it.

    >>> import girih as gr
    >>> gr.matmul(gr.ones((2, 3)), gr.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """
    left, right = _native.asarray(x1), _native.asarray(x2)
    if dtype is not None:
        left, right = left.astype(dtype, casting=casting), right.astype(dtype, casting=casting)
    found = _native.matmul(left, right)
    return found if out is None else _onto("matmul", found, out, casting)


def dot(a: Operand, b: Operand, out: _native.Array | None = None) -> _native.Array:
    """The product of vectors and matrices; of more axes, over the last of `a` and the last but one of `b`.

    >>> import girih as gr
    >>> gr.dot([1, 2], [3, 4]).item()
    11
    """
    if out is not None:
        return _onto("dot", dot(a, b), out, "no")
    x, y = _native.asarray(a), _native.asarray(b)
    if x.ndim == 0 or y.ndim == 0:
        return x * y
    if x.ndim <= 2 and y.ndim <= 2:
        return _native.matmul(x, y)
    return tensordot(x, y, axes=(-1, -1 if y.ndim == 1 else -2))


def vdot(a: Operand, b: Operand) -> _native.Array:
    """The sum of products of all elements, those of `a` conjugated.

    >>> import girih as gr
    >>> gr.vdot([[1, 2]], [[3, 4]]).item()
    11
    """
    x, y = (one if one.ndim == 1 else one.reshape(-1) for one in (_native.asarray(a), _native.asarray(b)))
    return _native.matmul(conjugate(x) if x.dtype.kind == "c" else x, y)


def inner(a: Operand, b: Operand) -> _native.Array:
    """The sums of products over the last axes.

    >>> import girih as gr
    >>> gr.inner([[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    x, y = _native.asarray(a), _native.asarray(b)
    return x * y if x.ndim == 0 or y.ndim == 0 else tensordot(x, y, axes=(-1, -1))


def outer(a: Operand, b: Operand) -> _native.Array:
    """All products of an element of `a` and one of `b`.

    >>> import girih as gr
    >>> gr.outer([1, 2], [3, 4]).tolist()
    [[3, 4], [6, 8]]
    """
    return _native.asarray(a).reshape(-1)[:, None] * _native.asarray(b).reshape(-1)


def tensordot(a: Operand, b: Operand, axes: Any = 2) -> _native.Array:
    """The sums of products over axes of both: so many last and first ones, or two sequences.

    >>> import girih as gr
    >>> gr.tensordot(gr.ones((2, 3)), gr.ones((3, 4)), axes=1).shape
    (2, 4)
    """
    x, y = _native.asarray(a), _native.asarray(b)
    if np.ndim(axes) == 0:
        count = operator.index(axes)
        left, right = list(range(x.ndim - count, x.ndim)), list(range(count))
    else:
        left, right = ([side] if np.ndim(side) == 0 else list(side) for side in axes)
    if len(left) != len(right):
        raise ValueError("shape-mismatch for sum")
    left = [axis % x.ndim if -x.ndim <= axis < x.ndim else _no_axis(axis, x.ndim) for axis in left]
    right = [axis % y.ndim if -y.ndim <= axis < y.ndim else _no_axis(axis, y.ndim) for axis in right]
    if any(x.shape[i] != y.shape[j] for i, j in zip(left, right, strict=True)):
        raise ValueError("shape-mismatch for sum")
    rows = [axis for axis in range(x.ndim) if axis not in left]
    columns = [axis for axis in range(y.ndim) if axis not in right]
    shape = [x.shape[axis] for axis in rows] + [y.shape[axis] for axis in columns]
    inner_length = int(np.prod([x.shape[axis] for axis in left]))
    m, n = int(np.prod([x.shape[axis] for axis in rows])), int(np.prod([y.shape[axis] for axis in columns]))
    if left + rows == list(range(x.ndim)):
        # Summed axes in front: the product across rows moves no rows.
        flat = x.reshape(inner_length, m).T
    else:
        flat = permuted(x, rows + left).reshape(m, inner_length)
    return _native.matmul(flat, permuted(y, right + columns).reshape(inner_length, n)).reshape(*shape)


def matvec(x1: Operand, x2: Operand, /) -> _native.Array:
    """Products of matrices with vectors, along the last axes.

    >>> import girih as gr
    >>> gr.matvec([[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    x, y = _native.asarray(x1), _native.asarray(x2)
    return _native.matmul(x, y) if y.ndim == 1 else _native.matmul(x, y[..., None])[..., 0]


def vecmat(x1: Operand, x2: Operand, /) -> _native.Array:
    """Products of vectors, conjugated, with matrices, along the last axes.

    >>> import girih as gr
    >>> gr.vecmat([1, 1], [[1, 2], [3, 4]]).tolist()
    [4, 6]
    """
    x, y = conjugate(_native.asarray(x1)), _native.asarray(x2)
    return _native.matmul(x, y) if x.ndim == 1 else _native.matmul(x[..., None, :], y)[..., 0, :]


def vecdot(x1: Operand, x2: Operand, /, *, axis: int = -1) -> _native.Array:
    """Sums of products of vectors, those of `x1` conjugated, along an axis of both.

    >>> import girih as gr
    >>> gr.vecdot([[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    x, y = _native.asarray(x1), _native.asarray(x2)
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("vecdot: Input operand does not have enough dimensions (has 0, requires 1)")
    x, y = moved_last(x, axis), moved_last(y, axis)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"vecdot: Input operand 1 has a mismatch in its core dimension 0, with gufunc signature (n),(n)->() "
            f"(size {y.shape[-1]} is different from {x.shape[-1]})"
        )
    if x.dtype == np.bool_ and y.dtype == np.bool_:
        return (x & y).any(axis=-1)
    products = conjugate(x) * y
    return products.sum(axis=-1, dtype=products.dtype)


def kron(a: Operand, b: Operand) -> _native.Array:
    """The Kronecker product: blocks of `b`, each times an element of `a`.

    >>> import girih as gr
    >>> gr.kron([1, 10], [1, 2]).tolist()
    [1, 2, 10, 20]
    """
    x, y = _native.asarray(a), _native.asarray(b)
    axes = max(x.ndim, y.ndim)
    left = [1] * (axes - x.ndim) + list(x.shape)
    right = [1] * (axes - y.ndim) + list(y.shape)
    spread = x.reshape(*[length for one in left for length in (one, 1)])
    product = spread * y.reshape(*[length for one in right for length in (1, one)])
    return product.reshape(*[one * other for one, other in zip(left, right, strict=True)])


def trace(a: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None) -> _native.Array:
    """The sums along diagonals.

    `gr.trace(path)` records a trace; of anything but a path it is this.

    >>> import girih as gr
    >>> gr.trace(gr.eye(3)).item()
    3.0
    """
    found = _native.diagonal(a, offset, axis1, axis2)
    return (found if dtype is None else found.astype(dtype)).sum(axis=-1)


def cross(a: Operand, b: Operand, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """The cross product of vectors of length 3 along an axis.

    >>> import girih as gr
    >>> gr.cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = moved_last(_native.asarray(a), axisa), moved_last(_native.asarray(b), axisb)
    if x.shape[-1] != 3 or y.shape[-1] != 3:
        raise ValueError(
            f"Both input arrays must be (arrays of) 3-dimensional vectors, but they are {x.shape[-1]} and "
            f"{y.shape[-1]} dimensional instead."
        )
    parts = [x[..., i] * y[..., j] - x[..., j] * y[..., i] for i, j in ((1, 2), (2, 0), (0, 1))]
    place = _native.asarray(np.arange(3))
    first, second, third = (one[..., None] for one in parts)
    found = _native.where(place == 0, first, _native.where(place == 1, second, third))
    order = list(range(found.ndim - 1))
    order.insert(axisc % found.ndim, found.ndim - 1)
    return permuted(found, order)


def cov(
    m: Operand,
    y: Operand | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: ArrayLike | None = None,
    aweights: ArrayLike | None = None,
    *,
    dtype: DTypeLike | None = None,
) -> _native.Array:
    """The covariance of variables, which are rows, or columns without `rowvar`.

    Cost: with observations in rows (`rowvar=False`) two passes, and partial products of d×d travel.

    >>> import girih as gr
    >>> gr.cov([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    sides = [_observations(side, rowvar, dtype) for side in (m, y) if side is not None]
    x = sides[0] if len(sides) == 1 else _native.concatenate([sides[0], sides[1]], axis=1)
    ddof = (0 if bias else 1) if ddof is None else int(ddof)
    weights = _weights(fweights, aweights, x.shape[0])
    if weights is None:
        total, centred = float(x.shape[0]), x - x.mean(axis=0)
        left = centred
        factor = total - ddof
    else:
        w = _native.asarray(weights)[:, None]
        total = float(weights.sum())
        centred = x - (x * w).sum(axis=0) / total
        left = centred * w
        second = float((weights * np.asarray(aweights)).sum()) if aweights is not None else total
        factor = total - ddof * (second / total if aweights is not None else 1.0)
    if factor <= 0:
        import warnings

        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    found = _native.matmul(left.T, conjugate(centred)) * (1.0 / factor if factor else np.inf)
    return found.reshape(()) if found.shape == (1, 1) else found


def corrcoef(
    x: Operand, y: Operand | None = None, rowvar: bool = True, *, dtype: DTypeLike | None = None
) -> _native.Array:
    """The correlation of variables, which are rows, or columns without `rowvar`; in [-1, 1].

    >>> import girih as gr
    >>> gr.corrcoef([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    spread = _native.diagonal(c)
    spread = ufuncs.sqrt(spread.real if spread.dtype.kind == "c" else spread)
    found = c / spread[:, None] / spread[None, :]
    return found if found.dtype.kind == "c" else _native.clip(found, -1.0, 1.0)


def convolve(a: Operand, v: Operand, mode: str = "full") -> _native.Array:
    """The convolution of two vectors: 'full', 'same' or 'valid'.

    Cost: the shorter is whole on every rank; one pass for each of its elements, and elements near the ends of ranks
    travel.

    >>> import girih as gr
    >>> gr.convolve([1, 2, 3], [0, 1]).tolist()
    [0, 1, 2, 3]
    """
    x, y = _vectors(a, v, "v cannot be empty", "a cannot be empty")
    if x.shape[0] < y.shape[0]:
        x, y = y, x
    return _sliding(x, y[::-1], mode)


def correlate(a: Operand, v: Operand, mode: str = "valid") -> _native.Array:
    """The correlation of two vectors: 'full', 'same' or 'valid'. Cost: as `convolve`.

    >>> import girih as gr
    >>> gr.correlate([1, 2, 3], [0, 1]).tolist()
    [2, 3]
    """
    x, y = _vectors(a, v, "v cannot be empty", "a cannot be empty")
    y = conjugate(y)
    if x.shape[0] < y.shape[0]:
        return _sliding(y, x, mode)[::-1]
    return _sliding(x, y, mode)


def vander(x: Operand, N: int | None = None, increasing: bool = False) -> _native.Array:
    """The powers of each element, in columns.

    >>> import girih as gr
    >>> gr.vander([2, 3], 3).tolist()
    [[4, 2, 1], [9, 3, 1]]
    """
    values = _native.asarray(x)
    if values.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = len(values) if N is None else operator.index(N)
    values = values.astype(np.promote_types(values.dtype, np.int64))
    again = _native.broadcast_to(values[:, None], (len(values), max(count - 1, 0)))
    factors = _native.concatenate([_native.ones((len(values), min(count, 1)), values.dtype), again], axis=1)
    powers = _native.scan("prod", factors, 1)
    return powers if increasing else powers[:, ::-1]


def _onto(name: str, product: _native.Array, out: Any, casting: str) -> _native.Array:
    """A product written to `out`, which has its shape, for no product is repeated along an axis."""
    if isinstance(out, _native.Array) and out.shape != product.shape:
        raise ValueError(f"{name}: output array has shape {out.shape}, the product {product.shape}")
    found: _native.Array = ufuncs._place(name, product, out, True, casting)
    return found


def permuted(x: _native.Array, order: Sequence[int]) -> _native.Array:
    """Axes in another order; the array itself if it is the same."""
    return x if list(order) == list(range(x.ndim)) else _native.transpose(x, list(order))


def moved_last(x: _native.Array, axis: int) -> _native.Array:
    """An axis brought to the end."""
    if not -x.ndim <= axis < x.ndim:
        _no_axis(axis, x.ndim)
    axis %= x.ndim
    return permuted(x, [*(other for other in range(x.ndim) if other != axis), axis])


def _no_axis(axis: int, dimensions: int) -> int:
    raise np.exceptions.AxisError(axis, dimensions)


def _observations(side: Operand, rowvar: bool, dtype: DTypeLike | None) -> _native.Array:
    """Observations in rows, as floating-point numbers."""
    x = _native.asarray(side)
    if x.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    kind = np.dtype(dtype) if dtype is not None else np.result_type(x.dtype, np.float64)
    x = x if x.dtype == kind else x.astype(kind)
    if x.ndim < 2:
        return x.reshape(-1, 1)
    return x if not rowvar and x.shape[0] != 1 else x.T if rowvar else x


def _weights(fweights: ArrayLike | None, aweights: ArrayLike | None, count: int) -> Any:
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        values = np.asarray(given, dtype=np.float64)
        if values.ndim > 1:
            raise RuntimeError(f"cannot handle multidimensional {name}")
        if values.shape[0] != count:
            raise RuntimeError(f"incompatible numbers of samples and {name}")
        if (values < 0).any():
            raise ValueError(f"{name} cannot be negative")
        if name == "fweights" and (values != np.around(values)).any():
            raise TypeError("fweights must be integer")
        weights = values if weights is None else weights * values
    return weights


def _vectors(a: Operand, v: Operand, no_v: str, no_a: str) -> tuple[_native.Array, _native.Array]:
    x, y = _native.asarray(a), _native.asarray(v)
    if x.ndim > 1 or y.ndim > 1:
        raise ValueError("object too deep for desired array")
    x, y = x.reshape(-1), y.reshape(-1)
    if x.size == 0:
        raise ValueError(no_a)
    if y.size == 0:
        raise ValueError(no_v)
    kind = np.promote_types(x.dtype, y.dtype)
    return x.astype(kind), y.astype(kind)


def _sliding(x: _native.Array, y: _native.Array, mode: str) -> _native.Array:
    """Sums of products of `y` with the elements of `x` under it, where it lies at each place."""
    n, m = x.shape[0], y.shape[0]
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    before = {"full": m - 1, "same": m // 2, "valid": 0}[mode]
    length = {"full": n + m - 1, "same": n, "valid": n - m + 1}[mode]
    if x.dtype.kind == "c":
        a, b, c, d = x.real, x.imag, y.real, y.imag
        real = _framed(a, c, before, length) - _framed(b, d, before, length)
        return real + (_framed(a, d, before, length) + _framed(b, c, before, length)) * 1j
    if x.dtype.kind == "f" and x.dtype.itemsize > 2:
        return _framed(x, y, before, length)
    return _framed(x.astype(np.int64), y.astype(np.int64), before, length).astype(x.dtype)


def _framed(x: _native.Array, y: _native.Array, before: int, length: int) -> _native.Array:
    """Sums of products from `before` elements ahead of `x` on, frame by frame: each needs itself and the next one."""
    width = max(1024, 1 << (y.shape[0] - 1).bit_length())
    frames = -(-length // width)
    behind = (frames + 1) * width - before - x.shape[0]
    padded = _native.concatenate([_native.zeros(before, x.dtype), x, _native.zeros(max(behind, 0), x.dtype)])
    padded = padded[: (frames + 1) * width]
    first = padded[: frames * width].reshape(frames, width)
    following = padded[width:].reshape(frames, width)
    return _native.frame_products(first, following, y).reshape(-1)[:length]
