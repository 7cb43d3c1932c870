"""Elements by their places: taken, put, chosen, counted out, and the indices that name them.

Places out of bounds are an IndexError on every rank alike. What finds places in data returns arrays that are divided
among the ranks; indices that follow from shapes alone are made where they are used.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from girih import _native
from girih._native import Array, asarray, broadcast_to, flatnonzero, may_share_memory, nonzero, shares_memory
from girih.joining import concatenate, stack
from girih.shaping import broadcast_arrays, ravel, transpose

__all__ = [
    "argwhere", "c_", "choose", "compress", "copyto", "diag_indices", "diag_indices_from", "extract",
    "fill_diagonal", "flatnonzero", "index_exp", "indices", "ix_", "mask_indices", "may_share_memory",
    "meshgrid", "mgrid", "ndenumerate", "ndindex", "newaxis", "nonzero", "ogrid", "piecewise", "place", "put",
    "put_along_axis", "putmask", "r_", "ravel_multi_index", "s_", "select", "shares_memory", "take",
    "take_along_axis", "tril_indices", "tril_indices_from", "triu_indices", "triu_indices_from", "unravel_index",
]  # fmt: skip

newaxis = None
ndindex = np.ndindex
s_ = np.s_
index_exp = np.index_exp
_WHOLE = slice(None)


def _placed(indices: Any, length: int, mode: str) -> Array:
    """Places, brought into bounds if the mode says so."""
    places = asarray(indices)
    if places.dtype.kind == "f" and places.size == 0:
        places = places.astype("int64")
    if places.dtype.kind not in "iub":
        raise TypeError("Cannot cast array data from dtype('float64') to dtype('int64') according to the rule 'safe'")
    places = places.astype("int64")
    if mode == "wrap":
        return places % length
    if mode == "clip":
        return _native.clip(places, 0, length - 1)
    if mode != "raise":
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got '{mode}')")
    return places


def take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Array:
    """The elements, or the slices along an axis, at these places.

    >>> import girih as gr
    >>> gr.take(gr.arange(10) ** 2, [3, -1]).tolist()
    [9, 81]
    """
    array = ravel(a) if axis is None else asarray(a)
    along = normalize_axis_index(0 if axis is None else axis, array.ndim)
    if array.shape[along] == 0 and np.size(indices):
        raise IndexError("cannot do a non-empty take from an empty axes.")
    places = _placed(indices, array.shape[along], mode)
    taken = array[(_WHOLE,) * along + ((int(places) if places.ndim == 0 else places),)].copy()
    return _given(taken, out)


def _given(result: Array, out: Array | None) -> Array:
    if out is None:
        return result
    if out.shape != result.shape:
        raise ValueError(f"output array does not match result of shape {result.shape}")
    out[...] = result
    return out


def put(a: Array, ind: Any, v: Any, mode: str = "raise") -> None:
    """Writes values to numbers of elements in row-major order; values repeat if they are too few."""
    places = ravel(_placed(ind, a.size, mode))
    values = ravel(v)
    if places.size == 0 or values.size == 0:
        return
    a.reshape(-1)[places] = _repeated(values, places.size)
    if not may_share_memory(a.reshape(-1), a):
        raise ValueError("put writes arrays whose elements follow one another; write x[...] instead")


def _repeated(values: Array, count: int) -> Array:
    """Values again and again, so many in all."""
    if values.size in (1, count):
        return broadcast_to(values, (count,))
    times = -(-count // values.size)
    return broadcast_to(values.reshape(1, -1), (times, values.size)).reshape(-1)[:count]


def compress(condition: Any, a: Any, axis: int | None = None, out: Any = None) -> Array:
    """The slices along an axis, or the elements, where a list of truth values is true."""
    array = ravel(a) if axis is None else asarray(a)
    along = normalize_axis_index(0 if axis is None else axis, array.ndim)
    truth = asarray(condition)
    if truth.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(array, flatnonzero(truth), along, out)


def extract(condition: Any, arr: Any) -> Array:
    """The elements where a condition of the same size is true."""
    return take(ravel(arr), flatnonzero(condition))


def place(arr: Array, mask: Any, vals: Any) -> None:
    """Writes values, one after the other and again from the first, to the elements where a mask is true."""
    values = ravel(vals)
    places = flatnonzero(mask)
    if places.size and not values.size:
        raise ValueError("Cannot insert from an empty array!")
    if places.size:
        put(arr, places, _repeated(values, places.size))


def putmask(a: Array, mask: Any, values: Any) -> None:
    """Writes value number i, counted again and again, to each element i where a mask is true."""
    truth, given = asarray(mask).astype(bool), ravel(values)
    if truth.size != a.size:
        raise ValueError("putmask: mask and data must be the same size")
    if a.size and given.size:
        all_values = _repeated(given, a.size).reshape(a.shape)
        a[...] = _native.where(truth.reshape(a.shape), all_values.astype(a.dtype), a)


def copyto(dst: Array, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Writes an array over another, where a mask is true."""
    source = src if isinstance(src, int | float | complex | bool) else asarray(src)
    kind = np.asarray(source).dtype if not isinstance(source, Array) else source.dtype
    weak = not isinstance(source, Array)
    if not (np.can_cast(np.result_type(dst.dtype, source) if weak else kind, dst.dtype, casting)):
        raise TypeError(f"Cannot cast array data from {kind!r} to {dst.dtype!r} according to the rule '{casting}'")
    if where is True:
        dst[...] = source
    else:
        value = asarray(source).astype(dst.dtype)
        dst[...] = _native.where(asarray(where), value, dst)


