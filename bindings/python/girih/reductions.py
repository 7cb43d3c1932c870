"""Reductions and running results, with NumPy's arguments; those that leave NaN out.

Sums, extremes and running results have the same bits at every number of ranks and threads. Where `where` is false an
element does not take part; `initial` takes part once for each result.

>>> import girih as gr
>>> x = gr.arange(6.0).reshape(2, 3)
>>> gr.sum(x, axis=0, where=x > 0).tolist()
[3.0, 5.0, 7.0]
>>> gr.cumsum(x, axis=1).tolist()
[[0.0, 1.0, 3.0], [3.0, 7.0, 12.0]]
"""

from __future__ import annotations

import builtins
import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from girih import _native, ufuncs
from girih._native import Array
from girih.ufuncs import _as_array, _place

__all__ = [
    "all",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "average",
    "count_nonzero",
    "cumprod",
    "cumsum",
    "cumulative_prod",
    "cumulative_sum",
    "max",
    "mean",
    "min",
    "nanargmax",
    "nanargmin",
    "nancumprod",
    "nancumsum",
    "nanmax",
    "nanmean",
    "nanmin",
    "nanprod",
    "nanstd",
    "nansum",
    "nanvar",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]

_STEPS = {"sum": ufuncs.add, "prod": ufuncs.multiply, "min": ufuncs.minimum, "max": ufuncs.maximum}


def fold(
    name: str, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any, dtype: DTypeLike | None = None
) -> Array:
    """The sum, product, least or greatest by name; what `sum` and `min` stand on."""
    x = _as_array(a)
    if dtype is not None:
        x = x.astype(dtype)
    elif where is not True and name in ("sum", "prod") and x.dtype == bool:
        x = x.astype(np.int64)
    if where is not True:
        x = _native.where(_as_array(where), x, _neutral(name, x.dtype, initial))
    if initial is not None and x.size == 0 and name in ("min", "max"):
        x = _with_one(x, axis, _neutral(name, x.dtype, initial))
    found = _native.reduce(name, x, axis, keepdims)
    if initial is not None:
        found = _STEPS[name](found, initial)
    return found if dtype is None else found.astype(dtype)


def _neutral(name: str, dtype: np.dtype[Any], initial: Any) -> Any:
    """What leaves a result as it is; for extremes of integers, what `initial` replaces."""
    if name in ("sum", "prod"):
        return 0 if name == "sum" else 1
    if initial is None:
        raise ValueError(f"reduction operation '{name}imum' does not have an identity, so to use a where mask one "
                         "has to specify 'initial'")  # fmt: skip
    return initial


def _with_one(x: Array, axis: Any, value: Any) -> Array:
    """An array whose empty reduced axes have one element instead."""
    axes = range(x.ndim) if axis is None else [one % x.ndim for one in (axis if isinstance(axis, tuple) else (axis,))]
    lengths = [1 if one in axes and length == 0 else length for one, length in enumerate(x.shape)]
    return _native.full(lengths, value, dtype=x.dtype)


def truth(name: str, a: Any, axis: Any, keepdims: bool, initial: Any, where: Any) -> Array:
    """Whether all or any are true; what `all` and `any` stand on."""
    x = _as_array(a)
    if where is not True:
        x = _native.where(_as_array(where), x.astype(bool), name == "all")
    found = _native.reduce(name, x, axis, keepdims)
    if initial is None:
        return found
    return ufuncs.logical_and(found, initial) if name == "all" else ufuncs.logical_or(found, initial)


