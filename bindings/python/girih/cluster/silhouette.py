"""Silhouettes with scikit-learn's names: how well each row lies in its cluster, beside the nearest other one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.data import Data, Rows, random_state

METRICS = ("euclidean", "l2", "sqeuclidean", "cosine")


def silhouette_samples(X: Data, labels: ArrayLike, *, metric: str = "euclidean") -> Any:
    """The silhouette (b − a) / max(a, b) of each row: a is its mean distance to the other rows of its cluster, b the
    least mean distance to the rows of another; 0 for a row alone in its cluster.

    X is a girih array or what NumPy takes as a matrix, `labels` one label for each row; the result is a girih array or
    a NumPy array, like X. `metric` is 'euclidean' (or 'l2'), 'sqeuclidean' or 'cosine'. No table of distances is made.
    Cost: 3·n²·d flops over all ranks; every row goes once to every rank.

    Raises ValueError for another metric, labels of another length, or fewer than 2 or more than n − 1 clusters.

    >>> import girih as gr
    >>> gr.cluster.silhouette_samples([[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1]).round(3).tolist()
    [0.905, 0.895, 0.895, 0.905]
    """
    rows, codes, clusters = _checked(X, labels, metric)
    return _samples(rows, codes, clusters, metric)


def silhouette_score(
    X: Data,
    labels: ArrayLike,
    *,
    metric: str = "euclidean",
    sample_size: int | None = None,
    random_state: int | np.random.RandomState | None = None,
) -> float:
    """The mean of `silhouette_samples`; with `sample_size`, of so many rows drawn as scikit-learn draws them.

    >>> import girih as gr
    >>> round(gr.cluster.silhouette_score([[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1]), 3)
    0.9
    """
    rows, codes, clusters = _checked(X, labels, metric, sample_size is not None)
    if sample_size is not None:
        chosen = _random(random_state).permutation(rows.shape[0])[:sample_size]
        held = isinstance(rows.values, np.ndarray)
        values = rows.values[chosen] if held else rows.observations().rows(chosen.tolist())
        rows, codes, clusters = _checked(values, codes[chosen], metric)
    # A girih array's mean has the same bits at any number of ranks, and of threads.
    mean: Any = _native.asarray(_samples(rows, codes, clusters, metric)).mean()
    return float(mean)


def _random(seed: Any) -> np.random.RandomState:
    return random_state(seed)


def _checked(
    X: Data, labels: ArrayLike, metric: str, sampled: bool = False
) -> tuple[Rows, NDArray[np.int32], int]:
    """The rows, and labels from 0 on without gaps, with their number."""
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    rows = Rows(X, may_stay=sampled)
    if rows.sparse:
        raise TypeError("X is sparse: silhouettes are of dense rows, X.toarray()")
    given = np.asarray(labels)
    if given.shape != (rows.shape[0],):
        raise ValueError(f"labels must have the shape ({rows.shape[0]},), not {given.shape}")
    names, codes = np.unique(given, return_inverse=True)
    if not sampled and not 1 < len(names) < rows.shape[0]:
        raise ValueError(
            f"Number of labels is {len(names)}. Valid values are 2 to n_samples - 1 (inclusive)"
        )
    return rows, codes.reshape(-1).astype(np.int32), len(names)


def _samples(rows: Rows, codes: NDArray[np.int32], clusters: int, metric: str) -> Any:
    if metric == "cosine":
        # Half the squared distance of rows of length one is one minus their cosine; silhouettes do not see the half.
        rows = Rows(unit_rows(rows.values))
    squared = metric in ("sqeuclidean", "cosine")
    return rows.observations().silhouettes(codes, clusters, squared, rows.distributed)


def unit_rows(values: Any) -> Any:
    """Rows divided by their lengths, in the form in which they came; a row of zeros stays."""
    if hasattr(values, "tocsr"):
        lengths = np.sqrt(np.asarray(values.multiply(values).sum(axis=1), dtype=np.float64)).reshape(-1)
        matrix = values.copy()
        divisors = np.repeat(np.where(lengths == 0, 1, lengths), np.diff(values.indptr))
        matrix.data = (values.data / divisors).astype(values.dtype)
        return matrix
    array: Any = values if isinstance(values, _native.Array) else _native.asarray(values)
    wide = array.astype(np.float64)
    norms = (wide * wide).sum(axis=1, keepdims=True) ** 0.5
    scaled = (wide / (norms + (norms == 0))).astype(array.dtype)
    return scaled if array is values else np.asarray(scaled)
