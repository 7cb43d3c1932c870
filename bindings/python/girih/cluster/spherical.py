"""K-Means by angles: rows and centres of length one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from girih.cluster.contract import RANDOM_STATE, VERBOSE, among, either, integer, real
from girih.cluster.data import Data, Rows
from girih.cluster.kmeans import WIDE_INIT, KMeans
from girih.cluster.silhouette import unit_rows


class SphericalKMeans(KMeans):
    """Spherical K-Means: rows go to the centre with the greatest cosine, centres are their rows' mean, of length one.

    Parameters, methods and attributes are those of `KMeans`, but that `inertia_` is the sum over rows of one minus the
    cosine to their centre, half of what a callback is told, and `transform` gives one minus the cosine to each centre.
    X is divided by the lengths of its rows in a copy; a row of zeros stays as it is.
    Source: Dhillon and Modha, "Concept decompositions for large sparse text data using clustering" (2001).

    >>> import girih as gr
    >>> x = [[1.0, 0.1], [5.0, 0.0], [0.0, 2.0], [0.2, 9.0]]
    >>> gr.cluster.SphericalKMeans(2, random_state=0).fit(x).labels_.tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
    True
    """

    _reads_passes = False
    _assigns_stored = False
    _unit = True
    algorithm = "lloyd"
    _rules = {
        "n_clusters": integer(),
        "init": WIDE_INIT,
        "n_init": either(among("auto"), integer()),
        "max_iter": integer(),
        "tol": real(),
        "verbose": VERBOSE,
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
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None, **options: Any) -> Self:
        """Finds the centres, with the options of `KMeans.fit`; a row with weight w counts as w rows."""
        super().fit(X, y, sample_weight, **options)
        self.inertia_ /= 2
        return self

    def score(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Minus the (weighted) sum over rows of one minus the cosine to the nearest centre."""
        return super().score(X, y, sample_weight) / 2

    def transform(self, X: Data) -> Any:
        """One minus the cosine of each row to each centre, n×k."""
        distances = super().transform(X)
        return distances * distances / 2

    def _rows_to_fit(self, X: Data) -> Rows:
        return Rows(unit_rows(super()._rows_to_fit(X).values))

    def _fitted_rows(self, X: Data) -> Rows:
        return Rows(unit_rows(super()._fitted_rows(X).values))
