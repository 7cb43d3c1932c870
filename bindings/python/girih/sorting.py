"""Order: sorting along any axis, places in sorted arrays, sets of values, counts.

Rows on ranks are sorted by an exact sample sort, in which each element travels at most once; equal elements keep their
order, NaN is last. Every sort is stable, so `kind` changes nothing. Values without repetition and counts are found
where the elements are; only what is found travels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from girih import _native, ufuncs
from girih._native import Array, asarray, flatnonzero
from girih.indexing import take
from girih.joining import concatenate
from girih.shaping import flip, moveaxis, ravel

__all__ = [
    "argpartition", "argsort", "bincount", "digitize", "intersect1d", "isin", "lexsort", "partition", "searchsorted",
    "setdiff1d", "setxor1d", "sort", "sort_complex", "union1d", "unique", "unique_all", "unique_counts",
    "unique_inverse", "unique_values",
]  # fmt: skip

# Distinct values that are counted on every rank; of more, the elements are sorted.
_COUNTED_MAX = 8192


def _axis(a: Any, axis: int | None) -> tuple[Array, int]:
    array = asarray(a)
    if axis is None:
        return ravel(array), 0
    if array.ndim == 0:
        raise np.exceptions.AxisError(axis, 0)
    return array, normalize_axis_index(axis, array.ndim)


def sort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None,
    descending: bool = False,
) -> Array:  # fmt: skip
    """Elements in ascending (or descending) order along an axis, or all of them if it is None.

    >>> import girih as gr
    >>> gr.sort([[3, 1, 2], [9, 8, 7]]).tolist()
    [[1, 2, 3], [7, 8, 9]]
    """
    array, axis = _axis(a, axis)
    found = _native.sort(array, axis)
    return flip(found, axis) if descending else found


def argsort(
    a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None,
    descending: bool = False,
) -> Array:  # fmt: skip
    """The places that put elements in ascending (or descending) order along an axis; equal ones keep theirs."""
    array, axis = _axis(a, axis)
    if not descending:
        return _native.argsort(array, axis)
    # Counted from the end, equal elements are turned, and turned again.
    return flip(array.shape[axis] - 1 - _native.argsort(flip(array, axis), axis), axis)


def _checked_kth(array: Array, kth: Any, axis: int) -> None:
    length = array.shape[axis]
    for place in np.atleast_1d(np.asarray(kth)):
        if not -length <= place < length:
            raise ValueError(f"kth(={int(place)}) out of bounds ({length})")


def partition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Array:
    """Elements so that those before place `kth` are not greater, those behind not less: sorted, which is so for all."""
    array, axis = _axis(a, axis)
    _checked_kth(array, kth, axis)
    return _native.sort(array, axis)


def argpartition(a: Any, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Array:
    """The places that partition elements, as `partition`."""
    array, axis = _axis(a, axis)
    _checked_kth(array, kth, axis)
    return _native.argsort(array, axis)


def lexsort(keys: Any, axis: int = -1) -> Array:
    """The places that sort by the last key, equal ones by the key before it, and so on."""
    arrays = [asarray(key) for key in keys]
    if not arrays:
        raise TypeError("need sequence of keys with len > 0 in lexsort")
    if len({array.shape for array in arrays}) != 1:
        raise ValueError("all keys need to be the same shape")
    if arrays[0].ndim == 0:
        return _native.zeros((), dtype="int64")
    axis = normalize_axis_index(axis, arrays[0].ndim)
    places = [moveaxis(array, axis, 0) for array in arrays]
    if arrays[0].ndim == 1:
        found = _native.argsort(places[0], 0)
        for key in places[1:]:
            found = found[_native.argsort(key[found], 0)]
        return found
    lines = [lexsort([key.reshape(key.shape[0], -1)[:, line] for key in places]) for line in range(places[0][0].size)]
    together = concatenate([line.reshape(-1, 1) for line in lines], axis=1)
    return moveaxis(together.reshape(places[0].shape), 0, axis)


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Array:
    """The places in a sorted array before which values belong; behind equal ones if `side` is "right".

    >>> import girih as gr
    >>> gr.searchsorted([1, 2, 2, 5], [2, 9]).tolist()
    [1, 4]
    """
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got {side!r})")
    array = asarray(a)
    if sorter is not None:
        places = asarray(sorter)
        if places.dtype.kind not in "iu":
            raise TypeError("sorter must only contain integers")
        if places.shape != array.shape:
            raise ValueError("sorter.size must equal a.size")
        array = array[places]
    return _native.search_sorted(array, v, side == "right")


def sort_complex(a: Any) -> Array:
    """Elements as complex numbers, by real and then imaginary part, along the last axis."""
    array = sort(a)
    if array.dtype.kind == "c":
        return array
    return array.astype("complex64" if array.dtype.char in "bhBH" else "complex128")


def digitize(x: Any, bins: Any, right: bool = False) -> Array:
    """The number of the bin that each element belongs to; edges rise or fall."""
    values, edges = asarray(x), asarray(bins)
    if values.dtype.kind == "c":
        raise TypeError("x may not be complex")
    if edges.ndim != 1:
        raise ValueError("object too deep for desired array")
    rising = bool((edges[1:] >= edges[:-1]).all()) if edges.size > 1 else True
    if not rising and not bool((edges[1:] <= edges[:-1]).all()):
        raise ValueError("bins must be monotonically increasing or decreasing")
    side = "left" if right else "right"
    if rising:
        return searchsorted(edges, values, side=side)
    return edges.size - searchsorted(edges[::-1], values, side=side)


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Array:
    """How often each integer from 0 stands in an array, or the sums of the weights there.

    Counted where the elements are and added between ranks; every rank has 8 bytes for each bin. Weights are added in
    fixed point, so that the sums do not depend on the order.

    >>> import girih as gr
    >>> gr.bincount([0, 2, 2, 3]).tolist()
    [1, 0, 2, 1]
    """
    array = asarray(x)
    if array.ndim != 1:
        raise ValueError(
            "object too deep for desired array" if array.ndim else "object of too small depth for desired array"
        )
    if array.size == 0 and not isinstance(x, Array):
        array = array.astype("int64")
    if array.dtype.kind not in "iub":
        raise TypeError(f"Cannot cast array data from {array.dtype!r} to dtype('int64') according to the rule 'safe'")
    if minlength < 0:
        raise ValueError("'minlength' must not be negative")
    if array.size and int(array.min()) < 0:
        raise ValueError("'list' argument must have no negative elements")
    bins = max(int(array.max()) + 1 if array.size else 0, minlength)
    if weights is None:
        return _native.count_integers(array, bins)
    return _native.add_by_integer(array, weights, bins)


class UniqueAllResult(NamedTuple):
    """What `unique_all` finds."""

    values: Array
    indices: Array
    inverse_indices: Array
    counts: Array


class UniqueCountsResult(NamedTuple):
    """What `unique_counts` finds."""

    values: Array
    counts: Array


class UniqueInverseResult(NamedTuple):
    """What `unique_inverse` finds."""

    values: Array
    inverse_indices: Array


def _changes(ordered: Array, equal_nan: bool) -> Array:
    """Where a sorted array begins a value that it did not have before."""
    if ordered.size == 0:
        return _native.zeros((0,), dtype=bool)
    differs = ordered[1:] != ordered[:-1]
    if equal_nan and ordered.dtype.kind in "fc":
        differs = differs & ~(ufuncs.isnan(ordered[1:]) & ufuncs.isnan(ordered[:-1]))
    return concatenate([_native.ones((1,), dtype=bool), differs])


def _values(flat: Array, equal_nan: bool) -> Array:
    if not equal_nan and flat.dtype.kind in "fc" and bool(ufuncs.isnan(flat).any()):
        ordered = _native.sort(flat, 0)
    else:
        distinct = _native.distinct_by_rank(flat)
        # Of complex numbers there are several kinds of NaN.
        if _native.size() == 1 and flat.dtype.kind != "c":
            return distinct
        ordered = _native.sort(distinct, 0)
    return ordered[_changes(ordered, equal_nan)]


def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    """The values without repetition, in ascending order; and where each was first, which each is, how often it was.

    >>> import girih as gr
    >>> values, counts = gr.unique([3, 1, 3], return_counts=True)
    >>> values.tolist(), counts.tolist()
    ([1, 3], [1, 2])
    """
    array = asarray(ar)
    if axis is not None and array.ndim > 1:
        return _unique_slices(array, axis, return_index, return_inverse, return_counts)
    if axis is not None:
        normalize_axis_index(axis, array.ndim)
    flat = ravel(array)
    values = _values(flat, equal_nan)
    found: list[Array] = [values]
    nan_apart = not equal_nan and flat.dtype.kind in "fc"
    order: Any = None
    changes: Any = None
    if return_index or nan_apart or (return_counts and values.size > _COUNTED_MAX):
        order = _native.argsort(flat, 0)
        changes = _changes(flat[order], equal_nan)
    places: Any = None
    if (return_inverse or return_counts) and not nan_apart:
        places = _native.search_sorted(values, flat, False)
        if flat.dtype.kind == "c" and values.size:
            # The last value stands for every kind of NaN, of which others lie behind it.
            places = ufuncs.minimum(places, values.size - 1)
    if nan_apart and return_inverse:
        number = _native.search_sorted(flatnonzero(changes), _native.arange(flat.size), True) - 1
        places = _native.zeros((flat.size,), dtype="int64")
        places[order] = number
    if return_index:
        found.append(order[changes])
    if return_inverse:
        found.append(places.reshape(array.shape) if axis is None else places)
    if return_counts and changes is not None:
        starts = flatnonzero(changes)
        found.append(concatenate([starts[1:], asarray([flat.size])])[: starts.size] - starts)
    elif return_counts:
        found.append(_native.count_integers(places, values.size))
    return found[0] if len(found) == 1 else tuple(found)


def _unique_slices(array: Array, axis: int, index: bool, inverse: bool, counts: bool) -> Any:
    """As `unique`, of slices along an axis, compared element by element."""
    axis = normalize_axis_index(axis, array.ndim)
    rows = moveaxis(array, axis, 0)
    length = rows.shape[0]
    lines = rows.reshape(length, math.prod(rows.shape[1:])).copy()
    if lines.shape[1]:
        order = lexsort([lines[:, column] for column in range(lines.shape[1] - 1, -1, -1)])
        ordered = lines[order]
        differs = (ordered[1:] != ordered[:-1]).any(axis=1)
        changes = concatenate([_native.ones((1,), dtype=bool), differs]) if length else _native.zeros((0,), dtype=bool)
    else:
        order = _native.arange(length)
        changes = order == 0
    first = order[changes]
    found: list[Array] = [moveaxis(rows[first], 0, axis).copy()]
    starts = flatnonzero(changes)
    if index:
        found.append(first)
    if inverse:
        places = _native.zeros((length,), dtype="int64")
        places[order] = _native.search_sorted(starts, _native.arange(length), True) - 1
        found.append(places)
    if counts:
        found.append(concatenate([starts[1:], asarray([length])])[: starts.size] - starts)
    return found[0] if len(found) == 1 else tuple(found)


def unique_all(x: Any, /) -> UniqueAllResult:
    """Values without repetition, where each was first, which each element is, and how often each was."""
    return UniqueAllResult(*unique(x, True, True, True, equal_nan=False))


def unique_counts(x: Any, /) -> UniqueCountsResult:
    """Values without repetition, and how often each was."""
    return UniqueCountsResult(*unique(x, return_counts=True, equal_nan=False))


def unique_inverse(x: Any, /) -> UniqueInverseResult:
    """Values without repetition, and which each element is."""
    return UniqueInverseResult(*unique(x, return_inverse=True, equal_nan=False))


def unique_values(x: Any, /) -> Array:
    """Values without repetition."""
    return unique(x, equal_nan=False)


def union1d(ar1: Any, ar2: Any) -> Array:
    """The values of both arrays without repetition."""
    return unique(concatenate([ravel(ar1), ravel(ar2)]))


def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The values that both arrays have; and where each was first in both."""
    one, two = ravel(ar1), ravel(ar2)
    places = []
    if not assume_unique:
        if return_indices:
            (one, first), (two, second) = unique(one, True), unique(two, True)
            places = [first, second]
        else:
            one, two = unique(one), unique(two)
    both = concatenate([one, two])
    order = _native.argsort(both, 0)
    ordered = both[order]
    twice = flatnonzero(ordered[1:] == ordered[:-1]) if ordered.size > 1 else _native.zeros((0,), dtype="int64")
    values = ordered[twice]
    if not return_indices:
        return values
    left, right = order[twice], order[twice + 1] - one.size
    return values, places[0][left] if places else left, places[1][right] if places else right


def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Array:
    """The values that one array has and the other has not."""
    one, two = (ravel(ar1), ravel(ar2)) if assume_unique else (unique(ar1), unique(ar2))
    ordered = _native.sort(concatenate([one, two]), 0)
    if ordered.size == 0:
        return ordered
    edge = _native.ones((1,), dtype=bool)
    changes = concatenate([edge, ordered[1:] != ordered[:-1], edge])
    return ordered[changes[1:] & changes[:-1]]


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Array:
    """Where elements are among the values of another array."""
    values = asarray(element)
    tests = _values(ravel(test_elements), True)
    if tests.size == 0:
        return _native.full(values.shape, bool(invert))
    dtype = np.promote_types(values.dtype, tests.dtype)
    values, tests = values.astype(dtype), tests.astype(dtype)
    places = _native.clip(_native.search_sorted(tests, values, False), 0, tests.size - 1)
    equal = take(tests, places) == values
    return ~equal if invert else equal


def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Array:
    """The values of one array that the other has not."""
    values = ravel(ar1) if assume_unique else unique(ar1)
    return values[isin(values, ar2, invert=True)]
