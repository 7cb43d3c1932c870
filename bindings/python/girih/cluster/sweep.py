"""K-Means for many numbers of clusters at once, and what tells which of them to take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih.cluster.contract import is_int
from girih.cluster.data import Data, Rows, random_state
from girih.cluster.kmeans import KMeans
from girih.cluster.silhouette import silhouette_score

_SAMPLE = 5000


@dataclass(frozen=True)
class KSweep:
    """Fits for several numbers of clusters, the best of each number's restarts.

    `ks` are the numbers, ascending; `inertia`, `silhouette` (NaN where there is none) and `n_iter` belong to them.
    `centers[k]` and `labels[k]` are the model for k clusters.
    """

    ks: NDArray[np.intp]
    inertia: NDArray[np.float64]
    silhouette: NDArray[np.float64]
    n_iter: NDArray[np.intp]
    centers: dict[int, NDArray[Any]]
    labels: dict[int, Any]

    @property
    def elbow(self) -> int:
        """The number of clusters at which the curve of inertias bends most.

        It is the one farthest below the line from the first to the last point, both axes scaled to one.
        Source: Satopää, Albrecht, Irwin and Raghavan, "Finding a kneedle in a haystack" (2011).
        """
        across, down = self.ks - self.ks[0], self.inertia[0] - self.inertia
        if len(self.ks) < 3 or down[-1] <= 0:
            return int(self.ks[0])
        return int(self.ks[np.argmax(down / down[-1] - across / across[-1])])

    @property
    def best(self) -> int:
        """The number of clusters with the greatest silhouette, the least of several; the elbow if there is none."""
        if np.isnan(self.silhouette).all():
            return self.elbow
        return int(self.ks[np.nanargmax(self.silhouette)])

    def plot(self, path: Any = None) -> Any:
        """Inertia and silhouette by number of clusters, the elbow and the best marked: a matplotlib figure.

        With `path` the figure is also written there (.png, .svg, .pdf), by rank 0.
        """
        from matplotlib.figure import Figure

        from girih import _native
        from girih.files.agreed import everywhere

        figure = Figure(figsize=(7, 4), layout="constrained")
        left = figure.add_subplot()
        left.plot(self.ks, self.inertia, "o-", color="tab:blue", label="inertia")
        left.axvline(self.elbow, color="tab:blue", linestyle=":", label=f"elbow at {self.elbow}")
        left.set_xlabel("clusters")
        left.set_ylabel("inertia", color="tab:blue")
        if not np.isnan(self.silhouette).all():
            right = left.twinx()
            right.plot(self.ks, self.silhouette, "s-", color="tab:orange", label="silhouette")
            right.axvline(self.best, color="tab:orange", linestyle="--", label=f"greatest silhouette at {self.best}")
            right.set_ylabel("silhouette", color="tab:orange")
        figure.legend(loc="outside upper center", ncols=4, fontsize="small")
        if path is not None:
            everywhere(str(path), lambda: figure.savefig(path) if _native.rank() == 0 else None)
        return figure

    def _repr_png_(self) -> bytes:
        import io

        picture = io.BytesIO()
        self.plot().savefig(picture, format="png", dpi=96)
        return picture.getvalue()


def k_sweep(
    X: Data,
    ks: Iterable[int],
    *,
    init: Any = "k-means++",
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    sample_weight: ArrayLike | None = None,
    random_state: int | np.random.RandomState | None = None,
    silhouette: bool | int = True,
) -> KSweep:
    """Fits `KMeans` for each number of clusters in `ks`, `n_init` times each, in passes over the data that they share.

    X is what `KMeans.fit` takes, rows in a file too. The model for k is the one that `KMeans(k, init=init,
    n_init=n_init, random_state=random_state)` finds from an integer `random_state`, bit for bit. `silhouette` says
    whether to compute silhouettes, or of how many rows, drawn at random (5000 if True), the same for all k.
    Cost: for each k and restart as `KMeans.fit`, but that iterations of up to eight fits share a pass over the data
    and a message.

    Raises ValueError if `ks` is empty or holds what is no number of clusters of X.

    >>> import girih as gr
    >>> x = [[0.0], [1.0], [10.0], [11.0], [20.0], [21.0]]
    >>> sweep = gr.cluster.k_sweep(x, range(1, 6), random_state=0)
    >>> sweep.best, sorted(sweep.centers[3].ravel().tolist())
    (3, [0.5, 10.5, 20.5])
    """
    wanted = sorted({int(k) if is_int(k, 1) else _not_a_number_of_clusters(k) for k in ks})
    if not wanted:
        raise ValueError("ks is empty: it must hold at least one number of clusters")
    if not isinstance(silhouette, bool) and not is_int(silhouette, 3):
        raise ValueError(f"silhouette must be a bool or a number of rows >= 3, not {silhouette!r}")
    seed = random_state if is_int(random_state, 0) else int(_random(random_state).randint(1 << 31))
    models = [KMeans(k, init=init, n_init=n_init, max_iter=max_iter, tol=tol, random_state=seed) for k in wanted]
    rows = models[-1]._rows_to_fit(X)
    observations = rows.observations(sample_weight)
    starts, owners = [], []
    for model in models:
        model._check_rows(rows.shape[0])
        own = model._starts(rows, observations, sample_weight)
        starts += own
        owners += [model.n_clusters] * len(own)
    fitted = observations.lloyd_many(starts, max_iter, float(tol))
    best: dict[int, Any] = {}
    for k, found in zip(owners, fitted, strict=False):
        if k not in best or found["inertia"] < best[k]["inertia"]:
            best[k] = found
    done = [k for k in wanted if k in best]
    labels = {k: observations.labels(best[k]["model"], rows.distributed) for k in done}
    scores = _silhouettes(rows, labels, seed, _SAMPLE if silhouette is True else int(silhouette))
    return KSweep(
        np.array(done), np.array([best[k]["inertia"] for k in done]), np.array(scores),
        np.array([best[k]["n_iter"] for k in done]), {k: best[k]["centers"] for k in done}, labels,
    )  # fmt: skip


def _silhouettes(rows: Rows, labels: dict[int, Any], seed: Any, size: int) -> list[float]:
    """The mean silhouette of the same sample of rows for each labelling; NaN of too few or too many clusters."""
    if size == 0 or rows.sparse:
        return [float("nan")] * len(labels)
    sample = np.sort(np.random.RandomState(seed).permutation(rows.shape[0])[:size])
    few = rows.observations().rows(sample.tolist())
    scores = []
    for own in labels.values():
        of_sample = np.asarray(own)[sample]
        there = len(np.unique(of_sample))
        scores.append(silhouette_score(few, of_sample) if 1 < there < len(sample) else float("nan"))
    return scores


def _random(seed: Any) -> np.random.RandomState:
    return random_state(seed)


def _not_a_number_of_clusters(k: object) -> int:
    raise ValueError(f"ks must hold ints >= 1, not {k!r}")
