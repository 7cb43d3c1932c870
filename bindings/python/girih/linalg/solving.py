"""Equations, inverses and determinants."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from girih import _native, ufuncs
from girih.linalg.factors import Matrices, conjugate, factored, matrices, numbers, square, svd, transposed


class SlogdetResult(NamedTuple):
    """The result of `slogdet`."""

    sign: _native.Array
    logabsdet: _native.Array


def solve(a: Matrices, b: Matrices) -> _native.Array:
    """The solution of `a @ x = b`, by elimination with partial pivoting; `b` with one axis is a vector.

    Cost: a matrix of more than 256 rows is factored by all ranks and workers, in blocks of columns, and so are the
    unknowns found; below that one rank gathers it with `b`. Memory: beside both twice theirs, divided among the ranks.
    Raises LinAlgError on every rank if a pivot is exactly zero.

    >>> import girih as gr
    >>> gr.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).tolist()
    [1.0, 0.5]
    """
    x, y = square(a), numbers(b)
    dtype = np.result_type(x.dtype, y.dtype)
    x, y = _cast(x, dtype), _cast(y, dtype)
    vector = y.ndim == 1
    if y.ndim == 0:
        raise ValueError("solve: Input operand 1 does not have enough dimensions")
    sides = y[:, None] if vector else y
    n = x.shape[-1]
    if sides.shape[-2] != n:
        raise ValueError(
            f"solve: Input operand 1 has a mismatch in its core dimension 0 "
            f"(size {sides.shape[-2]} is different from {n})"
        )
    lead = np.broadcast_shapes(x.shape[:-2], sides.shape[:-2])
    x, sides = _spread(x, lead, 2), _spread(sides, lead, 2)
    (found,) = factored("solve", x, sides.shape[-2:], b=sides)
    return found[..., 0] if vector else found


def inv(a: Matrices) -> _native.Array:
    """The inverse of square matrices. Cost and errors: as `solve`.

    >>> import girih as gr
    >>> gr.linalg.inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.25]]
    """
    x = square(a)
    return factored("inv", x, x.shape[-2:])[0]


def slogdet(a: Matrices) -> SlogdetResult:
    """The sign of the determinant and the logarithm of its size.

    >>> import girih as gr
    >>> gr.linalg.slogdet([[0.0, 1.0], [1.0, 0.0]]).sign.item()
    -1.0
    """
    (found,) = factored("slogdet", square(a), (2,))
    size = found[..., 1]
    return SlogdetResult(found[..., 0], size.real if size.dtype.kind == "c" else size)


def det(a: Matrices) -> _native.Array:
    """The determinant of square matrices.

    >>> import girih as gr
    >>> round(gr.linalg.det([[1.0, 2.0], [3.0, 4.0]]).item(), 12)
    -2.0
    """
    sign, size = slogdet(a)
    return sign * ufuncs.exp(size)


def pinv(a: Matrices, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> _native.Array:
    """The pseudo-inverse; singular values below `rcond` (or `rtol`) times the greatest count as zero.

    >>> import girih as gr
    >>> gr.linalg.pinv([[2.0, 0.0], [0.0, 0.0]]).tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    x = matrices(a)
    if rcond is not None and rtol is not None:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if 0 in x.shape[-2:]:
        return _native.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
    limit = rtol if rtol is not None else rcond
    limit = max(x.shape[-2:]) * np.finfo(x.dtype).eps if limit is None and rtol is None and rcond is None else limit
    u, s, vh = svd(x, full_matrices=False)
    cutoff = _column(limit) * s.max(axis=-1, keepdims=True)
    large = s > cutoff
    inverse = _native.where(large, 1.0 / _native.where(large, s, 1.0), 0.0)
    return conjugate(transposed(vh)) @ (inverse[..., None] * conjugate(transposed(u)))


