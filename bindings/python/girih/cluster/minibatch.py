"""K-Means from small random batches: centres are running means, corrected by a batch at a time.

Source: Sculley (2010); batches, reassignment and stopping as in scikit-learn's `MiniBatchKMeans`, with its draws.
Every rank draws the same batch and holds its rows; labels and inertia of a batch come from the exact kernel, so all
ranks take the same decisions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.contract import BOOL, INIT, NONE, RANDOM_STATE, VERBOSE, among, either, integer, real, warn
from girih.cluster.data import Data, Rows, random_state
from girih.cluster.kmeans import Centred
from girih.cluster.progress import say


@dataclass
class Progress:
    """What decides when to stop: the smoothed inertia of batches, its least value, and the steps since then."""

    smoothed: float | None = None
    least: float = math.inf
    without_improvement: int = 0


class MiniBatchKMeans(Centred):
    """K-Means for data too large or too many for whole passes, with scikit-learn's parameters, attributes and draws.

    Each step takes `batch_size` rows at random, with chances in proportion to their weights, and moves each centre
    towards the mean of the rows nearest to it. It ends after `max_iter` passes' worth of rows, when the centres move by
    no more than `tol`, or when `max_no_improvement` steps have not lowered the smoothed inertia. A centre with fewer
    rows than `reassignment_ratio` times the most is put on a random row now and then.

    Attributes are those of `KMeans`, and `n_steps_`; without `compute_labels` there is no `labels_`.

    >>> import numpy as np
    >>> import girih as gr
    >>> x = np.array([[1.0], [1.1], [0.9], [9.0], [9.1], [8.9]])
    >>> km = gr.cluster.MiniBatchKMeans(2, batch_size=6, n_init=1, random_state=0).fit(x)
    >>> sorted(km.cluster_centers_.round().ravel().tolist())
    [1.0, 9.0]
    """

    _rules = {
        "n_clusters": integer(),
        "init": INIT,
        "max_iter": integer(),
        "batch_size": integer(),
        "verbose": VERBOSE,
        "compute_labels": BOOL,
        "random_state": RANDOM_STATE,
        "tol": real(),
        "max_no_improvement": either(integer(0), NONE),
        "init_size": either(integer(), NONE),
        "n_init": either(among("auto"), integer()),
        "reassignment_ratio": real(),
    }
    _restarts_of_random = 3

    n_steps_: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "k-means++",
        max_iter: int = 100,
        batch_size: int = 1024,
        verbose: int = 0,
        compute_labels: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 0.0,
        max_no_improvement: int | None = 10,
        init_size: int | None = None,
        n_init: int | str = "auto",
        reassignment_ratio: float = 0.01,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.verbose = verbose
        self.compute_labels = compute_labels
        self.random_state = random_state
        self.tol = tol
        self.max_no_improvement = max_no_improvement
        self.init_size = init_size
        self.n_init = n_init
        self.reassignment_ratio = reassignment_ratio

    def fit(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Finds the centres; a row with weight w counts as w rows.

        Of rows in a file (`gr.open_rows`) a step reads those of its batch alone.
        Cost: a few small all-reduces and the rows of a batch for each step.
        """
        self._check_parameters()
        rows = Rows(X, may_stay=True)
        n = rows.shape[0]
        self._prepare(n)
        random = random_state(self.random_state)
        observations = rows.observations(sample_weight)
        weights = _weights(sample_weight, rows)
        centres = self._best_start(rows, observations, weights, random)
        self._counts = np.zeros(self.n_clusters, dtype=rows.dtype)
        self._since_reassignment = 0
        relative = self.tol * observations.mean_variance() if self.tol > 0 else 0.0
        chances = weights / weights.sum()
        steps = self.max_iter * n // self._batch_size
        progress = Progress()
        step = 0
        for step in range(1, steps + 1):
            chosen = random.choice(n, self._batch_size, p=chances, replace=True)
            batch = _batch(rows, observations, chosen)
            moved, inertia = self._step(batch, None, centres, random)
            shift = float(((moved - centres) ** 2).sum()) if relative > 0 else math.inf
            centres = moved
            if self._converged(progress, step, steps, n, shift <= relative, inertia / self._batch_size):
                break
        self.cluster_centers_ = centres
        self.n_steps_ = step
        self.n_iter_ = math.ceil(step * self._batch_size / n)
        self._remember_features(X, rows.shape[1])
        if self.compute_labels:
            self._label(rows, observations)
        else:
            self.inertia_ = float((progress.smoothed or 0.0) * weights.sum())
        return self

    def partial_fit(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """One step with these rows as the batch; the first call also chooses the starting centres among them."""
        first = not hasattr(self, "cluster_centers_")
        if first:
            self._check_parameters()
        rows = Rows(X) if first else self._fitted_rows(X)
        observations = rows.observations(sample_weight)
        weights = _weights(sample_weight, rows)
        if not hasattr(self, "_random"):
            self._random = random_state(self.random_state)
        if first:
            self._prepare(rows.shape[0])
            self.cluster_centers_ = self._start(rows, observations, weights, self._random)
            self._counts = np.zeros(self.n_clusters, dtype=rows.dtype)
            self._since_reassignment = 0
            self._remember_features(X, rows.shape[1])
            self.n_steps_ = 0
        batch = rows.to_numpy()
        self.cluster_centers_, _ = self._step(batch, weights, self.cluster_centers_, self._random)
        if self.compute_labels:
            self._label(rows, observations)
        self.n_steps_ = getattr(self, "n_steps_", 0) + 1
        return self

    def _prepare(self, n: int) -> None:
        self._check_rows(n)
        self._batch_size = min(self.batch_size, n)
        size = self.init_size
        if size is None:
            size = 3 * self._batch_size
            size = size if size >= self.n_clusters else 3 * self.n_clusters
        elif size < self.n_clusters:
            warn(
                f"init_size={size} should be larger than n_clusters={self.n_clusters}. Setting it to "
                "min(3*n_clusters, n_samples)",
                RuntimeWarning,
            )
            size = 3 * self.n_clusters
        self._init_size = min(size, n)

    def _best_start(
        self, rows: Rows, observations: _native.Observations, weights: NDArray[Any], random: np.random.RandomState
    ) -> NDArray[Any]:
        """Of several starts the one with the least inertia on rows drawn for the comparison."""
        drawn = random.randint(0, rows.shape[0], self._init_size)
        compared = Rows(_batch(rows, observations, drawn)).observations(weights[drawn])
        best: tuple[float, NDArray[Any]] | None = None
        for number in range(1, self._n_init + 1):
            if self.verbose:
                say(f"Init {number}/{self._n_init} with method {self.init}")
            centres = self._start(rows, observations, weights, random)
            inertia = compared.assign(centres)["inertia"]
            if self.verbose:
                say(f"Inertia for init {number}/{self._n_init}: {inertia}")
            if best is None or inertia < best[0]:
                best = inertia, centres
        assert best is not None, "there is at least one start"
        return best[1]

    def _start(
        self, rows: Rows, observations: _native.Observations, weights: NDArray[Any], random: np.random.RandomState
    ) -> NDArray[Any]:
        if isinstance(self.init, str) and self._init_size < rows.shape[0]:
            drawn = random.randint(0, rows.shape[0], self._init_size)
            weights = weights[drawn]
            rows = Rows(_batch(rows, observations, drawn))
            observations = rows.observations(weights)
        return self._starting_centres(rows, observations, weights, random, self.n_clusters)

    def _step(
        self, batch: Any, weights: NDArray[Any] | None, centres: NDArray[Any], random: np.random.RandomState
    ) -> tuple[NDArray[Any], float]:
        """New centres, and the inertia of the batch with the old ones."""
        self._since_reassignment += self._batch_size
        reassigns = bool((self._counts == 0).any()) or self._since_reassignment >= 10 * self.n_clusters
        if reassigns:
            self._since_reassignment = 0
        observations = Rows(batch).observations(weights)
        model = observations.assign(centres)
        labels = observations.labels(model["model"], False)
        own = np.ones(len(labels), dtype=centres.dtype) if weights is None else weights
        added = np.bincount(labels, weights=own, minlength=self.n_clusters).astype(centres.dtype)
        moved = centres.copy()
        touched = added > 0
        sums = _sums_by_label(batch, own, labels, self.n_clusters)
        counts = self._counts + added
        moved[touched] = (centres * self._counts[:, None] + sums)[touched] / counts[touched, None]
        self._counts = counts
        if reassigns and self.reassignment_ratio > 0:
            self._reassign(batch, moved, random)
        return moved, float(model["inertia"])

    def _reassign(self, batch: Any, centres: NDArray[Any], random: np.random.RandomState) -> None:
        """Puts centres that few rows were nearest to on rows of the batch, at most on half of them."""
        seldom = self._counts < self.reassignment_ratio * self._counts.max()
        size = batch.shape[0]
        if seldom.sum() > 0.5 * size:
            seldom[np.argsort(self._counts)[int(0.5 * size) :]] = False
        count = int(seldom.sum())
        if count:
            chosen = random.choice(size, replace=False, size=count)
            if self.verbose:
                say(f"[MiniBatchKMeans] Reassigning {count} cluster centers.")
            fresh = batch[chosen]
            centres[seldom] = fresh.toarray() if hasattr(fresh, "toarray") else fresh
        # Not to zero, for then they would be put elsewhere at once.
        self._counts[seldom] = self._counts[~seldom].min()

    def _converged(self, progress: Progress, step: int, steps: int, n: int, still: bool, inertia: float) -> bool:
        shown = f"Minibatch step {step}/{steps}: mean batch inertia: {inertia}"
        # The first step's inertia is that of the start.
        if step == 1:
            if self.verbose:
                say(shown)
            return False
        share = min(2.0 * self._batch_size / (n + 1), 1.0)
        before = progress.smoothed
        progress.smoothed = inertia if before is None else before * (1 - share) + inertia * share
        if self.verbose:
            say(f"{shown}, ewa inertia: {progress.smoothed}")
        if still:
            if self.verbose:
                say(f"Converged (small centers change) at step {step}/{steps}")
            return True
        improved = progress.smoothed < progress.least
        progress.without_improvement = 0 if improved else progress.without_improvement + 1
        progress.least = min(progress.least, progress.smoothed)
        if self.max_no_improvement is not None and progress.without_improvement >= self.max_no_improvement:
            if self.verbose:
                say(f"Converged (lack of improvement in inertia) at step {step}/{steps}")
            return True
        return False

    def _label(self, rows: Rows, observations: _native.Observations) -> None:
        model = observations.assign(np.ascontiguousarray(self.cluster_centers_))
        self.labels_ = observations.labels(model["model"], rows.distributed)
        self.inertia_ = model["inertia"]


def _weights(sample_weight: ArrayLike | None, rows: Rows) -> NDArray[Any]:
    n = rows.shape[0]
    if sample_weight is None:
        return np.ones(n, dtype=rows.dtype)
    given = np.asarray(sample_weight, dtype=rows.dtype)
    return np.full(n, given) if given.ndim == 0 else given


def _batch(rows: Rows, observations: _native.Observations, indices: NDArray[Any]) -> Any:
    """Rows by number, on every rank."""
    return observations.rows(indices.tolist()) if rows.distributed else rows.values[indices]


def _sums_by_label(batch: Any, weights: NDArray[Any], labels: NDArray[Any], clusters: int) -> NDArray[Any]:
    """Weighted sums of the rows of each label, added in the order of rows: the same bits on every rank."""
    sums = np.zeros((clusters, batch.shape[1]), dtype=batch.dtype)
    if hasattr(batch, "tocsr"):
        owners = np.repeat(labels, np.diff(batch.indptr))
        np.add.at(sums, (owners, batch.indices), batch.data * np.repeat(weights, np.diff(batch.indptr)))
        return sums
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    if len(present):
        sums[present] = np.add.reduceat((batch * weights[:, None])[order], starts, axis=0)
    return sums
