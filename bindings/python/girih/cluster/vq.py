"""Vector quantisation with SciPy's names, draws and results, on all cores of all ranks: `scipy.cluster.vq`.

Observations and code books may be girih arrays, divided over ranks; then codes and distances are girih arrays, too.
Code books are NumPy arrays, the same on every rank.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.data import random_state

__all__ = ["ClusterError", "kmeans", "kmeans2", "vq", "whiten"]

EMPTY = "One of the clusters is empty. Re-run kmeans with a different initialization."


class ClusterError(Exception):
    """A cluster lost all its rows."""


def whiten(obs: Any, check_finite: bool = True) -> Any:
    """Divides each column by its standard deviation; columns without deviation stay as they are, with a warning.

    >>> import girih as gr
    >>> gr.cluster.vq.whiten([[1.0, 2.0], [3.0, 6.0]]).tolist()
    [[1.0, 1.0], [3.0, 3.0]]
    """
    rows = _rows(obs, check_finite)
    deviations = np.asarray(rows.std(axis=0))
    still = deviations == 0
    if still.any():
        deviations = np.where(still, 1, deviations)
        if check_finite:
            text = "Some columns have standard deviation zero. The values of these columns will not change."
            warnings.warn(text, RuntimeWarning, stacklevel=2)
    whitened = rows / _native.asarray(deviations)
    return whitened if isinstance(obs, _native.Array) else np.asarray(whitened)


def vq(obs: Any, code_book: Any, check_finite: bool = True) -> tuple[Any, Any]:
    """The nearest code of each row and the distance to it; the lowest of several equally near.

    Codes are int32 and distances have the common type of floats; for integers both sides are taken as float64, and
    codes are int64. An empty code book leaves code -1 at an infinite distance.

    >>> import girih as gr
    >>> codes, distances = gr.cluster.vq.vq([[0.0], [5.0]], [[1.0], [4.0]])
    >>> codes.tolist(), distances.tolist()
    ([0, 1], [1.0, 1.0])
    """
    rows, book = _rows(obs, check_finite), _book(code_book, check_finite)
    if rows.ndim != book.ndim:
        raise ValueError("observation and code should have same number of dimensions")
    if rows.ndim > 2:
        raise ValueError("ndim different than 1 or 2 are not supported")
    if rows.ndim == 2 and rows.shape[1] != book.shape[1]:
        raise ValueError("obs and code should have same number of features (columns)")
    integers = "f" not in (np.asarray(obs).dtype.kind if not isinstance(obs, _native.Array) else rows.dtype.kind)
    dtype = np.result_type(rows.dtype, book.dtype)
    rows, book = _matrix(rows.astype(dtype)), np.ascontiguousarray(_matrix(book.astype(dtype)))
    wants_array = isinstance(obs, _native.Array)
    n = rows.shape[0]
    if n == 0 or len(book) == 0:
        codes: Any = np.full(n, -1, dtype=np.int32)
        distances: Any = np.full(n, np.inf, dtype=dtype)
        if wants_array:
            return _native.asarray(codes.astype(np.int64)), _native.asarray(distances)
        return codes, distances
    observations = _native.Observations(rows)
    found = observations.update(book)
    codes = observations.labels(found["model"], wants_array)
    distances = _native.from_local(found["distances"].astype(dtype))
    if wants_array:
        return codes, distances
    return codes.astype(np.int64) if integers else codes, np.asarray(distances)


def kmeans(
    obs: Any,
    k_or_guess: Any,
    iter: int = 20,
    thresh: float = 1e-5,
    check_finite: bool = True,
    *,
    rng: Any = None,
    seed: Any = None,
) -> tuple[NDArray[Any], Any]:
    """A code book and the mean distance of the rows to it, the best of `iter` runs from random rows.

    `k_or_guess` is the number of codes, or a code book to start from, as a NumPy or girih array; then there is one run.
    A run ends when the mean distance changes by at most `thresh`. Codes without rows are dropped, so there may be fewer
    than k. The distance belongs to the code book before its last change. `rng` takes what `numpy.random.default_rng`
    takes, `seed` what `numpy.random.RandomState` takes: with either, the rows drawn are SciPy's.

    Cost: a pass over the data for each step.

    >>> import girih as gr
    >>> book, distortion = gr.cluster.vq.kmeans([[1.0], [1.0], [9.0]], [[0.0], [8.0]])
    >>> book.tolist(), float(distortion)
    ([[1.0], [9.0]], 0.0)
    """
    if iter < 1:
        raise ValueError(f"iter must be at least 1, got {iter}")
    rows = _floats(_rows(obs, check_finite))
    dtype, flat = rows.dtype, rows.ndim == 1
    observations = _native.Observations(_matrix(rows))
    guess = np.asarray(k_or_guess)
    if guess.size != 1:
        if guess.size < 1:
            raise ValueError(f"Asked for 0 clusters. Initial book was {guess}")
        book, distortion = _run(observations, _matrix(guess.astype(dtype)), thresh)
        return (book[:, 0] if flat else book), dtype.type(distortion)
    k = int(guess.item())
    if k != guess.item():
        raise ValueError("If k_or_guess is a scalar, it must be an integer.")
    if k < 1:
        raise ValueError(f"Asked for {k} clusters.")
    random = _generator(rng, seed)
    best: tuple[NDArray[Any], float] | None = None
    for _ in range(iter):
        run = _run(observations, _points(observations, k, random), thresh)
        if best is None or run[1] < best[1]:
            best = run
    assert best is not None, "there is at least one run"
    return (best[0][:, 0] if flat else best[0]), dtype.type(best[1])


def _run(observations: _native.Observations, book: NDArray[Any], thresh: float) -> tuple[NDArray[Any], float]:
    before = np.inf
    while True:
        found = observations.update(np.ascontiguousarray(book))
        distortion = float(found["mean_distance"])
        book = found["means"][np.asarray(found["counts"]) > 0]
        if abs(before - distortion) <= thresh:
            return book, distortion
        before = distortion


def kmeans2(
    data: Any,
    k: Any,
    iter: int = 10,
    thresh: float = 1e-5,
    minit: str = "random",
    missing: str = "warn",
    check_finite: bool = True,
    *,
    rng: Any = None,
    seed: Any = None,
) -> tuple[NDArray[Any], Any]:
    """Centres after exactly `iter` steps, and the codes of the rows before the last one.

    `k` is a number of centres, chosen by `minit` ('random', 'points', '++'), or the centres to start from. A centre
    without rows stays where it is, with a warning for each step, or with `missing='raise'` a `ClusterError`. `thresh`
    is accepted and not used, as in SciPy. `rng` and `seed` are those of `kmeans`.

    >>> import girih as gr
    >>> centres, codes = gr.cluster.vq.kmeans2([[1.0], [1.2], [9.0]], [[0.0], [8.0]], minit="matrix")
    >>> codes.tolist()
    [0, 0, 1]
    """
    if int(iter) < 1:
        raise ValueError(f"Invalid iter ({iter}), must be a positive integer.")
    if missing not in ("warn", "raise"):
        raise ValueError(f"Unknown missing method {missing!r}")
    rows = _rows(data, check_finite)
    if rows.ndim > 2:
        raise ValueError("Input of rank > 2 is not supported.")
    given = np.asarray(k)
    if 0 in rows.shape or given.size < 1:
        raise ValueError("Empty input is not supported.")
    if np.asarray(data).dtype.kind in "iu" if not isinstance(data, _native.Array) else rows.dtype.kind != "f":
        raise TypeError("data must be of a floating type")
    rows = _floats(rows)
    flat = rows.ndim == 1
    observations = _native.Observations(_matrix(rows))
    if minit == "matrix" or given.size > 1:
        if given.ndim != rows.ndim:
            raise ValueError("k array doesn't match data rank")
        if not flat and given.shape[1] != rows.shape[1]:
            raise ValueError("k array doesn't match data dimension")
        centres = _matrix(given.astype(rows.dtype))
    else:
        centres = _chosen(observations, rows, k, minit, _generator(rng, seed))
    codes: Any = None
    for _ in range(iter):
        found = observations.update(np.ascontiguousarray(centres))
        if 0 in found["counts"]:
            if missing == "raise":
                raise ClusterError(EMPTY)
            warnings.warn(EMPTY, UserWarning, stacklevel=2)
        centres, codes = found["means"], found["model"]
    labels = observations.labels(codes, isinstance(data, _native.Array))
    return (centres[:, 0] if flat else centres), labels


def _chosen(observations: _native.Observations, rows: _native.Array, k: Any, minit: str, random: Any) -> NDArray[Any]:
    count = int(k)
    if count < 1:
        raise ValueError(f"Cannot ask kmeans2 for {count} clusters (k was {k})")
    if count != k:
        warnings.warn("k was not an integer, was converted.", UserWarning, stacklevel=3)
    methods: dict[str, Callable[[], NDArray[Any]]] = {
        "random": lambda: _gaussian(rows, count, random),
        "points": lambda: _points(observations, count, random),
        "++": lambda: _plus_plus(observations, count, random),
    }
    if minit not in methods:
        raise ValueError(f"Unknown init method {minit!r}")
    return methods[minit]().astype(rows.dtype)


def _points(observations: _native.Observations, k: int, random: Any) -> NDArray[Any]:
    return observations.rows(random.choice(observations.n_samples, size=k, replace=False).tolist())


def _plus_plus(observations: _native.Observations, k: int, random: Any) -> NDArray[Any]:
    """One trial for each centre; SciPy draws one number after another."""
    n = observations.n_samples
    first = int(random.integers(n) if hasattr(random, "integers") else random.randint(n))
    draws = np.asarray([[random.uniform()] for _ in range(k - 1)]).reshape(k - 1, 1)
    return observations.plus_plus((first + 0.5) / n, draws)[0]


def _gaussian(rows: _native.Array, k: int, random: Any) -> NDArray[Any]:
    """Normal variates with the mean and covariance of the rows."""
    mean = np.asarray(rows.mean(axis=0))
    if rows.ndim == 1:
        deviation = np.sqrt(np.asarray(rows.var(axis=0, ddof=1)))
        return (random.standard_normal(size=k) * deviation + mean)[:, None]
    n, d = rows.shape
    x = random.standard_normal(size=(k, min(n, d)) if d > n else (k, d))
    if d > n:
        # Fewer rows than columns: the covariance has no more directions than there are rows.
        _, s, vh = np.linalg.svd(np.asarray(rows) - mean, full_matrices=False)
        return x @ (s[:, None] * vh / np.sqrt(n - 1)) + mean
    covariance = np.atleast_2d(np.cov(np.asarray(rows).T))
    return x @ np.linalg.cholesky(covariance).T + mean


def _generator(rng: Any, seed: Any) -> Any:
    if rng is not None and seed is not None:
        raise TypeError("rng and seed are two names of one argument: give one of them")
    if rng is not None:
        return np.random.default_rng(rng)
    return seed if isinstance(seed, np.random.Generator) else random_state(seed)


def _rows(obs: Any, check_finite: bool) -> _native.Array:
    if isinstance(obs, _native.Array):
        return obs
    return _native.asarray(_book(obs, check_finite))


def _book(book: ArrayLike, check_finite: bool) -> NDArray[Any]:
    if hasattr(book, "tocsr"):
        raise TypeError("Sparse arrays/matrices are not supported. Use '.toarray()'.")
    values = np.asarray(book)
    if values.dtype.kind == "c":
        raise ValueError("complex observations are not supported")
    if values.dtype.kind not in "biuf":
        raise TypeError(f"type other than float or double not supported: {values.dtype}")
    if values.dtype.kind == "f" and values.dtype not in (np.float32, np.float64):
        raise TypeError("type other than float or double not supported")
    if check_finite and not np.isfinite(values).all():
        raise ValueError("array must not contain infs or NaNs")
    return values if values.dtype.kind == "f" else values.astype(np.float64)


def _floats(rows: _native.Array) -> _native.Array:
    return rows if rows.dtype.kind == "f" else rows.astype(np.float64)


def _matrix(values: Any) -> Any:
    return values.reshape(-1, 1) if values.ndim == 1 else values