def sum(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """The sum over all elements, an axis or several; short integers widen to 64 bits.

    >>> import girih as gr
    >>> gr.sum(gr.ones((3, 4)), axis=1).tolist()
    [4.0, 4.0, 4.0]
    """
    return _place("add", fold("sum", a, axis, keepdims, initial, where, dtype), out, True, "same_kind")


def prod(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """The product over all elements, an axis or several; short integers widen to 64 bits."""
    return _place("multiply", fold("prod", a, axis, keepdims, initial, where, dtype), out, True, "same_kind")


def min(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """The least element, or NaN if there is one; complex numbers are ordered by real, then imaginary part."""
    return _place("minimum", fold("min", a, axis, keepdims, initial, where), out, True, "same_kind")


def max(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """The greatest element, or NaN if there is one; complex numbers are ordered by real, then imaginary part."""
    return _place("maximum", fold("max", a, axis, keepdims, initial, where), out, True, "same_kind")


amin = min
amax = max


def all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Whether no element is zero."""
    return _place("logical_and", truth("all", a, axis, keepdims, None, where), out, True, "unsafe")


def any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Any:
    """Whether any element is not zero."""
    return _place("logical_or", truth("any", a, axis, keepdims, None, where), out, True, "unsafe")


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Array:
    """How many elements are not zero."""
    return _native.reduce("sum", _as_array(a).astype(bool), axis, keepdims)


def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """The distance from the least to the greatest element.

    >>> import girih as gr
    >>> gr.ptp(gr.asarray([3, 9, 4])).tolist()
    6
    """
    x = _as_array(a)
    found = max(x, axis, keepdims=keepdims) - min(x, axis, keepdims=keepdims)
    return _place("subtract", found, out, True, "same_kind")


def mean(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    """The mean over all elements, an axis or several; of integers in float64."""
    x = _as_array(a)
    if dtype is not None:
        x = x.astype(dtype)
    if where is True:
        found = _native.reduce("mean", x, axis, keepdims)
    else:
        found = _masked_mean(x, axis, keepdims, _as_array(where))
    found = found if dtype is None else found.astype(dtype)
    return _place("mean", found, out, True, "same_kind")


def _masked_mean(x: Array, axis: Any, keepdims: bool, mask: Array) -> Array:
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    total = fold("sum", x, axis, keepdims, None, mask)
    return _ratio(total, _count(x, axis, keepdims, mask))


def _count(x: Array, axis: Any, keepdims: bool, mask: Array) -> Array:
    """How many elements of `x` take part in each result."""
    return _native.reduce("sum", ufuncs.logical_and(mask, _native.ones(x.shape, dtype=bool)), axis, keepdims)


def _ratio(total: Array, count: Any) -> Array:
    found: Array = (total / count).astype(total.dtype)
    return found


def var(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The variance over all elements, an axis or several, in two passes; divides by count - ddof.

    >>> import girih as gr
    >>> gr.var(gr.arange(4.0), ddof=1).tolist()
    1.6666666666666667
    """
    if correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    x = _as_array(a)
    if dtype is not None:
        x = x.astype(dtype)
    if where is True and mean is None:
        found = _native.variance(x, axis, ddof, keepdims)
    else:
        found = _masked_variance(x, axis, ddof, keepdims, where, mean)
    return _place("var", found, out, True, "same_kind")


def _masked_variance(x: Array, axis: Any, ddof: float, keepdims: bool, where: Any, middle: Any) -> Array:
    mask = None if where is True else _as_array(where)
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    if middle is None:
        middle = mean(x, axis, keepdims=True, where=where)
    deviation = ufuncs.square(ufuncs.absolute(x - middle))
    total = fold("sum", deviation, axis, keepdims, None, True if mask is None else mask)
    if mask is None:
        count: Any = builtins.max(_elements(x, axis) - ddof, 0)
    else:
        count = ufuncs.maximum(_count(x, axis, keepdims, mask) - ddof, 0)
    return _ratio(total, count)


def _elements(x: Array, axis: Any) -> int:
    axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    return math.prod(x.shape[one] for one in axes)


def std(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The square root of `var`."""
    found = var(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    return _place("std", ufuncs.sqrt(found), out, True, "same_kind")


def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False
) -> Any:
    """The mean, weighted if `weights` are given: of the array's shape, or one for each place along the axis.

    >>> import girih as gr
    >>> gr.average(gr.asarray([1.0, 3.0]), weights=[3, 1]).tolist()
    1.5
    """
    x = _as_array(a)
    if weights is None:
        found = mean(x, axis, keepdims=keepdims)
        count = x.size // builtins.max(found.size, 1)
        return (found, _native.full(found.shape, float(count))) if returned else found
    w = _as_array(weights)
    if w.shape != x.shape:
        if axis is None:
            raise TypeError("Axis must be specified when shapes of a and weights differ.")
        axes = tuple(one % x.ndim for one in (axis if isinstance(axis, tuple) else (axis,)))
        if w.shape != tuple(x.shape[one] for one in axes):
            raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
        w = w.reshape([x.shape[one] if one in axes else 1 for one in range(x.ndim)])
    kind = np.result_type(x.dtype, w.dtype, *([] if x.dtype.kind in "fc" else [np.float64]))
    w = w.astype(kind) * _native.ones(x.shape, dtype=bool)
    scale = sum(w, axis, keepdims=keepdims)
    if bool((scale == 0).any()):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized")
    found = sum(x.astype(kind) * w, axis, keepdims=keepdims) / scale
    return (found, scale) if returned else found


def argmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """The first place of the greatest element along an axis, or among all; of NaN if there is one."""
    return _place("argmax", _native.argument("max", a, axis, keepdims), out, True, "same_kind")


def argmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """The first place of the least element along an axis, or among all; of NaN if there is one."""
    return _place("argmin", _native.argument("min", a, axis, keepdims), out, True, "same_kind")


def cumsum(a: Any, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None) -> Any:
    """Running sums along an axis, or over all elements in row-major order.

    Cost: two passes over the elements along axis 0, else one; of other ranks' rows only partial sums travel.
    """
    return _running("sum", a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None) -> Any:
    """Running products, as `cumsum`."""
    return _running("prod", a, axis, dtype, out)


def _running(name: str, a: Any, axis: int | None, dtype: DTypeLike | None, out: Any) -> Any:
    x = _as_array(a)
    if dtype is not None:
        x = x.astype(dtype)
    x = x.reshape(-1) if axis is None or x.ndim == 0 else x
    found = _native.scan(name, x, 0 if axis is None else axis)
    return _place("cum" + name, found if dtype is None else found.astype(dtype), out, True, "same_kind")


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None,
    include_initial: bool = False,
) -> Any:  # fmt: skip
    """Running sums along an axis, which arrays of one axis need not name; with a zero in front if asked for."""
    return _cumulative("sum", x, axis, dtype, out, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None,
    include_initial: bool = False,
) -> Any:  # fmt: skip
    """Running products along an axis, which arrays of one axis need not name; with a one in front if asked for."""
    return _cumulative("prod", x, axis, dtype, out, include_initial)


def _cumulative(name: str, x: Any, axis: int | None, dtype: Any, out: Any, include_initial: bool) -> Any:
    x = _as_array(x)
    if axis is None:
        if x.ndim != 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = 0
    found = _running(name, x, axis, dtype, None)
    if include_initial:
        lengths = [1 if one == axis % x.ndim else length for one, length in enumerate(x.shape)]
        found = _native.concatenate([_native.full(lengths, int(name == "prod"), dtype=found.dtype), found], axis)
    return _place("cumulative_" + name, found, out, True, "same_kind")


def _without_nan(a: Any, instead: Any) -> Array:
    x = _as_array(a)
    return _native.where(ufuncs.isnan(x), instead, x) if x.dtype.kind in "fc" else x


def nansum(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """The sum of what is not NaN; zero if nothing is.

    >>> import girih as gr
    >>> gr.nansum(gr.asarray([1.0, float("nan")])).tolist()
    1.0
    """
    return sum(_without_nan(a, 0), axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False,
    initial: Any = None, where: Any = True,
) -> Any:  # fmt: skip
    """The product of what is not NaN; one if nothing is."""
    return prod(_without_nan(a, 1), axis, dtype, out, keepdims, initial, where)


def nancumsum(a: Any, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None) -> Any:
    """Running sums that pass over NaN."""
    return cumsum(_without_nan(a, 0), axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: DTypeLike | None = None, out: Any = None) -> Any:
    """Running products that pass over NaN."""
    return cumprod(_without_nan(a, 1), axis, dtype, out)


def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """The least of what is not NaN; NaN, with a RuntimeWarning, where nothing is."""
    return _nan_extreme("min", a, axis, out, keepdims, initial, where)


def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Any:
    """The greatest of what is not NaN; NaN, with a RuntimeWarning, where nothing is."""
    return _nan_extreme("max", a, axis, out, keepdims, initial, where)


def _nan_extreme(name: str, a: Any, axis: Any, out: Any, keepdims: bool, initial: Any, where: Any) -> Any:
    x = _as_array(a)
    if x.dtype.kind not in "fc":
        return _place("nan" + name, fold(name, x, axis, keepdims, initial, where), out, True, "same_kind")
    found = fold(name, _without_nan(x, math.inf if name == "min" else -math.inf), axis, keepdims, initial, where)
    if initial is None:
        empty = _native.reduce("all", ufuncs.isnan(x), axis, keepdims)
        found = _native.where(empty, math.nan, found)
        if bool(empty.any()):
            warnings.warn("All-NaN slice encountered", RuntimeWarning, stacklevel=3)
    return _place("nan" + name, found, out, True, "same_kind")


def nanargmin(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """The first place of the least element that is not NaN; ValueError where all are."""
    return _nan_argument("min", a, axis, out, keepdims)


def nanargmax(a: Any, axis: int | None = None, out: Any = None, *, keepdims: bool = False) -> Any:
    """The first place of the greatest element that is not NaN; ValueError where all are."""
    return _nan_argument("max", a, axis, out, keepdims)


def _nan_argument(name: str, a: Any, axis: int | None, out: Any, keepdims: bool) -> Any:
    x = _as_array(a)
    if x.dtype.kind in "fc" and bool(_native.reduce("all", ufuncs.isnan(x), axis, False).any()):
        raise ValueError("All-NaN slice encountered")
    found = _native.argument(name, _without_nan(x, math.inf if name == "min" else -math.inf), axis, keepdims)
    return _place("nanarg" + name, found, out, True, "same_kind")


def nanmean(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, keepdims: bool = False, *,
    where: Any = True,
) -> Any:  # fmt: skip
    """The mean of what is not NaN; NaN where nothing is."""
    return mean(a, axis, dtype, out, keepdims, where=_numbers(a, where))


def nanvar(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The variance of what is not NaN; NaN where there are no more elements than `ddof`."""
    x = _as_array(a)
    return var(x, axis, dtype, out, ddof, keepdims, where=_numbers(x, where), mean=mean, correction=correction)


def nanstd(
    a: Any, axis: Any = None, dtype: DTypeLike | None = None, out: Any = None, ddof: float = 0,
    keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    """The square root of `nanvar`."""
    found = nanvar(a, axis, dtype, None, ddof, keepdims, where=where, mean=mean, correction=correction)
    return _place("nanstd", ufuncs.sqrt(found), out, True, "same_kind")


def _numbers(a: Any, where: Any) -> Any:
    """Where elements take part and are not NaN; True for types without NaN."""
    x = _as_array(a)
    if x.dtype.kind not in "fc":
        return where
    numbers = ufuncs.logical_not(ufuncs.isnan(x))
    return numbers if where is True else ufuncs.logical_and(numbers, where)
