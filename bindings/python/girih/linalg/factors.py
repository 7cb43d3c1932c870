"""Factorisations: cholesky, qr, svd, eigh, eig; and how matrices reach the native ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from girih import _native

Matrices: TypeAlias = _native.Array | NDArray[Any] | bool | int | float | np.generic | Sequence[Any]
_I: Any = 1j
_REFUSED = (
    "Singular matrix", "Matrix is not positive definite", "SVD did not converge", "Eigenvalues did not converge",
    "Array must not contain infs or NaNs", "Last 2 dimensions of the array must be square",
)  # fmt: skip


class QRResult(NamedTuple):
    """The factors of `qr`."""

    Q: _native.Array
    R: _native.Array


class SVDResult(NamedTuple):
    """The factors of `svd`."""

    U: _native.Array
    S: _native.Array
    Vh: _native.Array


class EigResult(NamedTuple):
    """The result of `eig`."""

    eigenvalues: _native.Array
    eigenvectors: _native.Array


class EighResult(NamedTuple):
    """The result of `eigh`."""

    eigenvalues: _native.Array
    eigenvectors: _native.Array


def matrices(a: Matrices) -> _native.Array:
    """Matrices along the last two axes, of floating-point numbers."""
    x = numbers(a)
    if x.ndim < 2:
        raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
    return x


def square(a: Matrices) -> _native.Array:
    """Square matrices along the last two axes."""
    x = matrices(a)
    if x.shape[-1] != x.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return x


def numbers(a: Matrices) -> _native.Array:
    """An array of floating-point numbers; integers become float64."""
    x = _native.asarray(a)
    if x.dtype.kind in "biu":
        return x.astype(np.float64)
    if x.dtype == np.float16:
        raise TypeError("array type float16 is unsupported in linalg")
    return x


def transposed(x: _native.Array) -> _native.Array:
    """The last two axes exchanged."""
    if x.ndim == 2:
        return x.T
    return _native.transpose(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])


def conjugate(x: _native.Array) -> _native.Array:
    """The complex conjugate; real numbers as they are."""
    return x.conj() if x.dtype.kind == "c" else x


def factored(
    kind: str, x: _native.Array, *shapes: tuple[int, ...], b: _native.Array | None = None
) -> tuple[_native.Array, ...]:
    """What a native factorisation leaves of each matrix, in these shapes. Raises LinAlgError on every rank."""
    try:
        factors = _native.factor_columns(kind, x, b)
        if factors is not None:
            return tuple(factors)
        packed = _native.factor(kind, x, b)
    except ValueError as error:
        if str(error) in _REFUSED:
            raise LinAlgError(str(error)) from None
        raise
    parts, start = [], 0
    for shape in shapes:
        end = start + int(np.prod(shape))
        parts.append(packed[..., start:end].reshape(*x.shape[:-2], *shape))
        start = end
    return tuple(parts)


def is_tall(x: _native.Array) -> bool:
    """Whether rows stay where they are in a factorisation: a function of the shape alone."""
    return x.ndim == 2 and x.shape[1] > 0 and x.shape[0] >= 4 * x.shape[1] and x.nbytes > 2**16


def cholesky(a: Matrices, /, *, upper: bool = False) -> _native.Array:
    """The triangular factor of Hermitian positive definite matrices; only one half of them is read.

    Cost: a matrix of more than 256 rows is factored by all ranks and workers, in blocks of columns; below that one
    rank gathers it. Matrices of a stack are factored where they lie. Memory: beside the matrix 2.5 times its own,
    divided among the ranks. Raises LinAlgError on every rank if a matrix is not positive definite.

    >>> import girih as gr
    >>> gr.linalg.cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
    [[2.0, 0.0], [1.0, 2.0]]
    """
    x = square(a)
    x = conjugate(transposed(x)) if upper else x
    (lower,) = factored("cholesky", x, x.shape[-2:])
    return conjugate(transposed(lower)) if upper else lower


def qr(a: Matrices, mode: str = "reduced") -> Any:
    """`a = Q @ R` with orthonormal columns of Q and R upper triangular; R's diagonal is not negative.

    `mode` is 'reduced', 'complete' or 'r'. Cost: the rows of a tall matrix (four times as many as columns) stay where
    they are, and triangles of n×n travel; any other of more than 256 rows and columns is factored by all ranks and
    workers, in blocks of columns; a smaller one is gathered by one rank. Memory: beside the matrix 4.5 times its
    own, divided among the ranks.

    >>> import girih as gr
    >>> q, r = gr.linalg.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> gr.asarray(r).shape
    (2, 2)
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"mode must be 'reduced', 'complete' or 'r', not {mode!r}")
    x = matrices(a)
    m, n = x.shape[-2:]
    if mode != "complete" and is_tall(x):
        q, r = _native.tall_qr(x)
        return r if mode == "r" else QRResult(q, r)
    k = m if mode == "complete" else min(m, n)
    q, r = factored("complete qr" if mode == "complete" else "qr", x, (m, k), (k, n))
    return r if mode == "r" else QRResult(q, r)


