"""Distances between rows, with SciPy's names, metrics and weights.

The rows of a result stay with the rows of the first operand; the second is whole on every rank.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from girih import _native, linalg, ufuncs
from girih.linalg.factors import Matrices
from girih.writing import written

__all__ = ["cdist", "pdist", "squareform"]

_NAMES = {
    "braycurtis": (), "canberra": (), "chebyshev": ("chebychev", "cheby", "cheb", "ch"),
    "cityblock": ("cblock", "cb", "c"), "correlation": ("co",), "cosine": ("cos",), "dice": (),
    "euclidean": ("euclid", "eu", "e"), "jaccard": ("jacc", "ja", "j"), "hamming": ("matching", "hamm", "ha", "h"),
    "jensenshannon": ("js",), "mahalanobis": ("mahal", "mah"), "minkowski": ("mi", "m", "pnorm"),
    "rogerstanimoto": (), "russellrao": (), "seuclidean": ("se", "s"), "sokalsneath": (),
    "sqeuclidean": ("sqe", "sqeuclid"), "yule": (),
}  # fmt: skip
_TRUTHS = ("dice", "jaccard", "rogerstanimoto", "russellrao", "sokalsneath", "yule")


@written
def cdist(XA: Matrices, XB: Matrices, metric: str = "euclidean", *, out: Any = None, **kwargs: Any) -> _native.Array:
    """The distance of each row of `XA` to each row of `XB`.

    `metric` is the name of one of SciPy's but 'kulczynski1' and 'sokalmichener', which SciPy has given up; `w` are
    weights of columns, `p` is Minkowski's exponent, `V` variances, `VI` an inverse covariance.
    Cost: `XB` travels to every rank; nothing else does, but for 'seuclidean' and 'mahalanobis' without `V` or `VI`.

    >>> import girih as gr
    >>> gr.spatial.distance.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]).tolist()
    [[5.0, 1.0]]
    """
    x, y = _rows(XA, "XA"), _rows(XB, "XB")
    if x.shape[1] != y.shape[1]:
        raise ValueError("XA and XB must have the same number of columns (i.e. feature dimension.)")
    name = _name(metric)
    if name in ("seuclidean", "mahalanobis") and not kwargs.keys() & {"V", "VI"}:
        kwargs = {**kwargs, **_spread(name, [x, y])}
    return _distances(name, x, y, kwargs)


@written
def pdist(X: Matrices, metric: str = "euclidean", *, out: Any = None, **kwargs: Any) -> _native.Array:
    """The distances between the rows of `X`, each pair once, in one axis: (0, 1), (0, 2), …, (1, 2), …

    Metrics and arguments are those of `cdist`. Cost: `X` travels to every rank.

    >>> import girih as gr
    >>> gr.spatial.distance.pdist([[0.0], [1.0], [3.0]]).tolist()
    [1.0, 3.0, 2.0]
    """
    x = _rows(X, "X")
    name = _name(metric)
    if name in ("seuclidean", "mahalanobis") and not kwargs.keys() & {"V", "VI"}:
        kwargs = {**kwargs, **_spread(name, [x])}
    return _distances(name, x, None, kwargs)


def squareform(X: Matrices, force: str = "no", checks: bool = True) -> _native.Array:
    """A symmetric matrix from the distances of `pdist`, or back. Cost: the operand travels to every rank.

    >>> import girih as gr
    >>> gr.spatial.distance.squareform([1.0, 2.0, 3.0]).tolist()
    [[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]]
    """
    x = _native.asarray(X)
    if force.lower() == "tomatrix" and x.ndim != 1:
        raise ValueError("Forcing 'tomatrix' but input X is not a distance vector.")
    if force.lower() == "tovector" and x.ndim != 2:
        raise ValueError("Forcing 'tovector' but input X is not a distance matrix.")
    if x.ndim == 1:
        return _native.zeros((1, 1), x.dtype) if x.shape[0] == 0 else _native.square_form(x)
    if x.ndim != 2:
        raise ValueError(
            f"The first argument must be one or two dimensional array. A {x.ndim}-dimensional array is not permitted"
        )
    if x.shape[0] != x.shape[1]:
        raise ValueError("The matrix argument must be square.")
    if checks and not bool((ufuncs.absolute(x - x.T) <= 1e-8).all()):
        raise ValueError("Distance matrix 'X' must be symmetric.")
    return _native.square_form(x)


def _rows(X: Matrices, name: str) -> _native.Array:
    x = _native.asarray(X)
    if x.ndim != 2:
        raise ValueError(f"{name} must be a 2-dimensional array.")
    return x if x.dtype == np.float64 else x.astype(np.float64)


def _name(metric: str) -> str:
    if not isinstance(metric, str):
        raise TypeError("metric must be the name of a metric: a function of two rows is not supported")
    given = metric.lower()
    for name, others in _NAMES.items():
        if given == name or given in others:
            return name
    raise ValueError(f"Unknown Distance Metric: {metric}; there are {', '.join(_NAMES)}")


def _spread(name: str, sides: list[_native.Array]) -> dict[str, Any]:
    """The variances of columns over all rows, or the inverse of their covariance."""
    rows, columns = sum(side.shape[0] for side in sides), sides[0].shape[1]
    if name == "mahalanobis" and rows <= columns:
        raise ValueError(
            f"The number of observations ({rows}) is too small; the covariance matrix is singular. For "
            f"observations with {columns} dimensions, at least {columns + 1} observations are required."
        )
    mean = _added([side.sum(axis=0) for side in sides]) / rows
    centred = [side - mean for side in sides]
    if name == "seuclidean":
        return {"V": _added([(side * side).sum(axis=0) for side in centred]) / (rows - 1)}
    return {"VI": linalg.inv(_added([side.T @ side for side in centred]) / (rows - 1))}


def _added(parts: list[_native.Array]) -> _native.Array:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _distances(name: str, x: _native.Array, y: _native.Array | None, given: dict[str, Any]) -> _native.Array:
    columns = x.shape[1]
    known = {"minkowski": {"p", "w"}, "seuclidean": {"V"}, "mahalanobis": {"VI"}, "jensenshannon": {"base"}}
    for argument in given.keys() - known.get(name, {"w"}):
        raise TypeError(f"{name}() got an unexpected keyword argument {argument!r}")
    weights, exponent = _weights(given.get("w"), columns), float(given.get("p", 2.0))
    sides = [x] if y is None else [x, y]
    if name == "seuclidean":
        name, weights = "euclidean", 1.0 / _few(given["V"], (columns,), "V")
    elif name == "mahalanobis":
        # With V⁻¹ = L·Lᵀ it is the Euclidean distance between x·L and y·L.
        factor = linalg.cholesky(_few(given["VI"], (columns, columns), "VI"))
        name, sides = "euclidean", [side @ factor for side in sides]
    elif name == "correlation":
        total = weights.sum()
        name, sides = "cosine", [side - (side * weights).sum(axis=1, keepdims=True) / total for side in sides]
    elif name == "jensenshannon":
        sides = [side / side.sum(axis=1, keepdims=True) for side in sides]
    elif name == "minkowski":
        if not exponent > 0:
            raise ValueError("p must be greater than 0")
        name = {1.0: "cityblock", 2.0: "euclidean", np.inf: "chebyshev"}.get(exponent, name)
    elif name in _TRUTHS:
        sides = [(side != 0).astype(np.float64) for side in sides]
    found = _native.distances(name, sides[0], sides[1] if y is not None else None, weights.tolist(), exponent)
    base = given.get("base")
    return found if base is None else found / np.sqrt(np.log(base))


def _weights(w: ArrayLike | None, columns: int) -> np.ndarray:
    if w is None:
        return np.ones(columns)
    weights = _few(w, (columns,), "w")
    if (weights < 0).any():
        raise ValueError("Input weights should be all non-negative")
    return weights


def _few(value: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    values = np.asarray(value, dtype=np.float64)
    if values.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {values.shape}")
    return values
