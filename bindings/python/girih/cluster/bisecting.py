"""K-Means by halving: the worst cluster is divided in two, until there are as many as asked for.

Each rank keeps the numbers of its own rows of every cluster, and only these rows are read when it is divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.contract import BOOL, INIT, RANDOM_STATE, VERBOSE, Estimator, among, integer, real
from girih.cluster.data import Data, Rows, random_state
from girih.cluster.data import weights as weights_of
from girih.cluster.kmeans import Centred
from girih.cluster.progress import say


@dataclass
class Node:
    """A cluster of the tree: a leaf, or divided in two."""

    center: NDArray[Any]
    score: float
    indices: NDArray[Any] | None
    left: Node | None = None
    right: Node | None = None
    label: int = field(default=-1)

    def leaves(self) -> Iterator[Node]:
        """The undivided clusters, from left to right."""
        if self.left is None or self.right is None:
            yield self
        else:
            yield from self.left.leaves()
            yield from self.right.leaves()


class BisectingKMeans(Centred):
    """Clusters by repeated division in two, with scikit-learn's parameters, attributes and draws.

    The cluster with the biggest inertia (`bisecting_strategy='biggest_inertia'`) or with the most rows
    ('largest_cluster') is divided next. `predict` goes down the tree of divisions. Other parameters and the attributes
    are those of `KMeans`.

    >>> import numpy as np
    >>> import girih as gr
    >>> x = np.array([[1.0], [2.0], [8.0], [9.0], [30.0]])
    >>> gr.cluster.BisectingKMeans(3, random_state=0).fit(x).inertia_
    1.0
    """

    _rules = {
        "n_clusters": integer(),
        "init": INIT,
        "n_init": integer(),
        "random_state": RANDOM_STATE,
        "max_iter": integer(),
        "verbose": VERBOSE,
        "tol": real(),
        "copy_x": BOOL,
        "algorithm": among("lloyd", "elkan"),
        "bisecting_strategy": among("biggest_inertia", "largest_cluster"),
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Any = "random",
        n_init: int = 1,
        random_state: int | np.random.RandomState | None = None,
        max_iter: int = 300,
        verbose: int = 0,
        tol: float = 1e-4,
        copy_x: bool = True,
        algorithm: str = "lloyd",
        bisecting_strategy: str = "biggest_inertia",
    ) -> None:
        self.n_clusters = n_clusters
        self.init = init
        self.n_init = n_init
        self.random_state = random_state
        self.max_iter = max_iter
        self.verbose = verbose
        self.tol = tol
        self.copy_x = copy_x
        self.algorithm = algorithm
        self.bisecting_strategy = bisecting_strategy

    def fit(self, X: Data, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Divides until there are `n_clusters` clusters.

        Cost: for each division a K-Means with two clusters on the rows of the cluster divided.
        """
        rows = self._rows_to_fit(X)
        random = random_state(self.random_state)
        part = Part(rows, sample_weight)
        root = Node(part.mean(), 0.0, np.arange(part.local_rows()))
        for _ in range(self.n_clusters - 1):
            # The first of several equal ones, as max gives it.
            self._divide(max(root.leaves(), key=lambda leaf: leaf.score), part, random)
        labels = np.full(part.local_rows(), -1, dtype=np.int32)
        centers = []
        for label, leaf in enumerate(root.leaves()):
            leaf.label = label
            labels[leaf.indices] = label
            leaf.indices = None
            centers.append(leaf.center)
        self._tree = root
        self.cluster_centers_ = np.ascontiguousarray(np.stack(centers).astype(rows.dtype))
        self.labels_ = part.labels(labels)
        self.inertia_ = part.inertia(self.cluster_centers_, labels)
        self._remember_features(X, rows.shape[1])
        return self

    def _divide(self, leaf: Node, part: Part, random: np.random.RandomState) -> None:
        assert leaf.indices is not None, "only leaves are divided"
        rows, sample_weight = part.subset(leaf.indices)
        observations = rows.observations(sample_weight)
        best: Any = None
        for _ in range(self._n_init):
            start = self._starting_centres(rows, observations, sample_weight, random, 2)
            model = observations.lloyd(start, self.max_iter, 0.0, None, float(self.tol))
            if model["interrupted"]:
                raise KeyboardInterrupt
            # By more than rounding, for else it is the same division.
            if best is None or model["inertia"] < best["inertia"] * (1 - 1e-6):
                best = model
        if self.verbose:
            say(f"New centroids from bisection: {best['centers']}")
        labels = part.local_labels(observations.labels(best["model"], True), len(leaf.indices))
        children = []
        for side, center in enumerate(best["centers"]):
            indices = leaf.indices[labels == side]
            if self.bisecting_strategy == "biggest_inertia":
                score = part.inertia_of(indices, center)
            else:
                score = part.count(indices)
            children.append(Node(center, score, indices))
        leaf.left, leaf.right = children
        leaf.indices = None

    def predict(self, X: Data) -> Any:
        """The cluster that each row comes to on its way down the tree."""
        rows = self._fitted_rows(X)
        part = Part(rows, None)
        return part.labels(self._descend(self._tree, part, np.arange(part.local_rows())))

    def _descend(self, node: Node, part: Part, indices: NDArray[Any]) -> NDArray[np.int32]:
        if node.left is None or node.right is None:
            return np.full(len(indices), node.label, dtype=np.int32)
        labels = np.full(len(indices), -1, dtype=np.int32)
        if part.count(indices) > 0:
            centers = np.ascontiguousarray(np.stack([node.left.center, node.right.center]).astype(part.rows.dtype))
            observations = part.subset(indices)[0].observations()
            found = observations.labels(observations.assign(centers)["model"], True)
            side = part.local_labels(found, len(indices))
            for number, child in enumerate((node.left, node.right)):
                labels[side == number] = self._descend(child, part, indices[side == number])
        return labels


