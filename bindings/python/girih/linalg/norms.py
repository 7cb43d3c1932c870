"""Norms, rank and condition."""

from __future__ import annotations

from typing import Any

import numpy as np

from girih import _native, reductions, ufuncs
from girih.linalg.factors import Matrices, eigvalsh, matrices, numbers, svdvals
from girih.linalg.solving import inv

Axis = int | tuple[int, ...] | None
Order = int | float | str | None


def norm(x: Matrices, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> _native.Array:
    """The norm of vectors or matrices; all of NumPy's orders.

    Without `axis` of vectors and matrices, and without `ord` of any array as one vector. Cost: what travels are
    partial sums; the orders 2, -2 and 'nuc' of matrices take their singular values.

    >>> import girih as gr
    >>> gr.linalg.norm([3.0, 4.0]).item()
    5.0
    """
    x = numbers(x)
    if axis is None:
        if ord is None or (ord in ("f", "fro") and x.ndim == 2) or (ord == 2 and x.ndim == 1):
            size = _squares(x).sum()
            result = ufuncs.sqrt(size)
            return result.reshape(*[1] * x.ndim) if keepdims else result
        axes: tuple[int, ...] = tuple(range(x.ndim))
    elif isinstance(axis, tuple):
        axes = tuple(_axis(one, x.ndim) for one in axis)
    else:
        try:
            axes = (_axis(int(axis), x.ndim),)
        except TypeError as error:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from error
    if len(axes) == 1:
        return _vector(x, ord, axes, keepdims)
    if len(axes) == 2:
        if axes[0] == axes[1]:
            raise ValueError("Duplicate axes given.")
        return _matrix(x, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


def vector_norm(x: Matrices, /, *, axis: Axis = None, keepdims: bool = False, ord: Order = 2) -> _native.Array:
    """The norm of vectors along one axis or several; without `axis` of all elements as one vector.

    >>> import girih as gr
    >>> gr.linalg.vector_norm([[3.0, 4.0]], ord=1).item()
    7.0
    """
    x = numbers(x)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return _vector(x, ord, tuple(_axis(one, x.ndim) for one in axes), keepdims)


def matrix_norm(x: Matrices, /, *, keepdims: bool = False, ord: Order = "fro") -> _native.Array:
    """The norm of matrices along the last two axes.

    >>> import girih as gr
    >>> gr.linalg.matrix_norm([[3.0, 0.0], [0.0, 4.0]]).item()
    5.0
    """
    x = matrices(x)
    return _matrix(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


def matrix_rank(A: Matrices, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> _native.Array:
    """How many singular values are greater than `tol`, or than `rtol` times the greatest.

    >>> import girih as gr
    >>> gr.linalg.matrix_rank([[1.0, 2.0], [2.0, 4.0]]).item()
    1
    """
    x = numbers(A)
    if x.ndim < 2:
        return _native.asarray(int(bool((x != 0).any())))
    if tol is not None and rtol is not None:
        raise ValueError("`tol` and `rtol` can't be both set.")
    s = ufuncs.absolute(eigvalsh(x)) if hermitian else svdvals(x)
    if s.shape[-1] == 0:
        return _native.zeros(s.shape[:-1], np.int64)
    if tol is None:
        relative = max(x.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
        relative = relative if np.ndim(relative) == 0 else _native.asarray(relative)[..., None]
        limit = relative * s.max(axis=-1, keepdims=True)
    else:
        limit = tol if np.ndim(tol) == 0 else _native.asarray(tol)[..., None]
    return reductions.count_nonzero(s > limit, axis=-1)


def cond(x: Matrices, p: Order = None) -> _native.Array:
    """The condition of matrices: the norm times that of the inverse; of singular values for p = None, 2 and -2.

    >>> import girih as gr
    >>> gr.linalg.cond([[4.0, 0.0], [0.0, 2.0]]).item()
    2.0
    """
    x = matrices(x)
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    if p in (None, 2, -2):
        s = svdvals(x)
        top, bottom = (s[..., -1], s[..., 0]) if p == -2 else (s[..., 0], s[..., -1])
        return top / bottom
    try:
        inverse = inv(x)
    except np.linalg.LinAlgError:
        if x.ndim > 2:
            raise
        return _native.asarray(np.array(np.inf, dtype=np.finfo(x.dtype).dtype))
    return _matrix(x, p, (x.ndim - 2, x.ndim - 1), False) * _matrix(inverse, p, (x.ndim - 2, x.ndim - 1), False)


def _squares(x: _native.Array) -> _native.Array:
    if x.dtype.kind == "c":
        real, imaginary = x.real, x.imag
        return real * real + imaginary * imaginary
    return x * x


def _axis(axis: int, dimensions: int) -> int:
    if not -dimensions <= axis < dimensions:
        raise np.exceptions.AxisError(axis, dimensions)
    return axis % dimensions


def _vector(x: _native.Array, order: Order, axes: tuple[int, ...], keep: bool) -> _native.Array:
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order '{order}' for vectors")
    if order is None or order == 2:
        return ufuncs.sqrt(_squares(x).sum(axis=axes, keepdims=keep))
    size = ufuncs.absolute(x)
    if order == np.inf:
        return size.max(axis=axes, keepdims=keep)
    if order == -np.inf:
        return size.min(axis=axes, keepdims=keep)
    if order == 0:
        return (x != 0).sum(axis=axes, keepdims=keep).astype(size.dtype)
    if order == 1:
        return size.sum(axis=axes, keepdims=keep)
    return (size ** float(order)).sum(axis=axes, keepdims=keep) ** (1.0 / float(order))


def _matrix(x: _native.Array, order: Order, axes: tuple[int, int] | tuple[int, ...], keep: bool) -> _native.Array:
    row, column = axes
    if order in (None, "fro", "f"):
        result = ufuncs.sqrt(_squares(x).sum(axis=axes))
    elif order in (np.inf, -np.inf, 1, -1):
        summed, other = (column, row) if order in (np.inf, -np.inf) else (row, column)
        sums = ufuncs.absolute(x).sum(axis=summed)
        other -= other > summed
        result = sums.max(axis=other) if order in (np.inf, 1) else sums.min(axis=other)
    elif order in (2, -2, "nuc"):
        kept = [axis for axis in range(x.ndim) if axis not in axes]
        moved = [*kept, row, column]
        s = svdvals(x if moved == sorted(moved) else _native.transpose(x, moved))
        result = s.sum(axis=-1) if order == "nuc" else s.max(axis=-1) if order == 2 else s.min(axis=-1)
    else:
        raise ValueError("Invalid norm order for matrices.")
    if keep:
        result = result.reshape(*[1 if axis in axes else length for axis, length in enumerate(x.shape)])
    return result
