"""K-Medians: centres that minimise sums of absolute differences, which outliers move less than means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.contract import RANDOM_STATE, ConvergenceWarning, among, either, integer, real, shared, warn
from girih.cluster.data import Data, Rows
from girih.cluster.kmeans import WIDE_INIT, KMeans
from girih.quantiles import median
from girih.sorting import argsort, bincount
from girih.spatial.distance import cdist

# Centres whose distances to all rows are in memory at once.
_PANEL = 8


class KMedians(KMeans):
    """K-Medians: rows go to the centre with the least sum of absolute differences, centres are medians by column.

    Parameters, methods and attributes are those of `KMeans` without weights, callbacks and checkpoints; `inertia_` is
    the sum of the rows' distances, `transform` gives the distance of each row to each centre. Medians are exact, as
    `numpy.median` has them, and alike at every number of ranks. Starting centres by name are chosen as `KMeans` chooses
    them. The fit ends when no label changes, or when the centres move by no more than `tol` times the mean absolute
    deviation from the columns' medians, over all centres. A centre that loses its rows takes the row farthest from its
    own. X is dense and in memory.

    Cost of an iteration: 2·n·k·d operations and distances of 8 centres to all rows; a selection in each cluster.

    >>> import girih as gr
    >>> x = [[0.0], [1.0], [2.0], [50.0], [100.0], [101.0], [102.0]]
    >>> gr.cluster.KMedians(2, init=[[0.0], [90.0]]).fit(x).cluster_centers_.tolist()
    [[1.5], [101.0]]
    """

    _reads_passes = False
    _assigns_stored = False
    algorithm = "lloyd"
    _rules = {
        "n_clusters": integer(),
        "init": WIDE_INIT,
        "n_init": either(among("auto"), integer()),
        "max_iter": integer(),
        "tol": real(),
        "random_state": RANDOM_STATE,
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike | Callable[..., ArrayLike] = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Data, y: object = None) -> Self:  # type: ignore[override]
        """Finds the centres. X must be finite: NaN raises ValueError on every rank."""
        rows = self._rows_to_fit(X)
        starts = self._starts(rows, rows.observations(), None)
        x = _array(rows)
        limit = 0.0
        if self.tol:
            spread: Any = abs(x - median(x, axis=0)).mean()
            limit = float(self.tol) * float(spread) * self.n_clusters * rows.shape[1]
        models = [self._descend(x, start, limit) for start in starts]
        # The first of several equally good.
        self.inertia_, self.cluster_centers_, labels, self.n_iter_ = min(models, key=lambda model: model[0])
        self.labels_ = _given_back(rows, labels, np.int32)
        self._remember_features(X, rows.shape[1])
        there = int(np.count_nonzero(_counts(labels, self.n_clusters)))
        if there < self.n_clusters:
            warn(
                f"Number of distinct clusters ({there}) found smaller than n_clusters ({self.n_clusters}). Possibly "
                "due to duplicate points in X.",
                shared(ConvergenceWarning),
            )
        return self

    def predict(self, X: Data) -> Any:
        """The number of the nearest centre for each row; the lowest of several equally near."""
        rows = self._fitted_rows(X)
        return _given_back(rows, _nearest(_array(rows), self.cluster_centers_)[0], np.int32)

    def score(self, X: Data, y: object = None) -> float:  # type: ignore[override]
        """Minus the sum of the rows' distances to their nearest centres."""
        total: Any = _nearest(_array(self._fitted_rows(X)), self.cluster_centers_)[1].sum()
        return -float(total)

    def transform(self, X: Data) -> Any:
        """The sum of absolute differences of each row to each centre, n×k."""
        rows = self._fitted_rows(X)
        distances = cdist(_array(rows), self.cluster_centers_, "cityblock")
        return distances if rows.distributed else self._contained(np.asarray(distances), X)

    def fit_predict(self, X: Data, y: object = None) -> Any:  # type: ignore[override]
        """`fit(X).labels_`."""
        return self.fit(X).labels_

    def fit_transform(self, X: Data, y: object = None) -> Any:  # type: ignore[override]
        """`fit(X).transform(X)`."""
        return self.fit(X).transform(X)

    def _descend(self, x: Any, centres: NDArray[Any], limit: float) -> tuple[float, NDArray[Any], Any, int]:
        """Inertia, centres, labels and iterations from these centres."""
        labels, distances = _nearest(x, centres)
        step = 0
        while step < self.max_iter:
            step += 1
            moved = _medians(x, labels, distances, centres)
            shift = float(np.abs(moved.astype(np.float64) - centres).sum())
            before, centres = labels, moved
            labels, distances = _nearest(x, centres)
            changed: Any = (labels != before).any()
            if not bool(changed) or shift <= limit:
                break
        total: Any = distances.sum()
        return float(total), centres, labels, step

    def _rows_to_fit(self, X: Data) -> Rows:
        return _dense(super()._rows_to_fit(X))

    def _fitted_rows(self, X: Data) -> Rows:
        return _dense(super()._fitted_rows(X))


def _dense(rows: Rows) -> Rows:
    if rows.sparse:
        raise TypeError("X is sparse: medians are of dense rows, X.toarray()")
    return rows


def _array(rows: Rows) -> Any:
    return rows.values if rows.distributed else _native.asarray(rows.values)


def _given_back(rows: Rows, values: Any, dtype: Any) -> Any:
    return values if rows.distributed else np.asarray(values).astype(dtype)


def _nearest(x: Any, centres: NDArray[Any]) -> tuple[Any, Any]:
    """The number of each row's nearest centre, and its distance; a panel of centres at a time."""
    labels: Any = None
    distances: Any = None
    for first in range(0, len(centres), _PANEL):
        panel: Any = cdist(x, centres[first : first + _PANEL], "cityblock")
        own, near = panel.argmin(axis=1) + first, panel.min(axis=1)
        if labels is None:
            labels, distances = own, near
        else:
            # The lowest of several equally near.
            labels = _native.where(near < distances, own, labels)
            distances = _native.where(near < distances, near, distances)
        _native.wait(labels, distances)
    return labels, distances


def _counts(labels: Any, clusters: int) -> NDArray[Any]:
    return np.asarray(bincount(labels, minlength=clusters))


def _medians(x: Any, labels: Any, distances: Any, centres: NDArray[Any]) -> NDArray[Any]:
    """The medians of each label's rows; for labels without rows, one after another, the rows that lie farthest."""
    counts = _counts(labels, len(centres))
    moved = centres.copy()
    empty = np.flatnonzero(counts == 0)
    far = np.asarray(argsort(-distances, kind="stable")[: len(empty)]) if len(empty) else empty
    for cluster, row in zip(empty, far, strict=True):
        moved[cluster] = np.asarray(x[int(row)])
    for cluster in np.flatnonzero(counts):
        moved[cluster] = np.asarray(median(x[labels == int(cluster)], axis=0))
    return moved