class Part:
    """This rank's rows, where they can be chosen by number: all rows, unless the array is divided over ranks."""

    def __init__(self, rows: Rows, sample_weight: ArrayLike | None) -> None:
        self.rows = rows
        divided = rows.distributed and rows.values.local.shape[0] != rows.shape[0]
        self._divided = divided
        self._local: Any = rows.values.local if divided else rows.to_numpy()
        self._weights: NDArray[Any] | None = None
        if sample_weight is not None:
            given = weights_of(sample_weight, rows)
            # Weights of few bytes are whole on every rank even where rows are not.
            whole = np.asarray(given)
            self._weights = whole[_before(self.local_rows()) :][: self.local_rows()] if divided else whole

    def local_rows(self) -> int:
        """How many rows this rank may number."""
        return int(self._local.shape[0])

    def subset(self, indices: NDArray[Any]) -> tuple[Rows, Any]:
        """Some of the rows, those of all ranks together, and their weights."""
        chosen = self._local[indices]
        own = None if self._weights is None else self._weights[indices]
        if not self._divided:
            return Rows(chosen), own
        rows = Rows(_native.from_local(np.ascontiguousarray(chosen)))
        return rows, None if own is None else _native.from_local(np.ascontiguousarray(own))

    def count(self, indices: NDArray[Any]) -> int:
        """How many rows these are on all ranks."""
        if not self._divided:
            return len(indices)
        return sum(_counts(len(indices)))

    def mean(self) -> NDArray[Any]:
        """The mean row."""
        if hasattr(self._local, "tocsr"):
            return np.asarray(self._local.mean(axis=0)).ravel()
        array = self.rows.values if self.rows.distributed else _native.asarray(self.rows.values)
        return np.asarray(array.mean(axis=0))

    def inertia_of(self, indices: NDArray[Any], center: NDArray[Any]) -> float:
        """The (weighted) sum of squared distances of some rows to one centre."""
        if self.count(indices) == 0:
            return 0.0
        rows, own = self.subset(indices)
        return float(rows.observations(own).assign(np.ascontiguousarray(center[None]))["inertia"])

    def inertia(self, centers: NDArray[Any], labels: NDArray[Any]) -> float:
        """The sum over all clusters."""
        each = (self.inertia_of(np.flatnonzero(labels == label), center) for label, center in enumerate(centers))
        return float(sum(each))

    def local_labels(self, labels: _native.Array, count: int) -> NDArray[Any]:
        """Of the labels of a subset, those of the `count` rows that this rank chose, in their order."""
        whole = np.asarray(labels)
        return whole[_before(count) :][:count] if self._divided else whole

    def labels(self, labels: NDArray[np.int32]) -> Any:
        """Labels of this rank's rows, as users get them."""
        if self._divided:
            return _native.from_local(labels.astype(np.int64))
        return _native.asarray(labels.astype(np.int64)) if self.rows.distributed else labels


def _counts(own: int) -> list[int]:
    """Every rank's number."""
    return [int.from_bytes(each, "little") for each in _native.all_gather_bytes(own.to_bytes(8, "little"))]


def _before(own: int) -> int:
    """The sum of the numbers of lower ranks."""
    return sum(_counts(own)[: _native.rank()])