def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Array:
    """Of several arrays, at each place the element of the one whose number stands there."""
    arrays = [asarray(choice) for choice in choices]
    number = asarray(a)
    number, *arrays = broadcast_arrays(number, *arrays)
    places = _placed(number, len(arrays), mode)
    if mode == "raise" and places.size and bool(((places < 0) | (places >= len(arrays))).any()):
        raise ValueError("invalid entry in choice array")
    result = arrays[0].astype(np.result_type(*(array.dtype for array in arrays)))
    for index, array in enumerate(arrays[1:], 1):
        result = _native.where(places == index, array, result)
    return _given(result, out)


def select(condlist: Any, choicelist: Any, default: Any = 0) -> Array:
    """At each place the element of the first array whose condition holds there, else the default."""
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if len(condlist) == 0:
        raise ValueError("select with an empty condition list is not possible")
    conditions = [asarray(condition) for condition in condlist]
    for number, condition in enumerate(conditions):
        if condition.dtype != bool:
            raise TypeError(f"invalid entry {number} in condlist: should be boolean ndarray")
    choices = [choice if isinstance(choice, int | float | complex) else asarray(choice) for choice in choicelist]
    every = [choice.dtype if isinstance(choice, Array) else choice for choice in (*choices, default)]
    dtype = np.result_type(*every)
    result = asarray(default).astype(dtype)
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        result = _native.where(condition, asarray(choice).astype(dtype), result)
    return result


def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kw: Any) -> Array:
    """By the condition that holds, a number or a function of those elements; the last one of several decides.

    A function gets the elements of all ranks where its condition holds, as NumPy's does.
    """
    array = asarray(x)
    listed = isinstance(condlist, list) and (isinstance(condlist[0], list | np.ndarray | Array) or array.ndim == 0)
    conditions = [asarray(condition).astype(bool) for condition in (condlist if listed else [condlist])]
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        rest = ~conditions[0]
        for condition in conditions[1:]:
            rest = rest & ~condition
        conditions.append(rest)
    elif len(functions) != len(conditions):
        count = len(conditions)
        raise ValueError(f"with {count} condition(s), either {count} or {count + 1} functions are expected")
    result = _native.zeros(array.shape, dtype=array.dtype)
    for condition, function in zip(conditions, functions, strict=True):
        if callable(function):
            chosen = array[condition]
            if chosen.size:
                result[condition] = function(chosen, *args, **kw)
        else:
            result[condition] = function
    return result


def argwhere(a: Any) -> Array:
    """The places of the elements that are not zero, one a row."""
    array = asarray(a)
    if array.ndim == 0:
        return _native.zeros((int(bool(array)), 0), dtype="int64")
    return stack(nonzero(array), axis=1)


def ix_(*args: Any) -> tuple[Array, ...]:
    """Places along each axis, shaped so that together they name a box."""
    found = []
    for number, sequence in enumerate(args):
        places = asarray(sequence)
        if places.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        places = flatnonzero(places) if places.dtype == bool else places
        places = places.astype("int64") if places.size == 0 else places
        found.append(places.reshape((1,) * number + (places.size,) + (1,) * (len(args) - number - 1)))
    return tuple(found)


