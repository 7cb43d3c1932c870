"""Linear algebra with NumPy's names, on matrices along the last two axes.

Stacks of matrices are factored where they lie. The rows of a tall matrix stay where they are in `qr`, `svd`, `svdvals`,
`lstsq`, `pinv` and `norm`. What needs a whole large matrix gathers it to one rank and says so, with its memory.
Results have the same bits at every number of ranks and threads.

>>> import girih as gr
>>> x = gr.random.default_rng(0).normal(size=(20_000, 3))
>>> q, r = gr.linalg.qr(x)
>>> bool(gr.linalg.norm(q @ r - x) < 1e-9 * gr.linalg.norm(x))
True
"""

from __future__ import annotations

from typing import Any

from numpy.linalg import LinAlgError

from girih.names import missing
from girih import _native
from girih._native import matmul
from girih.linalg.factors import (
    Matrices,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svd_lowrank,
    svdvals,
)
from girih.linalg.norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from girih.linalg.solving import det, inv, lstsq, matrix_power, pinv, slogdet, solve, tensorinv, tensorsolve
from girih.products import outer, tensordot, vecdot
from girih.products import cross as _cross
from girih.products import trace as _trace
from girih.shaping import matrix_transpose


def cross(x1: Matrices, x2: Matrices, /, *, axis: int = -1) -> _native.Array:
    """The cross product of vectors of length 3 along an axis.

    >>> import girih as gr
    >>> gr.linalg.cross([1, 0, 0], [0, 1, 0]).tolist()
    [0, 0, 1]
    """
    return _cross(x1, x2, axis=axis)


def diagonal(x: Matrices, /, *, offset: int = 0) -> _native.Array:
    """The diagonals of matrices along the last two axes.

    >>> import girih as gr
    >>> gr.linalg.diagonal([[1, 2], [3, 4]]).tolist()
    [1, 4]
    """
    return _native.diagonal(x, offset, -2, -1)


def trace(x: Matrices, /, *, offset: int = 0, dtype: Any = None) -> _native.Array:
    """The sums along the diagonals of matrices along the last two axes.

    >>> import girih as gr
    >>> gr.linalg.trace([[1, 2], [3, 4]]).item()
    5
    """
    return _trace(x, offset, -2, -1, dtype)


def multi_dot(arrays: list[Matrices]) -> _native.Array:
    """The product of several matrices, in the order with the fewest multiplications.

    >>> import girih as gr
    >>> gr.linalg.multi_dot([gr.ones((2, 9)), gr.ones((9, 1)), gr.ones((1, 3))]).shape
    (2, 3)
    """
    factors = [_native.asarray(array) for array in arrays]
    if len(factors) < 2:
        raise ValueError("Expecting at least two arrays.")
    first, last = factors[0].ndim == 1, factors[-1].ndim == 1
    factors[0] = factors[0][None, :] if first else factors[0]
    factors[-1] = factors[-1][:, None] if last else factors[-1]
    for factor in factors:
        if factor.ndim != 2:
            raise LinAlgError(f"{factor.ndim}-dimensional array given. Array must be two-dimensional")
    lengths = [factor.shape[0] for factor in factors] + [factors[-1].shape[1]]
    count = len(factors)
    cost = [[0] * count for _ in range(count)]
    cut = [[0] * count for _ in range(count)]
    for width in range(1, count):
        for i in range(count - width):
            j = i + width
            choices = [
                (cost[i][k] + cost[k + 1][j] + lengths[i] * lengths[k + 1] * lengths[j + 1], k) for k in range(i, j)
            ]
            cost[i][j], cut[i][j] = min(choices)

    def product(i: int, j: int) -> _native.Array:
        if i == j:
            return factors[i]
        return product(i, cut[i][j]) @ product(cut[i][j] + 1, j)

    result = product(0, count - 1)
    result = result[0] if first else result
    return result[..., 0] if last else result


__all__ = [
    "LinAlgError", "cholesky", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "lstsq",
    "matmul", "matrix_norm", "matrix_power", "matrix_rank", "matrix_transpose", "multi_dot", "norm", "outer", "pinv",
    "qr", "slogdet", "solve", "svd", "svd_lowrank", "svdvals", "tensordot", "tensorinv", "tensorsolve", "trace",
    "vecdot", "vector_norm",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing("girih.linalg", name)
