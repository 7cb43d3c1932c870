"""K-Means with scikit-learn's names and draws, on all cores of all ranks.

Every rank calls the same methods. Labels, centres and inertia have the same bits at every number of ranks and threads.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.contract import (
    BOOL, RANDOM_STATE, VERBOSE, ConvergenceWarning, Estimator, Rule, among, either, integer, is_int, real, shared,
    warn,
)  # fmt: skip
from girih.cluster.data import Data, Rows, random_state
from girih.cluster.progress import Bar, Callback, Lines, say
from girih.cluster.seeding import afk_mc2, k_means_parallel, plus_plus

WIDE_INIT: Rule = (
    lambda value: (
        str(value) in ("afk-mc2", "k-means++", "k-means||", "random")
        if isinstance(value, str)
        else callable(value) or np.iterable(value)
    ),
    "a str among {'afk-mc2', 'k-means++', 'k-means||', 'random'}, a callable or an array-like",
)


class Centred(Estimator, ABC):
    """What all estimators with `cluster_centers_` share: starting centres, predictions, distances."""

    n_clusters: int
    init: Any
    n_init: Any
    max_iter: int
    tol: float
    verbose: int | bool
    random_state: Any
    cluster_centers_: NDArray[Any]
    labels_: Any
    inertia_: float
    n_iter_: int
    _n_init: int
    # How many starts `n_init='auto'` takes for random ones.
    _restarts_of_random = 10
    # Whether `fit` needs its rows in passes alone, so that they may stay in a file.
    _reads_passes = False
    # Whether rows that are assigned may stay in a file.
    _assigns_stored = True
    # Whether centres have length one.
    _unit = False

    def predict(self, X: Data) -> Any:
        """The number of the nearest centre for each row; the lowest of several equally near."""
        rows = self._fitted_rows(X)
        observations = rows.observations()
        return observations.labels(observations.assign(self.cluster_centers_)["model"], rows.distributed)

    def score(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the (weighted) sum of squared distances of the rows to their nearest centres."""
        return -self._fitted_rows(X).observations(sample_weight).assign(self.cluster_centers_)["inertia"]

    def transform(self, X: Data) -> Any:
        """The distance of each row to each centre, n×k."""
        rows = self._fitted_rows(X)
        distances = rows.observations().distances(self.cluster_centers_, rows.distributed)
        return distances if rows.distributed else self._contained(distances, X)

    def fit_predict(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Any:
        """`fit(X).labels_`."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def fit_transform(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Any:
        """`fit(X).transform(X)`."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    @abstractmethod
    def fit(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Finds the centres."""

    @property
    def _n_features_out(self) -> int:  # type: ignore[override]
        return int(self.cluster_centers_.shape[0])

    def _fitted_rows(self, X: Data) -> Rows:
        self._check_fitted()
        self.cluster_centers_ = np.ascontiguousarray(self.cluster_centers_)
        rows = Rows(X, dtype=self.cluster_centers_.dtype, may_stay=self._assigns_stored)
        self._check_features(X, rows.shape[1])
        return rows

    def _rows_to_fit(self, X: Data) -> Rows:
        self._check_parameters()
        rows = Rows(X, may_stay=self._reads_passes)
        self._check_rows(rows.shape[0])
        return rows

    def _check_rows(self, n: int) -> None:
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        self._n_init = self._restarts()

    def _restarts(self) -> int:
        """How often to start; an array says where, so once."""
        given = not isinstance(self.init, str) and not callable(self.init)
        if self.n_init == "auto":
            once = given or (isinstance(self.init, str) and self.init != "random")
            return 1 if once else self._restarts_of_random
        if given and self.n_init != 1:
            warn(
                f"Explicit initial center position passed: performing only one init in {type(self).__name__} instead "
                f"of n_init={self.n_init}.",
                RuntimeWarning,
            )
            return 1
        return int(self.n_init)

    def _starting_centres(
        self,
        rows: Rows,
        observations: _native.Observations,
        sample_weight: ArrayLike | None,
        random: np.random.RandomState,
        clusters: int,
    ) -> NDArray[Any]:
        if isinstance(self.init, str):
            if self.init == "k-means++":
                return plus_plus(observations, clusters, random)[0]
            if self.init == "k-means||":
                return k_means_parallel(observations, clusters, random)
            if self.init == "afk-mc2":
                return afk_mc2(observations, clusters, random)
            n = rows.shape[0]
            chances = np.full(n, 1 / n) if sample_weight is None else _chances(sample_weight, n)
            return observations.rows(random.choice(n, size=clusters, replace=False, p=chances).tolist())
        if callable(self.init):
            return _given_centres(self.init(rows.values, clusters, random_state=random), rows, clusters)
        return _given_centres(self.init, rows, clusters)


class KMeans(Centred):
    """Exact K-Means by Lloyd's algorithm, with scikit-learn's parameters, attributes and draws.

    Parameters are scikit-learn's: `n_clusters`, `init` ('k-means++', 'random', an array of centres, or a callable of
    X, n_clusters and random_state), `n_init` ('auto' or a number of restarts, which share passes over the data),
    `max_iter`, `tol`, `verbose`,
    `random_state` (None, a seed, or a `numpy.random.RandomState` in the same state on every rank). `copy_x` is accepted
    and has no effect: the data are neither copied nor changed. `algorithm` may be 'lloyd' or 'elkan'; both give the
    same result. With float64 data k-means++ chooses the rows that scikit-learn chooses from the same `random_state`;
    with float32 data its rounding may lead it to others. Two more kinds of `init` read the data less often than
    k-means++, which reads it once a centre: 'k-means||' (seven times; as good, for large k or rows in files) and
    'afk-mc2' (twice; between k-means++ of one candidate and random rows).

    X is a girih array, the rows of a file (`gr.open_rows`, read once for each pass), anything that NumPy takes as a
    matrix, or a SciPy CSR matrix; all but the first are given alike on every rank. `verbose=1` prints a line for each
    iteration, 2 shows a progress bar. After `fit`: `cluster_centers_` (k×d, the data's dtype), `labels_` (int32; for a
    girih array or a file a girih array of int64), `inertia_`, `n_iter_`, `n_features_in_`, and `feature_names_in_` for
    a data frame.

    >>> import numpy as np
    >>> import girih as gr
    >>> x = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> km = gr.cluster.KMeans(n_clusters=2, random_state=0).fit(x)
    >>> km.labels_.tolist()
    [1, 1, 1, 0, 0, 0]
    >>> km.cluster_centers_.tolist()
    [[10.0, 2.0], [1.0, 2.0]]
    """

    _reads_passes = True
    _rules = {
        "n_clusters": integer(),
        "init": WIDE_INIT,
        "n_init": either(among("auto"), integer()),
        "max_iter": integer(),
        "tol": real(),
        "verbose": VERBOSE,
        "random_state": RANDOM_STATE,
        "copy_x": BOOL,
        "algorithm": among("lloyd", "elkan"),
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike | Callable[..., ArrayLike] = "k-means++",
        n_init: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        copy_x: bool = True,
        algorithm: str = "lloyd",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state
        self.copy_x = copy_x
        self.algorithm = algorithm

    def fit(
        self,
        X: Data,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int = 10,
        resume: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Finds the centres; a row with weight w counts as w rows.

        After every `every` iterations rank 0 replaces the file `checkpoint`; a fit with `resume=` of that file, the
        same data and the same parameters goes on from there and ends with the same bits, on any number of ranks.

        `callback(iteration, inertia, shift, changed)` is called on every rank after each iteration, with the inertia
        of the labels just given, the squared distance that the centres moved and the number of labels that changed; a
        true answer on any rank ends the fit. If it raises on one rank, the others raise `RankError`.

        An interrupt (Ctrl-C, SIGINT) on any rank ends the fit after the iteration: it writes its checkpoint, warns, and
        has the best model so far. X must be finite: NaN raises ValueError on every rank.

        Cost: one all-reduce an iteration, of many long centres an exchange and a gathering of each of some panels;
        seeding by k-means++ takes two all-reduces a centre.
        """
        rows = self._rows_to_fit(X)
        if self.algorithm == "elkan" and self.n_clusters == 1:
            warn("algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead.", RuntimeWarning)
        if (checkpoint is not None or resume is not None) and self._n_init != 1:
            raise ValueError(f"checkpoint and resume are of one fit: n_init must be 1, not {self._n_init}")
        if not is_int(every, 1):
            raise ValueError(f"every must be an int >= 1, not {every!r}")
        kept = (None if checkpoint is None else os.fspath(checkpoint), int(every))
        observations = rows.observations(sample_weight)
        models = self._fits(rows, observations, sample_weight, callback, kept, resume)
        # The first of several equally good.
        best = min(models, key=lambda model: model["inertia"])
        for model in models:
            if model["interrupted"]:
                warn(
                    f"The fit was interrupted after {model['n_iter']} iterations; its attributes are those of the best "
                    "model so far.",
                    shared(ConvergenceWarning),
                )
                break
        self.cluster_centers_ = best["centers"]
        self.labels_ = observations.labels(best["model"], rows.distributed)
        self.inertia_ = best["inertia"]
        self.n_iter_ = best["n_iter"]
        self._remember_features(X, rows.shape[1])
        if best["clusters"] < self.n_clusters:
            warn(
                f"Number of distinct clusters ({best['clusters']}) found smaller than n_clusters "
                f"({self.n_clusters}). Possibly due to duplicate points in X.",
                shared(ConvergenceWarning),
            )
        return self

    def _fits(
        self,
        rows: Rows,
        observations: _native.Observations,
        sample_weight: ArrayLike | None,
        callback: Callback | None,
        kept: tuple[str | None, int],
        resume: str | os.PathLike[str] | None,
    ) -> list[Any]:
        """A model for each start. Starts share passes over the data if nobody listens to a single one."""
        if resume is not None:
            model = self._lloyd(observations, os.fspath(resume), callback, kept)
            if len(model["centers"]) != self.n_clusters:
                raise ValueError(f"resume: {resume} has {len(model['centers'])} clusters, not {self.n_clusters}")
            return [model]
        if self._n_init > 1 and callback is None and not self.verbose:
            starts = self._starts(rows, observations, sample_weight)
            return observations.lloyd_many(starts, self.max_iter, float(self.tol), unit=self._unit)
        models: list[Any] = []
        for start in self._starts(rows, observations, sample_weight):
            models.append(self._lloyd(observations, start, callback, kept))
            if models[-1]["interrupted"]:
                break
        return models

    def _starts(
        self, rows: Rows, observations: _native.Observations, sample_weight: ArrayLike | None
    ) -> list[NDArray[Any]]:
        """Starting centres for each restart, from one sequence of draws."""
        random = random_state(self.random_state)
        made = [
            self._starting_centres(rows, observations, sample_weight, random, self.n_clusters)
            for _ in range(self._n_init)
        ]
        return [unit(centres) if self._unit else centres for centres in made]

    def _lloyd(
        self, observations: _native.Observations, start: Any, callback: Callback | None, kept: tuple[str | None, int]
    ) -> Any:
        def fit(observer: Callback | None) -> Any:
            options: dict[str, Any] = {"unit": self._unit, "checkpoint": kept[0], "every": kept[1]}
            return observations.lloyd(start, self.max_iter, float(self.tol), observer, **options)

        if not self.verbose:
            return fit(callback)
        if self.verbose > 1:
            with Bar(self.max_iter, callback) as bar:
                return fit(bar.iteration)
        say("Initialization complete")
        lines = Lines(callback)
        model = fit(lines.iteration)
        lines.end(model["tolerance"])
        return model


def k_means(
    X: Data,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = None,
    init: str | ArrayLike | Callable[..., ArrayLike] = "k-means++",
    n_init: int | str = "auto",
    max_iter: int = 300,
    verbose: int = 0,
    tol: float = 1e-4,
    random_state: int | np.random.RandomState | None = None,
    copy_x: bool = True,
    algorithm: str = "lloyd",
    return_n_iter: bool = False,
) -> tuple[Any, ...]:
    """Centres, labels and inertia of `KMeans` with these parameters; with `return_n_iter` also its iterations.

    >>> import girih as gr
    >>> centres, labels, inertia = gr.cluster.k_means([[0.0], [1.0], [9.0]], 2, random_state=0)
    >>> inertia
    0.5
    """
    model = KMeans(
        n_clusters, init=init, n_init=n_init, max_iter=max_iter, tol=tol, verbose=verbose, random_state=random_state,
        copy_x=copy_x, algorithm=algorithm,
    ).fit(X, sample_weight=sample_weight)  # fmt: skip
    found = (model.cluster_centers_, model.labels_, model.inertia_)
    return (*found, model.n_iter_) if return_n_iter else found


def kmeans_plusplus(
    X: Data,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = None,
    x_squared_norms: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    n_local_trials: int | None = None,
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Starting centres by greedy k-means++, and the numbers of the rows that they are.

    `x_squared_norms` is accepted for scikit-learn's sake; nothing depends on it.
    Cost: two all-reduces a centre.

    >>> import girih as gr
    >>> centres, indices = gr.cluster.kmeans_plusplus([[0.0], [1.0], [9.0]], 2, random_state=0)
    >>> sorted(indices.tolist())[-1]
    2
    """
    if not is_int(n_clusters, 1):
        raise ValueError(f"The 'n_clusters' parameter of kmeans_plusplus must be an int >= 1. Got {n_clusters!r}.")
    if n_local_trials is not None and not is_int(n_local_trials, 1):
        raise ValueError(f"The 'n_local_trials' parameter must be an int >= 1 or None. Got {n_local_trials!r}.")
    rows = Rows(X, may_stay=True)
    if rows.shape[0] < n_clusters:
        raise ValueError(f"n_samples={rows.shape[0]} should be >= n_clusters={n_clusters}.")
    if x_squared_norms is not None and np.shape(x_squared_norms)[0] != rows.shape[0]:
        raise ValueError(
            f"The length of x_squared_norms {np.shape(x_squared_norms)[0]} should be equal to the length of n_samples "
            f"{rows.shape[0]}."
        )
    observations = rows.observations(sample_weight)
    return plus_plus(observations, n_clusters, _random(random_state), n_local_trials)


def _random(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    return random_state(seed)


def _chances(sample_weight: ArrayLike, n: int) -> NDArray[Any]:
    given = np.asarray(sample_weight, dtype=np.float64)
    given = np.full(n, given) if given.ndim == 0 else given
    return given / given.sum()


def unit(centres: NDArray[Any]) -> NDArray[Any]:
    """Centres divided by their lengths; one at zero stays there."""
    wide = np.asarray(centres, dtype=np.float64)
    lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    return np.asarray(wide / np.where(lengths == 0, 1, lengths), dtype=centres.dtype)


def _given_centres(init: Any, rows: Rows, clusters: int) -> NDArray[Any]:
    if hasattr(init, "toarray"):
        init = init.toarray()
    centres = np.ascontiguousarray(np.asarray(init), dtype=rows.dtype)
    shown = f"The shape of the initial centers {centres.shape} does not match the number of"
    if centres.ndim != 2 or centres.shape[0] != clusters:
        raise ValueError(f"{shown} clusters {clusters}.")
    if centres.shape[1] != rows.shape[1]:
        raise ValueError(f"{shown} features of the data {rows.shape[1]}.")
    if not np.isfinite(centres).all():
        raise ValueError("init contains NaN or infinity.")
    return centres