def svd(a: Matrices, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """`a = U @ diag(S) @ Vh` with singular values in descending order. `hermitian` is accepted and has no effect.

    Cost: with `full_matrices=False` the rows of a tall matrix stay where they are, by way of `qr`; any other matrix
    beyond 64 KiB is factored by one rank, in four times its memory.

    >>> import girih as gr
    >>> gr.linalg.svd([[3.0, 0.0], [0.0, 4.0]]).S.tolist()
    [4.0, 3.0]
    """
    x = matrices(a)
    m, n = x.shape[-2:]
    if not compute_uv:
        return svdvals(x)
    if not full_matrices and is_tall(x):
        q, r = _native.tall_qr(x)
        inner = svd(r, full_matrices=False)
        return SVDResult(q @ inner.U, inner.S, inner.Vh)
    least = min(m, n)
    left, right = ((m, m), (n, n)) if full_matrices else ((m, least), (least, n))
    u, s, vh = factored("full svd" if full_matrices else "svd", x, left, (least,), right)
    return SVDResult(u, _real(s), vh)


def svdvals(x: Matrices, /) -> _native.Array:
    """The singular values, in descending order.

    >>> import girih as gr
    >>> gr.linalg.svdvals([[3.0, 0.0], [0.0, 4.0]]).tolist()
    [4.0, 3.0]
    """
    x = matrices(x)
    if is_tall(x):
        x = _native.tall_qr(x)[1]
    return _real(factored("svdvals", x, (min(x.shape[-2:]),))[0])


def svd_lowrank(a: Matrices, rank: int, *, oversampling: int = 10, passes: int = 2, seed: Any = 0) -> SVDResult:
    """The greatest `rank` singular values and vectors of a matrix, nearly: by random projection.

    With `passes` power iterations, each two products with `a`; q values more than `rank` are followed. The result is
    good where singular values fall; the same seed gives the same bits at every number of ranks.
    Cost: no more than products with `a` and factorisations of matrices of `rank + oversampling` columns.
    Source: Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), algorithms 4.4 and 5.1.

    >>> import girih as gr
    >>> x = gr.asarray([[1.0], [2.0], [3.0]]) @ gr.asarray([[1.0, 1.0, 2.0]])
    >>> gr.linalg.svd_lowrank(x, 1, oversampling=1).S.shape
    (1,)
    """
    from girih import random

    x = matrices(a)
    if x.ndim != 2:
        raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be two-dimensional")
    width = min(rank + oversampling, *x.shape)
    if not 0 < rank <= min(x.shape):
        raise ValueError(f"rank must be between 1 and {min(x.shape)}, not {rank}")
    sketch = x @ random.default_rng(seed).standard_normal((x.shape[1], width)).astype(x.dtype)
    for _ in range(passes):
        basis = qr(sketch).Q
        sketch = x @ qr(conjugate(x.T) @ basis).Q
    basis = qr(sketch).Q
    inner = svd(conjugate(basis.T) @ x, full_matrices=False)
    return SVDResult(basis @ inner.U[:, :rank], inner.S[:rank], inner.Vh[:rank])


def eigh(a: Matrices, UPLO: str = "L") -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of Hermitian matrices; only one half of them is read.

    Cost: a matrix beyond 64 KiB is gathered and factored by one rank, which needs three times its memory; of a stack
    each where it lies.

    >>> import girih as gr
    >>> gr.linalg.eigh([[2.0, 0.0], [0.0, 1.0]]).eigenvalues.tolist()
    [1.0, 2.0]
    """
    x = _half(a, UPLO)
    n = x.shape[-1]
    values, vectors = factored("eigh", x, (n,), (n, n))
    return EighResult(_real(values), vectors)


def eigvalsh(a: Matrices, UPLO: str = "L") -> _native.Array:
    """The eigenvalues of Hermitian matrices, ascending. Cost: as `eigh`.

    >>> import girih as gr
    >>> gr.linalg.eigvalsh([[0.0, 1.0], [1.0, 0.0]]).tolist()
    [-1.0, 1.0]
    """
    x = _half(a, UPLO)
    return _real(factored("eigvalsh", x, x.shape[-1:])[0])


def eig(a: Matrices) -> EigResult:
    """Eigenvalues and eigenvectors of any square matrices; real if no eigenvalue of a real matrix is complex.

    Cost: a matrix beyond 64 KiB is gathered and factored by one rank, which needs five times its memory.

    >>> import girih as gr
    >>> sorted(gr.linalg.eig([[2.0, 0.0], [0.0, 3.0]]).eigenvalues.tolist())
    [2.0, 3.0]
    """
    x = square(a)
    n = x.shape[-1]
    if x.dtype.kind == "c":
        return EigResult(*factored("eig", x, (n,), (n, n)))
    pairs = factored("eig", x, (n, 2), (n, n, 2))
    if not any(bool((part[..., 1] != 0).any()) for part in pairs):
        return EigResult(*(part[..., 0] for part in pairs))
    return EigResult(*(part[..., 0] + part[..., 1] * _I for part in pairs))


def eigvals(a: Matrices) -> _native.Array:
    """The eigenvalues of any square matrices. Cost: as `eig`.

    >>> import girih as gr
    >>> sorted(gr.linalg.eigvals([[2.0, 1.0], [0.0, 3.0]]).tolist())
    [2.0, 3.0]
    """
    return eig(a).eigenvalues


def _half(a: Matrices, which: str) -> _native.Array:
    if which.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    x = square(a)
    return conjugate(transposed(x)) if which.upper() == "U" else x


def _real(x: _native.Array) -> _native.Array:
    return x.real if x.dtype.kind == "c" else x
