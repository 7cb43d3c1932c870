"""Medians, quantiles and histograms: exact, and without sorting or gathering what lies on many ranks.

A quantile along rows is selected by counting keys: some kilobytes travel, whatever the array's size. Histograms count
where the elements are and add the counts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from girih import _native, reductions, ufuncs
from girih._native import Array, asarray
from girih.indexing import take_along_axis
from girih.shaping import broadcast_to, expand_dims, moveaxis, ravel, transpose
from girih.sorting import argsort, bincount, searchsorted, sort

__all__ = [
    "histogram", "histogram2d", "histogram_bin_edges", "histogramdd", "median", "nanmedian", "nanpercentile",
    "nanquantile", "percentile", "quantile",
]  # fmt: skip

# More lanes along rows are sorted instead: counting keys for each of them would send more than their elements.
_LANES_MAX = 256


def _between(n: Any, q: Any, alpha: float, beta: float) -> Any:
    return n * q + (alpha + q * (1 - alpha - beta)) - 1


def _observed(index: Any, take_before: Callable[[Any, Any], Any]) -> Any:
    before = np.floor(index)
    chosen = np.where(take_before(index - before, index), before, before + 1)
    return np.maximum(chosen, 0).astype(np.intp)


_EXACT: dict[str, Callable[[Any, Any], Any]] = {
    "inverted_cdf": lambda n, q: _observed(n * q - 1, lambda gamma, _: gamma == 0),
    "closest_observation": lambda n, q: _observed(
        n * q - 1 - 0.5, lambda gamma, index: (gamma == 0) & (np.floor(index) % 2 == 1)
    ),
    "lower": lambda n, q: np.floor((n - 1) * q).astype(np.intp),
    "higher": lambda n, q: np.ceil((n - 1) * q).astype(np.intp),
    "nearest": lambda n, q: np.around((n - 1) * q).astype(np.intp),
}
_INTERPOLATED: dict[str, Callable[[Any, Any], Any]] = {
    "averaged_inverted_cdf": lambda n, q: n * q - 1,
    "interpolated_inverted_cdf": lambda n, q: _between(n, q, 0, 1),
    "hazen": lambda n, q: _between(n, q, 0.5, 0.5),
    "weibull": lambda n, q: _between(n, q, 0, 0),
    "linear": lambda n, q: (n - 1) * q,
    "median_unbiased": lambda n, q: _between(n, q, 1 / 3, 1 / 3),
    "normal_unbiased": lambda n, q: _between(n, q, 3 / 8, 3 / 8),
    "midpoint": lambda n, q: 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q)),
}


def _neighbours(n: Any, q: Any, method: str) -> tuple[Any, Any, Any]:
    """For n elements: the places of the two between which the quantile lies, and how far."""
    if method in _EXACT:
        place = np.clip(_EXACT[method](n, q), 0, np.maximum(n - 1, 0))
        return place, place, np.zeros(np.shape(place))
    if method not in _INTERPOLATED:
        methods = sorted([*_EXACT, *_INTERPOLATED])
        raise ValueError(f"{method!r} is not a valid method. Use one of: {methods}")
    index = np.asarray(_INTERPOLATED[method](n, q))
    before = np.floor(index)
    gamma = index - before
    if method == "averaged_inverted_cdf":
        gamma = np.where(gamma == 0, 0.5, 1.0)
    if method == "midpoint":
        gamma = np.where(index % 1 == 0, 0.0, 0.5)
    last = np.maximum(np.asarray(n) - 1, 0)
    above, below = index >= last, index < 0
    low = np.where(above, last, np.where(below, 0, before)).astype(np.intp)
    high = np.where(above, last, np.where(below, 0, before + 1)).astype(np.intp)
    return low, high, gamma


def _interpolated(low: Array, high: Array, gamma: Any, asked: Any) -> Array:
    dtype = np.result_type(low.dtype, np.float64 if low.dtype.kind in "iub" else low.dtype, asked.dtype)
    low, high = low.astype(dtype), high.astype(dtype)
    fraction = np.asarray(gamma).astype(dtype)
    step = high - low
    return _native.where(asarray(fraction >= 0.5), high - step * asarray(1 - fraction), low + step * asarray(fraction))


def _places(array: Array, axes: tuple[int, ...], places: list[int]) -> Array:
    """The elements at these places of the sorted lines along axes: the other axes, then one for the places."""
    rest = [axis for axis in range(array.ndim) if axis not in axes]
    kept = tuple(array.shape[axis] for axis in rest)
    lanes = math.prod(kept)
    if 0 in axes and lanes <= _LANES_MAX:
        lines = transpose(array, [*axes, *rest]) if array.ndim > 1 else array
        return _native.select_sorted(lines.copy(), lanes, places).reshape((*kept, len(places)))
    lines = transpose(array, [*rest, *axes]).reshape((*kept, -1))
    return sort(lines, axis=-1)[..., np.asarray(places, dtype=np.intp)]


def _prepared(a: Any, q: Any, axis: Any, hundred: bool) -> tuple[Array, np.ndarray[Any, Any], tuple[int, ...]]:
    array = asarray(a)
    if array.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    real = array.dtype.kind == "f"
    asked = np.asarray(np.asarray(q), dtype=array.dtype if real and isinstance(q, int | float) else None)
    if hundred:
        asked = np.true_divide(asked, array.dtype.type(100) if real else 100)
    if asked.dtype.kind not in "f":
        asked = asked.astype(float)
    if not ((asked >= 0) & (asked <= 1)).all():
        raise ValueError(
            f"{'Percentiles' if hundred else 'Quantiles'} must be in the range [0, {'100' if hundred else '1'}]"
        )
    if array.ndim == 0:
        array = array.reshape(1)
        axis = None
    axes = tuple(range(array.ndim)) if axis is None else normalize_axis_tuple(axis, array.ndim)
    return array, asked, axes


def _finished(result: Array, shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool, asked: Any) -> Array:
    """Brings the axis of quantiles to the front and gives it their shape; puts reduced axes back if asked to."""
    result = moveaxis(result, -1, 0)
    kept = tuple(1 if axis in axes else length for axis, length in enumerate(shape)) if keepdims else result.shape[1:]
    return result.reshape(asked.shape + kept)


def _quantile(a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: bool, weights: Any, hundred: bool) -> Array:
    array, asked, axes = _prepared(a, q, axis, hundred)
    if weights is not None:
        return _given(_weighted(array, asked, axes, method, keepdims, weights, leave_nan=False), out)
    count = math.prod(array.shape[axis] for axis in axes)
    if count == 0:
        shape = tuple(length for axis, length in enumerate(array.shape) if axis not in axes)
        if math.prod(shape) and asked.size:
            raise IndexError("index -1 is out of bounds for axis 0 with size 0")
        return _native.zeros(asked.shape + shape, dtype=np.float64 if array.dtype.kind in "iub" else array.dtype)
    flat = asked.reshape(-1)
    low, high, gamma = _neighbours(count, flat, method)
    places = sorted({int(place) for place in (*low, *high)} | {count - 1})
    found = _places(array, axes, places)
    number = {place: index for index, place in enumerate(places)}

    def pick(wanted: Any) -> Array:
        return found[..., np.asarray([number[int(place)] for place in wanted], dtype=np.intp)]

    result = pick(low) if method in _EXACT else _interpolated(pick(low), pick(high), gamma, asked)
    if array.dtype.kind == "f":
        greatest = found[..., number[count - 1] : number[count - 1] + 1]
        result = _native.where(ufuncs.isnan(greatest), greatest, result)
    return _given(_finished(result, array.shape, axes, keepdims, asked), out)


def _weighted(
    array: Array, asked: Any, axes: tuple[int, ...], method: str, keepdims: bool, weights: Any, leave_nan: bool
) -> Array:
    """The least elements up to which there is a share of all weight. Cost: a sort along the axes and a running sum."""
    if method != "inverted_cdf":
        raise ValueError("Only method 'inverted_cdf' supports weights.")
    each = asarray(weights)
    if each.shape != array.shape:
        if len(axes) != 1:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        if each.ndim != 1:
            raise TypeError("1D weights expected when shapes of a and weights differ.")
        if each.shape[0] != array.shape[axes[0]]:
            raise ValueError("Shape of weights must be consistent with shape of array along specified axis.")
        each = broadcast_to(each.reshape([-1 if axis == axes[0] else 1 for axis in range(array.ndim)]), array.shape)
    if bool((each < 0).any()):
        raise ValueError("Weights must be non-negative.")
    rest = [axis for axis in range(array.ndim) if axis not in axes]
    kept = tuple(array.shape[axis] for axis in rest)
    lines, shares = (transpose(x, [*rest, *axes]).reshape((*kept, -1)) for x in (array, each.astype(np.float64)))
    if lines.shape[-1] == 0:
        raise IndexError("index -1 is out of bounds for axis 0 with size 0")
    if leave_nan and array.dtype.kind == "f":
        shares = _native.where(ufuncs.isnan(lines), 0.0, shares)
    order = argsort(lines, axis=-1)
    ordered = take_along_axis(lines, order, -1)
    reached = reductions.cumsum(take_along_axis(shares, order, -1), axis=-1)
    reached = reached / reached[..., -1:]
    # Elements of no weight in front are no quantile, not even the 0th.
    before = [
        reductions.sum(reached <= 0 if share == 0 else reached < asarray(share), axis=-1, keepdims=True)
        for share in asked.reshape(-1).astype(np.float64)
    ]
    places = ufuncs.minimum(_native.concatenate(before, -1), lines.shape[-1] - 1)
    result = take_along_axis(ordered, places, -1)
    if array.dtype.kind == "f":
        spoilt = ufuncs.isnan(reached[..., -1:]) if leave_nan else ufuncs.isnan(ordered[..., -1:])
        result = _native.where(spoilt, asarray(array.dtype.type(np.nan)), result)
    return _finished(result, array.shape, axes, keepdims, asked)


def _given(result: Array, out: Array | None) -> Array:
    if out is not None:
        out[...] = result
        return out
    return result


def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """Quantiles of all elements, or along axes, by any of NumPy's methods.

    >>> import girih as gr
    >>> gr.quantile(gr.arange(101), [0.25, 0.5]).tolist()
    [25.0, 50.0]
    """
    return _quantile(a, q, axis, out, method, keepdims, weights, hundred=False)


def percentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """As `quantile`, of hundredths."""
    return _quantile(a, q, axis, out, method, keepdims, weights, hundred=True)


def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """The middle of all elements, or along axes; of an even number, the mean of two.

    >>> import girih as gr
    >>> float(gr.median([7.0, 1.0, 3.0, 5.0]))
    4.0
    """
    array = asarray(a)
    if array.size == 0:
        return reductions.mean(array, axis=axis, keepdims=keepdims)
    array, asked, axes = _prepared(array, 0.5, axis, hundred=False)
    count = math.prod(array.shape[axis] for axis in axes)
    places = sorted({(count - 1) // 2, count // 2, count - 1})
    found = _places(array, axes, places)
    dtype = np.float64 if array.dtype.kind in "iub" else array.dtype
    low, high = (found[..., places.index(place)].astype(dtype) for place in ((count - 1) // 2, count // 2))
    result = low if count % 2 else (low + high) / 2
    if array.dtype.kind == "f":
        greatest = found[..., places.index(count - 1)]
        result = _native.where(ufuncs.isnan(greatest), greatest, result)
    return _given(_finished(expand_dims(result, -1), array.shape, axes, keepdims, asked), out)


def _nanquantile(
    a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: bool, weights: Any, hundred: bool
) -> Array:
    array, asked, axes = _prepared(a, q, axis, hundred)
    if weights is not None:
        return _given(_weighted(array, asked, axes, method, keepdims, weights, leave_nan=True), out)
    if array.dtype.kind != "f":
        return _quantile(array, q, axis, out, method, keepdims, None, hundred)
    flat = asked.reshape(-1)
    if len(axes) == array.ndim:
        valid = ravel(array)[~ufuncs.isnan(ravel(array))]
        if valid.size == 0:
            result = _native.full(asked.shape, np.nan, dtype=array.dtype)
        else:
            result = _quantile(valid, asked, None, None, method, False, None, hundred=False)
        result = result.reshape(asked.shape + ((1,) * array.ndim if keepdims else ()))
        return _given(result, out)
    rest = [axis for axis in range(array.ndim) if axis not in axes]
    kept = tuple(array.shape[axis] for axis in rest)
    lines = sort(transpose(array, [*rest, *axes]).reshape((*kept, -1)), axis=-1)
    count = np.asarray(reductions.sum(~ufuncs.isnan(lines), axis=-1))[..., None]
    low, high, gamma = _neighbours(count, flat, method)
    first, second = take_along_axis(lines, low, -1), take_along_axis(lines, high, -1)
    result = first if method in _EXACT else _interpolated(first, second, gamma, asked)
    result = _native.where(asarray(count == 0), asarray(array.dtype.type(np.nan)), result)
    return _given(_finished(result, array.shape, axes, keepdims, asked), out)


def nanquantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """As `quantile`, of what is not NaN; along axes the lines are sorted."""
    return _nanquantile(a, q, axis, out, method, keepdims, weights, hundred=False)


def nanpercentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Array:  # fmt: skip
    """As `percentile`, of what is not NaN."""
    return _nanquantile(a, q, axis, out, method, keepdims, weights, hundred=True)


def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    """As `median`, of what is not NaN."""
    return _nanquantile(a, 0.5, axis, out, "linear", keepdims, None, hundred=False)


def _outer_edges(array: Array, bounds: Any) -> tuple[float, float]:
    if bounds is not None:
        first, last = bounds
        if first > last:
            raise ValueError("max must be larger than min in range parameter.")
        if not (np.isfinite(first) and np.isfinite(last)):
            raise ValueError(f"supplied range of [{first}, {last}] is not finite")
    elif array.size == 0:
        first, last = 0, 1
    else:
        first, last = np.asarray(array.min())[()], np.asarray(array.max())[()]
        if not (np.isfinite(first) and np.isfinite(last)):
            raise ValueError(f"autodetected range of [{first}, {last}] is not finite")
    return (first - 0.5, last + 0.5) if first == last else (first, last)


def _width(name: str, x: Array, first: float, last: float) -> float:
    """The width of bins that a rule recommends."""
    n, spread = x.size, float(x.max() - x.min())

    def fd() -> float:
        quarters = np.asarray(percentile(x, [75, 25]))
        return 2.0 * float(quarters[0] - quarters[1]) * n ** (-1.0 / 3.0)

    def doane() -> float:
        sigma = float(reductions.std(x))
        if n <= 2 or sigma <= 0:
            return 0.0
        skew = float((((x - x.mean()) / sigma) ** 3).mean())
        sg1 = math.sqrt(6.0 * (n - 2) / ((n + 1.0) * (n + 3)))
        return spread / (1.0 + np.log2(n) + np.log2(1.0 + abs(skew) / sg1))

    rules: dict[str, Callable[[], float]] = {
        "sqrt": lambda: spread / np.sqrt(n),
        "sturges": lambda: spread / (np.log2(n) + 1.0),
        "rice": lambda: spread / (2.0 * n ** (1.0 / 3)),
        "scott": lambda: (24.0 * np.pi**0.5 / n) ** (1.0 / 3.0) * float(reductions.std(x)),
        "doane": doane,
        "fd": fd,
    }
    if name == "auto":
        width = rules["fd"]()
        return min(width, rules["sturges"]()) if width else min(rules["sturges"](), rules["sqrt"]())
    if name not in rules:
        raise ValueError(f"{name!r} is not a valid estimator for `bins`: use one of {['auto', *rules]}")
    return rules[name]()


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:  # noqa: A002
    """The edges of the bins that `histogram` takes."""
    array = ravel(a)
    if isinstance(bins, str):
        if weights is not None:
            raise TypeError("Automated estimation of the number of bins is not supported for weighted data")
        first, last = _outer_edges(array, range)
        if range is not None:
            array = array[(array >= first) & (array <= last)]
        if array.size == 0:
            count = 1
        else:
            width = _width(bins, array, first, last)
            if array.dtype.kind in "iub" and width < 1:
                width = 1
            count = int(np.ceil((last - first) / width)) if width else 1
    elif np.ndim(bins) == 0:
        try:
            count = operator.index(bins)
        except TypeError as error:
            raise TypeError("`bins` must be an integer, a string, or an array") from error
        if count < 1:
            raise ValueError("`bins` must be positive, when an integer")
        first, last = _outer_edges(array, range)
    elif np.ndim(bins) == 1:
        edges = np.asarray(bins)
        if (edges[:-1] > edges[1:]).any():
            raise ValueError("`bins` must increase monotonically, when an array")
        return asarray(bins)
    else:
        raise ValueError("`bins` must be 1d, when an array")
    kind = np.result_type(first, last, array.dtype)
    return asarray(
        np.linspace(first, last, count + 1, dtype=kind if kind.kind in "fc" else np.result_type(kind, float))
    )


def _numbered(values: Array, edges: Array) -> tuple[Array, Array]:
    """The bin of each element, and whether it has one; the last bin has its end."""
    number = searchsorted(edges, values, side="right") - 1
    number = _native.where(values == edges[-1], edges.size - 2, number)
    return number, (number >= 0) & (number < edges.size - 1)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Array, Array]:  # noqa: A002
    """How many elements lie in each bin, or the sum of their weights, and the edges of the bins.

    >>> import girih as gr
    >>> counts, edges = gr.histogram([1, 2, 1], bins=[0, 1, 2, 3])
    >>> counts.tolist()
    [0, 2, 1]
    """
    values = ravel(a)
    if values.dtype == bool:
        values = values.astype("uint8")
    edges = histogram_bin_edges(values, bins, range, weights)
    if weights is not None:
        if asarray(weights).shape != asarray(a).shape:
            raise ValueError("weights should have the same shape as a.")
        weights = ravel(weights)
    number, within = _numbered(values, edges)
    counts = _counted(number, within, weights, edges.size - 1)
    if density:
        widths = (edges[1:] - edges[:-1]).astype(float)
        return counts / widths / counts.sum(), edges
    return counts, edges


def _counted(number: Array, within: Array, weights: Array | None, bins: int) -> Array:
    """Counts by bin; what lies in none is counted behind the last."""
    number = _native.where(within, number, bins)
    if weights is None:
        return bincount(number, minlength=bins + 1)[:bins].copy()
    if weights.dtype.kind == "c":
        raise TypeError("weights must be real numbers")
    # What lies in no bin must not bring a NaN along.
    sums = bincount(number, _native.where(within, weights, weights.dtype.type(0)), minlength=bins + 1)[:bins]
    return sums.astype(weights.dtype) if weights.dtype.kind in "iu" else sums.copy()


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Array, tuple[Array, ...]]:  # noqa: A002
    """As `histogram`, of rows with one coordinate for each axis of the result."""
    if isinstance(sample, list | tuple) or asarray(sample).ndim != 2:
        columns = [ravel(column) for column in (sample if isinstance(sample, list | tuple) else [sample])]
    else:
        rows = asarray(sample)
        columns = [rows[:, column] for column in np.arange(rows.shape[1])]
    count = len(columns)
    per_axis = list(bins) if np.ndim(bins) > 0 or isinstance(bins, list | tuple) else [bins] * count
    if len(per_axis) != count:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    bounds = [None] * count if range is None else list(range)
    if len(bounds) != count:
        raise ValueError("range argument must have one entry per dimension")
    edges = [
        histogram_bin_edges(column, one, bound) for column, one, bound in zip(columns, per_axis, bounds, strict=True)
    ]
    number: Any = 0
    inside: Any = True
    for column, edge in zip(columns, edges, strict=True):
        place, within = _numbered(column, edge)
        number, inside = number * (edge.size - 1) + place, within & inside
    shape = tuple(edge.size - 1 for edge in edges)
    counts = _counted(number, inside, None if weights is None else ravel(weights), math.prod(shape)).reshape(shape)
    counts = counts.astype(float)
    if density:
        total = counts.sum()
        for axis, edge in enumerate(edges):
            lengths = [1] * count
            lengths[axis] = edge.size - 1
            counts = counts / (edge[1:] - edge[:-1]).reshape(lengths)
        counts = counts / total
    return counts, tuple(edges)


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[Array, Array, Array]:  # noqa: A002
    """As `histogram`, of pairs."""
    if np.size(x) != np.size(y):
        raise ValueError("x and y must have the same length.")
    if np.ndim(bins) == 1 and len(bins) != 2:
        bins = [bins, bins]
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]