def _each_axis(shape: tuple[int, ...], indices: Array, axis: int) -> tuple[Array, ...]:
    """Places along all axes, of which one are given."""
    along = []
    for number, length in enumerate(shape):
        if number == axis:
            along.append(indices)
        else:
            wanted = (1,) * number + (length,) + (1,) * (indices.ndim - number - 1)
            along.append(_native.arange(length).reshape(wanted))
    return tuple(along)


def _beside(arr: Any, indices: Any, axis: int | None) -> tuple[Array, Array, int]:
    places = asarray(indices)
    if places.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        if places.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        return ravel(arr), places, 0
    array = asarray(arr)
    axis = normalize_axis_index(axis, array.ndim)
    if array.ndim != places.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    return array, places, axis


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Array:
    """For each line along an axis the elements at places of its own, as `argsort` gives them.

    >>> import girih as gr
    >>> gr.take_along_axis(gr.asarray([[3, 1], [5, 9]]), gr.asarray([[1, 0], [0, 1]]), axis=1).tolist()
    [[1, 3], [5, 9]]
    """
    array, places, axis = _beside(arr, indices, axis)
    return array[_each_axis(array.shape, places, axis)]


def put_along_axis(arr: Array, indices: Any, values: Any, axis: int | None) -> None:
    """Writes values to places of its own in each line along an axis."""
    array, places, axis = _beside(arr, indices, axis)
    array[_each_axis(array.shape, places, axis)] = values


def fill_diagonal(a: Array, val: Any, wrap: bool = False) -> None:
    """Writes the main diagonal; of tall matrices, if `wrap`, again and again below it."""
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    flat = a.reshape(-1)
    end = None
    if a.ndim == 2:
        step = a.shape[1] + 1
        end = None if wrap else a.shape[1] * a.shape[1]
    else:
        if len(set(a.shape)) != 1:
            raise ValueError("All dimensions of input must be of equal length")
        step = 1 + sum(math.prod(a.shape[axis:]) for axis in range(1, a.ndim))
    target = flat[:end:step]
    values = ravel(val)
    if target.size:
        target[...] = _repeated(values, target.size)
    if not may_share_memory(flat, a):
        raise ValueError("fill_diagonal writes arrays whose elements follow one another, not a view with steps")


def diag_indices(n: int, ndim: int = 2) -> tuple[Array, ...]:
    """The places of the main diagonal of an array of equal lengths."""
    return (_native.arange(n),) * ndim


def diag_indices_from(arr: Any) -> tuple[Array, ...]:
    """As `diag_indices`, for an array that is there."""
    if arr.ndim < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(arr.shape)) != 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(arr.shape[0], arr.ndim)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, ...]:
    """The places at and below a diagonal."""
    rows, columns = _native.arange(n).reshape(n, 1), _native.arange(n if m is None else m)
    return nonzero(columns <= rows + k)


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[Array, ...]:
    """The places at and above a diagonal."""
    rows, columns = _native.arange(n).reshape(n, 1), _native.arange(n if m is None else m)
    return nonzero(columns >= rows + k)


def tril_indices_from(arr: Any, k: int = 0) -> tuple[Array, ...]:
    """As `tril_indices`, for a matrix that is there."""
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return tril_indices(arr.shape[0], k, arr.shape[1])


def triu_indices_from(arr: Any, k: int = 0) -> tuple[Array, ...]:
    """As `triu_indices`, for a matrix that is there."""
    if arr.ndim != 2:
        raise ValueError("input array must be 2-d")
    return triu_indices(arr.shape[0], k, arr.shape[1])


def mask_indices(n: int, mask_func: Any, k: Any = 0) -> tuple[Array, ...]:
    """The places that a function such as `triu` leaves of a square of ones."""
    return nonzero(mask_func(_native.ones((n, n), dtype=int), k) != 0)


def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Array, ...]:
    """The places along each axis of elements given by their number."""
    lengths = tuple(shape) if np.iterable(shape) else (operator.index(shape),)
    number, size = asarray(indices), math.prod(lengths)
    if number.dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    wrong = (number < 0) | (number >= size)
    if number.size and bool(wrong.any()):
        first = int(ravel(number)[int(flatnonzero(wrong)[0])])
        raise ValueError(f"index {first} is out of bounds for array with size {size}")
    found = []
    for length in lengths if order == "F" else lengths[::-1]:
        found.append(number % length if length else number)
        number = number // length if length else number
    return tuple(found if order == "F" else found[::-1])