def lstsq(
    a: Matrices, b: Matrices, rcond: float | None = None
) -> tuple[_native.Array, _native.Array, int, _native.Array]:
    """The least-squares solution of `a @ x = b`: x, sums of squared residuals, the rank, and the singular values.

    Cost: the rows of a tall matrix stay where they are, by way of `svd`.

    >>> import girih as gr
    >>> x = gr.linalg.lstsq([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [1.0, 3.0, 5.0])[0]
    >>> [round(value, 9) for value in x.tolist()]
    [1.0, 2.0]
    """
    x, y = matrices(a), numbers(b)
    if x.ndim != 2:
        raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be two-dimensional")
    dtype = np.result_type(x.dtype, y.dtype)
    x, y = _cast(x, dtype), _cast(y, dtype)
    m, n = x.shape
    if y.shape[0] != m:
        raise LinAlgError("Incompatible dimensions")
    vector = y.ndim == 1
    sides = y[:, None] if vector else y
    eps = np.finfo(dtype).eps
    limit = eps * max(m, n) if rcond is None else (eps if rcond < 0 else rcond)
    if min(m, n) == 0:
        found, rank = _native.zeros((n, sides.shape[1]), dtype), 0
        s = _native.zeros(0, np.finfo(dtype).dtype)
    else:
        u, s, vh = svd(x, full_matrices=False)
        large = s > limit * s[0]
        rank = int(large.sum())
        inverse = _native.where(large, 1.0 / _native.where(large, s, 1.0), 0.0)
        found = conjugate(vh.T) @ (inverse[:, None] * (conjugate(u.T) @ sides))
    residuals = _native.zeros(0, s.dtype)
    if rank == n and m > n:
        size = ufuncs.absolute(sides - x @ found)
        residuals = (size * size).sum(axis=0)
    return (found[:, 0] if vector else found), residuals, rank, s


def matrix_power(a: Matrices, n: int) -> _native.Array:
    """Square matrices to a whole power, by repeated squaring; negative ones by the inverse.

    >>> import girih as gr
    >>> gr.linalg.matrix_power([[1, 1], [0, 1]], 5).tolist()
    [[1, 5], [0, 1]]
    """
    x = _native.asarray(a)
    if x.ndim < 2:
        raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
    if x.shape[-1] != x.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    try:
        exponent = n.__index__()
    except AttributeError as error:
        raise TypeError("exponent must be an integer") from error
    if exponent < 0:
        x, exponent = inv(x), -exponent
    if exponent == 0:
        one = _native.eye(x.shape[-1], dtype=x.dtype)
        return one if x.ndim == 2 else _native.full(x.shape, one)
    result = None
    while exponent:
        if exponent & 1:
            result = x if result is None else result @ x
        exponent >>= 1
        if exponent:
            x = x @ x
    assert result is not None, "a positive power has a factor"
    return result


def tensorsolve(a: Matrices, b: Matrices, axes: Any = None) -> _native.Array:
    """The solution of `tensordot(a, x, x.ndim) = b`.

    >>> import girih as gr
    >>> gr.linalg.tensorsolve(gr.eye(4).reshape(2, 2, 4), gr.ones((2, 2))).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    x, y = numbers(a), numbers(b)
    if axes is not None:
        moved = [axis % x.ndim for axis in axes]
        x = _native.transpose(x, [axis for axis in range(x.ndim) if axis not in moved] + moved)
    shape = x.shape[y.ndim :]
    count = int(np.prod(shape))
    if x.size != count * count:
        raise LinAlgError(
            "Input arrays must satisfy the requirement             prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])"
        )
    return solve(x.reshape(count, count), y.reshape(count)).reshape(*shape)


def tensorinv(a: Matrices, ind: int = 2) -> _native.Array:
    """The inverse of `tensordot(a, x, ind)`.

    >>> import girih as gr
    >>> gr.linalg.tensorinv(2 * gr.eye(4).reshape(4, 2, 2), ind=1).shape
    (2, 2, 4)
    """
    x = numbers(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    front, back = x.shape[:ind], x.shape[ind:]
    rows, columns = int(np.prod(front)), int(np.prod(back))
    if rows != columns:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return inv(x.reshape(rows, columns)).reshape(*back, *front)


def _cast(x: _native.Array, dtype: Any) -> _native.Array:
    return x if x.dtype == dtype else x.astype(dtype)


def _spread(x: _native.Array, lead: tuple[int, ...], core: int) -> _native.Array:
    shape = (*lead, *x.shape[x.ndim - core :])
    return x if x.shape == shape else _native.full(shape, x)


def _column(limit: Any) -> Any:
    """A limit for each matrix, beside its singular values."""
    return limit if np.ndim(limit) == 0 else _native.asarray(limit)[..., None]
