"""The part of the native module that clustering stands on.

It is read by tools only: `girih._native` has all of it. `girih.cluster` calls it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Self, final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from girih._native import Array

@final
class Model:
    """Labels of this rank's rows, made by `Observations`."""

@final
class Observations:
    """The rows of a matrix of finite floats, prepared for K-Means on every rank. All methods are collective."""
    def __new__(cls, rows: Array, /) -> Self: ...
    @staticmethod
    def sparse(
        shape: Sequence[int], starts: NDArray[np.int64], columns: NDArray[np.uint32], values: NDArray[Any], /
    ) -> Observations:
        """The rows of a CSR matrix given alike on every rank; each keeps its part."""
    @staticmethod
    def stored(
        source: str | Callable[[int, int], NDArray[Any]],
        shape: Sequence[int],
        dtype: DTypeLike,
        memory_budget: int | None,
        together: int,
        /,
    ) -> Observations:
        """Rows that are read for each pass, of a `.npy` file or by a function of two bounds."""
    def weighted(self, weights: Array, /) -> Observations: ...
    @property
    def n_samples(self) -> int: ...
    def rows(self, indices: Sequence[int], /) -> NDArray[Any]: ...
    def plus_plus(self, first: float, draws: NDArray[np.float64], /) -> tuple[NDArray[Any], list[int]]:
        """Greedy k-means++ from a draw for the first row and a line of draws for each next one; and the row numbers."""
    def lloyd_many(
        self, starts: Sequence[NDArray[Any]], max_iter: int, tol: float, /, unit: bool = False
    ) -> list[dict[str, Any]]:
        """Fits from several starts, of any numbers of clusters, which share passes over the data."""
    def oversampled(
        self, first: float, seed: int, expected: float, rounds: int, /
    ) -> tuple[NDArray[Any], list[float]]:
        """Candidates for centres by k-means||, with the weights of the rows nearest to them."""
    def chained(
        self, first: float, proposals: NDArray[np.float64], accepts: NDArray[np.float64], length: int, /
    ) -> tuple[NDArray[Any], list[int]]:
        """Starting centres by AFK-MC², and the row numbers."""
    def silhouettes(self, labels: NDArray[np.int32], clusters: int, squared: bool, as_array: bool, /) -> Any: ...
    def mean_variance(self) -> float: ...
    def update(self, centers: NDArray[Any], /) -> dict[str, Any]:
        """As `assign`, with each label's `means` and `counts`, this rank's `distances` and the `mean_distance`."""
    def distances(self, centers: NDArray[Any], as_array: bool, /) -> Any: ...
    def lloyd(
        self,
        start: NDArray[Any] | str,
        max_iter: int,
        tol: float,
        callback: Callable[[int, float, float, int], bool | None] | None,
        /,
        shift: float = 0.0,
        prunes: bool = True,
        unit: bool = False,
        checkpoint: str | None = None,
        every: int = 10,
    ) -> dict[str, Any]:
        """Lloyd's iterations, until the squared shift is at most `tol` times the mean variance, or at most `shift`."""
    def assign(self, centers: NDArray[Any], /) -> dict[str, Any]:
        """The nearest centre of each row: `inertia` and the `model` that holds the labels."""
    def labels(self, model: Any, as_array: bool, /) -> Any: ...
