"""K-Means with scikit-learn's names and draws, on all cores of all ranks.

Every rank calls the same methods. Labels, centres and inertia have the same bits at every number of ranks and threads.
"""

from __future__ import annotations

import math
import numbers
import struct
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native, ufuncs

__all__ = ["ConvergenceWarning", "KMeans"]

Callback = Callable[[int, float, float, int], "bool | None"]
Data = _native.Array | ArrayLike


class ConvergenceWarning(UserWarning):
    """The result is not what was asked for, such as fewer distinct clusters."""


class KMeans:
    """Exact K-Means by Lloyd's algorithm, with scikit-learn's parameters, attributes and draws.

    Parameters are scikit-learn's: `n_clusters`, `init` ('k-means++', 'random', or an array of centres), `n_init`
    ('auto' or a number of restarts), `max_iter`, `tol`, `verbose`, `random_state` (None, a seed, or a
    `numpy.random.RandomState` in the same state on every rank). `copy_x` is accepted and has no effect: the data are
    neither copied nor changed. `algorithm` must be 'lloyd'. With float64 data k-means++ chooses the rows that
    scikit-learn chooses from the same `random_state`; with float32 data its rounding may lead it to others.

    After `fit`: `cluster_centers_` (k×d, the data's dtype), `labels_` (int32 for NumPy input, a girih array of int64
    for a girih array), `inertia_`, `n_iter_`, `n_features_in_`.

    >>> import numpy as np
    >>> import girih as gr
    >>> x = np.array([[1.0, 2.0], [1.0, 4.0], [1.0, 0.0], [10.0, 2.0], [10.0, 4.0], [10.0, 0.0]])
    >>> km = gr.cluster.KMeans(n_clusters=2, random_state=0).fit(x)
    >>> km.labels_.tolist()
    [1, 1, 1, 0, 0, 0]
    >>> km.cluster_centers_.tolist()
    [[10.0, 2.0], [1.0, 2.0]]
    """

    cluster_centers_: NDArray[Any]
    labels_: Any
    inertia_: float
    n_iter_: int
    n_features_in_: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: str | ArrayLike = "k-means++",
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

    def fit(self, X: Data, y: object = None, *, callback: Callback | None = None) -> Self:
        """Finds the centres.

        `callback(iteration, inertia, shift, changed)` is called on every rank after each iteration, with the inertia
        of the labels just given, the squared distance that the centres moved and the number of labels that changed; a
        true answer on any rank ends the fit. If it raises on one rank, the others raise `RankError`.

        Cost: one all-reduce an iteration; seeding by k-means++ takes two a centre.
        """
        return self._fit(X, callback)

    def _fit(self, X: Data, callback: Callback | None = None) -> Self:
        """What every public method that fits calls itself, so that warnings point at the line of their caller."""
        self._check_parameters()
        rows, wants_array = _rows(X)
        n, d = rows.shape
        if n < self.n_clusters:
            raise ValueError(f"n_samples={n} should be >= n_clusters={self.n_clusters}.")
        observations = _native.Observations(rows)
        given = None if isinstance(self.init, str) else self._given_centres(rows.dtype, d)
        random = _random_state(self.random_state)
        best = None
        for _ in range(self._restarts(given is not None)):
            start = given if given is not None else self._draw_centres(observations, random)
            model = observations.lloyd(start, self.max_iter, float(self.tol), self._observer(callback))
            if best is None or model["inertia"] < best["inertia"]:
                best = model
        assert best is not None, "there is at least one start"
        self.cluster_centers_ = best["centers"]
        self.labels_ = observations.labels(best["model"], wants_array)
        self.inertia_ = best["inertia"]
        self.n_iter_ = best["n_iter"]
        self.n_features_in_ = d
        if best["clusters"] < self.n_clusters:
            warnings.warn(
                f"Number of distinct clusters ({best['clusters']}) found smaller than n_clusters "
                f"({self.n_clusters}). Possibly due to duplicate points in X.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def fit_predict(self, X: Data, y: object = None) -> Any:
        """`fit(X).labels_`."""
        return self._fit(X).labels_

    def fit_transform(self, X: Data, y: object = None) -> Any:
        """`fit(X).transform(X)`."""
        return self._fit(X).transform(X)

    def predict(self, X: Data) -> Any:
        """The number of the nearest centre for each row; the lowest of several equally near."""
        rows, wants_array = self._fitted_rows(X)
        observations = _native.Observations(rows)
        return observations.labels(observations.assign(self._centres_for(rows))["model"], wants_array)

    def score(self, X: Data, y: object = None) -> float:
        """Minus the sum of squared distances of the rows to their nearest centres."""
        rows, _ = self._fitted_rows(X)
        return -_native.Observations(rows).assign(self._centres_for(rows))["inertia"]

    def transform(self, X: Data) -> Any:
        """The distance of each row to each centre, n×k."""
        rows, wants_array = self._fitted_rows(X)
        centres = self._centres_for(rows)
        # About the centres' mean, for the expansion of distances loses digits far from zero.
        middle = centres.mean(axis=0)
        rows, centres = rows - middle, centres - middle
        squares = (rows * rows).sum(axis=1, keepdims=True) + (centres * centres).sum(axis=1) - 2 * (rows @ centres.T)
        distances = ufuncs.sqrt(ufuncs.maximum(squares, 0))
        return distances if wants_array else np.asarray(distances)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters, by name."""
        names = ("algorithm", "copy_x", "init", "max_iter", "n_clusters", "n_init", "random_state", "tol", "verbose")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Changes parameters by name."""
        for name, value in params.items():
            if name not in self.get_params():
                raise ValueError(f"Invalid parameter {name!r} for estimator {self!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = KMeans().get_params()
        changed = {name: value for name, value in self.get_params().items() if value is not defaults[name]}
        shown = (f"{name}={value!r}" for name, value in changed.items() if name == "init" or value != defaults[name])
        return f"KMeans({', '.join(shown)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn's pipelines and searches ask; it is imported already when they do."""
        from sklearn.utils import Tags, TargetTags, TransformerTags

        target, transformer = TargetTags(required=False), TransformerTags(preserves_dtype=["float64", "float32"])
        return Tags(estimator_type="clusterer", target_tags=target, transformer_tags=transformer)

    def _check_parameters(self) -> None:
        _check("n_clusters", self.n_clusters, _is_int(self.n_clusters, 1), "an int in the range [1, inf)")
        _check("max_iter", self.max_iter, _is_int(self.max_iter, 1), "an int in the range [1, inf)")
        is_number = isinstance(self.tol, numbers.Real) and not isinstance(self.tol, bool) and self.tol >= 0
        _check("tol", self.tol, is_number, "a float in the range [0.0, inf)")
        _check("n_init", self.n_init, self.n_init == "auto" or _is_int(self.n_init, 1), "'auto' or an int >= 1")
        _check("algorithm", self.algorithm, self.algorithm == "lloyd", "'lloyd'")
        known = self.init in ("k-means++", "random") if isinstance(self.init, str) else np.iterable(self.init)
        _check("init", self.init, known, "'k-means++', 'random' or an array")

    def _restarts(self, given: bool) -> int:
        if self.n_init == "auto":
            return 10 if isinstance(self.init, str) and self.init == "random" else 1
        if given and self.n_init != 1:
            warnings.warn(
                f"Explicit initial center position passed: performing only one init in KMeans instead of "
                f"n_init={self.n_init}.",
                RuntimeWarning,
                stacklevel=4,
            )
            return 1
        return int(self.n_init)

    def _given_centres(self, dtype: np.dtype[Any], features: int) -> NDArray[Any]:
        centres = np.ascontiguousarray(self.init, dtype=dtype)
        if centres.shape != (self.n_clusters, features):
            raise ValueError(
                f"The shape of the initial centers {centres.shape} does not match (n_clusters, n_features) = "
                f"({self.n_clusters}, {features})."
            )
        if not np.isfinite(centres).all():
            raise ValueError("init contains NaN or infinity.")
        return centres

    def _draw_centres(self, observations: _native.Observations, random: np.random.RandomState) -> NDArray[Any]:
        k = self.n_clusters
        if self.init == "random":
            n = observations.n_samples
            return observations.rows(random.choice(n, size=k, replace=False, p=np.full(n, 1 / n)).tolist())
        trials = 2 + int(math.log(k))
        first = random.random_sample()
        return observations.plus_plus(first, random.uniform(size=(k - 1, trials)))

    def _observer(self, callback: Callback | None) -> Callback | None:
        if not self.verbose:
            return callback

        def observer(iteration: int, inertia: float, shift: float, changed: int) -> bool | None:
            if _native.rank() == 0:
                print(f"Iteration {iteration}, inertia {inertia}.", flush=True)  # noqa: T201
            return callback(iteration, inertia, shift, changed) if callback else None

        return observer

    def _fitted_rows(self, X: Data) -> tuple[_native.Array, bool]:
        if not hasattr(self, "cluster_centers_"):
            raise ValueError("This KMeans instance is not fitted yet. Call 'fit' before using this estimator.")
        rows, wants_array = _rows(X)
        if rows.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {rows.shape[1]} features, but KMeans is expecting {self.n_features_in_} features as input."
            )
        return rows, wants_array

    def _centres_for(self, rows: _native.Array) -> NDArray[Any]:
        return np.ascontiguousarray(self.cluster_centers_, dtype=rows.dtype)


def _rows(X: Data) -> tuple[_native.Array, bool]:
    """The observations as a girih matrix of floats, and whether they came as a girih array."""
    if isinstance(X, _native.Array):
        rows, wants_array = X, True
    else:
        if hasattr(X, "tocsr"):
            raise TypeError("Sparse data was passed for X, but dense data is required. Use '.toarray()'.")
        values = np.asarray(X)
        if values.dtype.kind == "O":
            values = _numbers(values)
        if values.dtype.kind not in "biuf":
            raise ValueError(f"X must be numeric, not of dtype {values.dtype}.")
        if values.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            values = values.astype(np.float64)
        rows, wants_array = _native.asarray(values), False
    if rows.ndim != 2:
        raise ValueError(f"Expected 2D array, got {rows.ndim}D array instead. Reshape X to (n_samples, n_features).")
    if 0 in rows.shape:
        n, d = rows.shape
        raise ValueError(f"Found array with {n} sample(s) and {d} feature(s) (shape={rows.shape}).")
    if rows.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
        rows = rows.astype(np.float64)
    return rows, wants_array


def _numbers(objects: NDArray[Any]) -> NDArray[Any]:
    """A table of Python's numbers, such as columns of several types leave, as floats; itself if they are not."""
    try:
        return objects.astype(np.float64)
    except (TypeError, ValueError):
        return objects


def _random_state(seed: int | np.random.RandomState | None) -> np.random.RandomState:
    """scikit-learn's rules, and the same fresh seed on every rank for None."""
    if seed is None:
        mine = struct.pack("<I", np.random.SeedSequence().generate_state(1)[0])
        seed = struct.unpack("<I", _native.broadcast_bytes(0, mine))[0]
    if isinstance(seed, np.random.RandomState):
        return seed
    if isinstance(seed, numbers.Integral):
        return np.random.RandomState(int(seed))
    raise ValueError(f"The 'random_state' parameter of KMeans must be an int, a RandomState or None. Got {seed!r}.")


def _is_int(value: object, least: int) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and int(value) >= least


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"The {name!r} parameter of KMeans must be {expected}. Got {value!r} instead.")