def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Array:
    """The numbers of elements given by their places along each axis."""
    lengths = tuple(dims) if np.iterable(dims) else (operator.index(dims),)
    places = [asarray(along) for along in multi_index]
    if len(places) != len(lengths):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(lengths)}")
    modes = (mode,) * len(lengths) if isinstance(mode, str) else tuple(mode)
    number: Any = 0
    triples = list(zip(places, lengths, modes, strict=True))
    for along, length, how in triples[::-1] if order == "F" else triples:
        if how == "raise" and along.size and bool(((along < 0) | (along >= length)).any()):
            raise ValueError("invalid entry in coordinates array")
        number = number * length + _placed(along, length, how)
    return asarray(number)


def indices(dimensions: Any, dtype: Any = int, sparse: bool = False) -> Any:
    """For each axis of a shape, the places along it, everywhere or (`sparse`) along that axis alone."""
    lengths = tuple(dimensions)
    along = []
    for number, length in enumerate(lengths):
        wanted = (1,) * number + (length,) + (1,) * (len(lengths) - number - 1)
        along.append(_native.arange(length, dtype=dtype).reshape(wanted))
    if sparse:
        return tuple(along)
    if not along:
        return _native.zeros((0,), dtype=dtype)
    return stack([broadcast_to(one, lengths) for one in along])


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Array, ...]:
    """Coordinates of a grid: each array along an axis of its own, the first two exchanged for "xy"."""
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    count = len(xi)
    order = list(range(count))
    if indexing == "xy" and count > 1:
        order[0], order[1] = 1, 0
    grid = [
        ravel(x).reshape((1,) * order[number] + (-1,) + (1,) * (count - order[number] - 1))
        for number, x in enumerate(xi)
    ]
    if not sparse:
        grid = list(broadcast_arrays(*grid))
    return tuple(one.copy() if copy else one for one in grid)


class _Grid:
    """Coordinates by slices; an imaginary step is a number of points, both ends included."""

    def __init__(self, sparse: bool) -> None:
        self._sparse = sparse

    def _line(self, key: slice) -> Array:
        start, step = key.start or 0, 1 if key.step is None else key.step
        if isinstance(step, complex):
            return _native.linspace(start, key.stop, int(abs(step)))
        return _native.arange(start, key.stop, step)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._line(key)
        lines = [self._line(one) for one in key]
        dtype = np.result_type(*(line.dtype for line in lines))
        grid = meshgrid(*(line.astype(dtype) for line in lines), sparse=self._sparse, indexing="ij")
        return grid if self._sparse else stack(grid)


mgrid = _Grid(sparse=False)
ogrid = _Grid(sparse=True)


class _Joined:
    """Arrays, numbers and slices side by side along an axis."""

    def __init__(self, axis: int, ndmin: int = 1, trans1d: int = -1, *, matrix: bool = False) -> None:
        self._axis, self._ndmin, self._trans1d = axis, ndmin, trans1d

    def _part(self, key: Any, ndmin: int, trans1d: int) -> Array:
        array = _Grid(sparse=False)._line(key) if isinstance(key, slice) else asarray(key)
        before = array.ndim
        if before < ndmin:
            array = array.reshape((1,) * (ndmin - before) + array.shape)
            if trans1d != -1 and before < ndmin:
                first = trans1d + ndmin if trans1d < 0 else trans1d
                axes = list(range(ndmin))
                fresh, old = axes[: ndmin - before], axes[ndmin - before :]
                array = transpose(array, fresh[:first] + old + fresh[first:])
        return array

    def __getitem__(self, key: Any) -> Array:
        parts = key if isinstance(key, tuple) else (key,)
        axis, ndmin, trans1d = self._axis, self._ndmin, self._trans1d
        if parts and isinstance(parts[0], str):
            numbers = [int(number) for number in parts[0].split(",")]
            axis, ndmin, trans1d = (*numbers, *(axis, ndmin, trans1d)[len(numbers) :])
            parts = parts[1:]
        return concatenate([self._part(part, ndmin, trans1d) for part in parts], axis=axis)


r_ = _Joined(0)
c_ = _Joined(-1, ndmin=2, trans1d=0)


def ndenumerate(arr: Any) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Places with their elements, one by one; reads the whole array on every rank."""
    return iter(np.ndenumerate(np.asarray(arr)))
