"""Arrays side by side, cut, repeated, with places left out or put in.

Cuts are views. What joins or repeats makes an array of its own, and moves only the rows that the result has on
another rank.
"""

from __future__ import annotations

import math
import operator
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from girih import _native
from girih._native import Array, asarray, broadcast_to, concatenate
from girih.shaping import _lengths, atleast_1d, atleast_2d, atleast_3d, expand_dims, moveaxis, ndim, ravel

__all__ = [
    "append", "array_split", "block", "column_stack", "concat", "concatenate", "delete", "dsplit", "dstack",
    "hsplit", "hstack", "insert", "repeat", "resize", "roll", "split", "stack", "tile", "unstack",
    "vsplit", "vstack",
]  # fmt: skip

_WHOLE = slice(None)


def concat(arrays: Any, /, *, axis: int | None = 0, dtype: Any = None) -> Array:
    """Arrays one after the other along an axis that they have."""
    return concatenate(arrays, axis=axis, dtype=dtype)


def stack(arrays: Any, axis: int = 0, *, dtype: Any = None) -> Array:
    """Arrays of one shape side by side along a new axis.

    >>> import girih as gr
    >>> gr.stack([gr.arange(2), gr.ones(2)], axis=1).tolist()
    [[0.0, 1.0], [1.0, 1.0]]
    """
    found = [asarray(array) for array in arrays]
    if not found:
        raise ValueError("need at least one array to stack")
    if len({array.shape for array in found}) != 1:
        raise ValueError("all input arrays must have the same shape")
    axis = normalize_axis_index(axis, found[0].ndim + 1)
    return concatenate([expand_dims(array, axis) for array in found], axis=axis, dtype=dtype)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays along an axis, one by one; views."""
    array = asarray(x)
    if array.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    return tuple(moveaxis(array, axis, 0))


def vstack(tup: Any, *, dtype: Any = None) -> Array:
    """Arrays one below the other; of one axis, as rows."""
    return concatenate([atleast_2d(array) for array in tup], axis=0, dtype=dtype)


def hstack(tup: Any, *, dtype: Any = None) -> Array:
    """Arrays one beside the other: along axis 1, or axis 0 where there is one only."""
    found = [atleast_1d(array) for array in tup]
    return concatenate(found, axis=0 if found and found[0].ndim == 1 else 1, dtype=dtype)


def dstack(tup: Any) -> Array:
    """Arrays one behind the other along axis 2."""
    return concatenate([atleast_3d(array) for array in tup], axis=2)


def column_stack(tup: Any) -> Array:
    """Arrays of one axis as columns, matrices as they are, side by side."""
    found = [asarray(array) for array in tup]
    return concatenate([array.reshape(-1, 1) if array.ndim < 2 else array for array in found], axis=1)


def block(arrays: Any) -> Array:
    """Nested lists of arrays as one: the innermost along the last axis, the outermost along the first."""

    def depth(part: Any) -> int:
        if isinstance(part, tuple):
            raise TypeError("arrays is a tuple. Only lists can be used to arrange blocks, and block takes no tuples.")
        if not isinstance(part, list):
            return 0
        if not part:
            raise ValueError("List at arrays cannot be empty")
        depths = {depth(inner) for inner in part}
        if len(depths) != 1:
            raise ValueError("List depths are mismatched.")
        return 1 + depths.pop()

    def leaves(part: Any) -> int:
        return max(leaves(inner) for inner in part) if isinstance(part, list) else ndim(part)

    levels = depth(arrays)
    dimensions = max(levels, leaves(arrays))

    def join(part: Any, level: int) -> Array:
        if isinstance(part, list):
            return concatenate([join(inner, level + 1) for inner in part], axis=dimensions - levels + level)
        array = asarray(part)
        return array.reshape((1,) * (dimensions - array.ndim) + array.shape)

    return join(arrays, 0).copy()


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts along an axis, cut at these places or into so many, nearly equal; views."""
    array = asarray(ary)
    axis = normalize_axis_index(axis, array.ndim)
    length = array.shape[axis]
    try:
        cuts = [0, *(operator.index(place) for place in indices_or_sections), length]
    except TypeError:
        sections = operator.index(indices_or_sections)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.") from None
        each, more = divmod(length, sections)
        cuts = [0, *accumulate([each + 1] * more + [each] * (sections - more))]
    before = (_WHOLE,) * axis
    return [array[(*before, slice(start, stop))] for start, stop in zip(cuts, cuts[1:], strict=False)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """As `array_split`, but sections must be equal."""
    array = asarray(ary)
    if isinstance(indices_or_sections, int | np.integer) and array.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return array_split(array, indices_or_sections, axis)


def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Parts along the first axis."""
    if ndim(ary) < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(ary, indices_or_sections, 0)


def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Parts along the second axis, or the only one."""
    if ndim(ary) == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(ary, indices_or_sections, 1 if ndim(ary) > 1 else 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """Parts along the third axis."""
    if ndim(ary) < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(ary, indices_or_sections, 2)


def append(arr: Any, values: Any, axis: int | None = None) -> Array:
    """An array with values behind it."""
    if axis is None:
        return concatenate([ravel(arr), ravel(values)], axis=0)
    return concatenate([arr, values], axis=axis)


def delete(arr: Any, obj: Any, axis: int | None = None) -> Array:
    """An array without the places that an integer, a slice, a list or a mask names along an axis."""
    array, axis = _along(arr, axis)
    length = array.shape[axis]
    span = _span(obj, length)
    if span is not None:
        before = (_WHOLE,) * axis
        return concatenate([array[(*before, slice(None, span[0]))], array[(*before, slice(span[1], None))]], axis=axis)
    keep = np.ones(length, bool)
    named = np.asarray(obj) if not isinstance(obj, slice) else obj
    if isinstance(named, np.ndarray):
        if named.dtype == bool and named.shape != (length,):
            raise ValueError(
                f"boolean array argument obj to delete must be one dimensional and match the axis length of {length}"
            )
        if named.size == 0 and named.dtype != bool:
            named = named.astype(np.intp)
        if named.dtype != bool and ((named < -length) | (named >= length)).any():
            wrong = int(named[(named < -length) | (named >= length)].flat[0])
            raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {length}")
    keep[named] = False
    return array[(_WHOLE,) * axis + (keep,)]


def _span(obj: Any, length: int) -> tuple[int, int] | None:
    """The run of places that an integer or a slice names, if it is one."""
    if isinstance(obj, slice):
        places = range(length)[obj]
        return (min(places), max(places) + 1) if len(places) and abs(places.step) == 1 else None
    if isinstance(obj, int | np.integer) and not isinstance(obj, bool) and -length <= obj < length:
        place = int(obj) % length
        return place, place + 1
    return None


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Array:
    """An array with values before the places that an integer, a slice, a list or a mask names along an axis."""
    array, axis = _along(arr, axis)
    length = array.shape[axis]
    if isinstance(obj, slice):
        places = np.arange(length)[obj]
    else:
        places = np.asarray(obj)
        places = np.flatnonzero(places) if places.dtype == bool else places
    scalar = places.ndim == 0
    if places.size == 0:
        places = places.astype(np.intp)
    if ((places < -length) | (places > length)).any():
        wrong = int(places[(places < -length) | (places > length)].flat[0])
        raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {length}")
    places = np.where(places < 0, places + length, places).reshape(-1)
    given = asarray(values).astype(array.dtype)
    if scalar:
        # One place takes as many values as lie along the axis.
        given = given.reshape((1,) * (array.ndim - given.ndim) + given.shape)
        given = moveaxis(given, 0, axis) if ndim(values) > 0 else given
        count = given.shape[axis]
    else:
        count = len(places)
        if len(places) == 1 and given.ndim == array.ndim:
            count = given.shape[axis]
    wanted = (*array.shape[:axis], count, *array.shape[axis + 1 :])
    given = broadcast_to(given, wanted)
    if len(places) == 1:
        before, place = (_WHOLE,) * axis, int(places[0])
        front, back = array[(*before, slice(None, place))], array[(*before, slice(place, None))]
        return concatenate([front, given, back], axis=axis)
    order = np.argsort(places, kind="stable")
    target = np.empty(count, np.intp)
    target[order] = places[order] + np.arange(count)
    old = np.ones(length + count, bool)
    old[target] = False
    sources = np.empty(length + count, np.intp)
    sources[old] = np.arange(length)
    sources[target] = length + np.arange(count)
    return concatenate([array, given], axis=axis)[(_WHOLE,) * axis + (sources,)]


def _along(arr: Any, axis: int | None) -> tuple[Array, int]:
    array = asarray(arr)
    if axis is None:
        return (ravel(array), 0) if array.ndim != 1 else (array, 0)
    return array, normalize_axis_index(operator.index(axis), array.ndim)


def roll(a: Any, shift: Any, axis: Any = None) -> Array:
    """Elements moved along axes, those beyond the end to the front."""
    array = asarray(a)
    if axis is None:
        return roll(ravel(array), shift, 0).reshape(array.shape)
    moved = array
    for step, along in np.broadcast(shift, normalize_axis_tuple(axis, array.ndim, allow_duplicate=True)):
        length = array.shape[along]
        place = int(step) % length if length else 0
        if place:
            before = (_WHOLE,) * int(along)
            back, front = moved[(*before, slice(length - place, None))], moved[(*before, slice(None, length - place))]
            moved = concatenate([back, front], axis=int(along))
    return moved.copy() if moved is array else moved


def repeat(a: Any, repeats: Any, axis: int | None = None) -> Array:
    """Each element, or each place along an axis, so many times."""
    array, axis = _along(a, axis)
    length = array.shape[axis]
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iub":
        raise TypeError("Cannot cast array data from dtype('float64') to dtype('int64') according to the rule 'safe'")
    if (counts < 0).any():
        raise ValueError("repeats may not contain negative values.")
    if counts.size == 1:
        count = int(counts.reshape(()))
        rows = expand_dims(array, axis + 1)
        wanted = (*array.shape[: axis + 1], count, *array.shape[axis + 1 :])
        return (
            broadcast_to(rows, wanted).reshape((*array.shape[:axis], length * count, *array.shape[axis + 1 :])).copy()
        )
    if counts.shape != (length,):
        raise ValueError(f"operands could not be broadcast together with shape ({length},) {counts.shape}")
    return array[(_WHOLE,) * axis + (np.repeat(np.arange(length), counts),)]


def tile(A: Any, reps: Any) -> Array:
    """The whole array so many times along each axis."""
    array = asarray(A)
    times = _lengths(reps)
    dimensions = max(array.ndim, len(times))
    times = (1,) * (dimensions - len(times)) + times
    lengths = (1,) * (dimensions - array.ndim) + array.shape
    paired = tuple(length for pair in zip([1] * dimensions, lengths, strict=True) for length in pair)
    wanted = tuple(length for pair in zip(times, lengths, strict=True) for length in pair)
    whole = tuple(count * length for count, length in zip(times, lengths, strict=True))
    return broadcast_to(array.reshape(paired), wanted).reshape(whole).copy()


def resize(a: Any, new_shape: Any) -> Array:
    """An array of this shape, filled with the elements again and again."""
    array = ravel(a)
    lengths = _lengths(new_shape)
    if any(length < 0 for length in lengths):
        raise ValueError("all elements of `new_shape` must be non-negative")
    wanted = math.prod(lengths)
    if array.size == 0 or wanted == 0:
        return _native.zeros(lengths, dtype=array.dtype)
    return tile(array, -(-wanted // array.size))[:wanted].reshape(lengths).copy()
