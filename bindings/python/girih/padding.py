"""Arrays with something around them, by all of NumPy's modes but a function of one's own.

What is put in front and behind is made of the edges alone; the array itself is joined to it and only changes its rank
where its rows do.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from girih import _native, reductions, ufuncs
from girih._native import Array, asarray, broadcast_to
from girih.joining import concatenate
from girih.quantiles import median

__all__ = ["pad"]

_OPTIONS: dict[str, dict[str, Any]] = {
    "constant": {"constant_values": 0}, "edge": {}, "empty": {}, "linear_ramp": {"end_values": 0},
    "maximum": {"stat_length": None}, "mean": {"stat_length": None}, "median": {"stat_length": None},
    "minimum": {"stat_length": None}, "reflect": {"reflect_type": "even"}, "symmetric": {"reflect_type": "even"},
    "wrap": {},
}  # fmt: skip


def pad(array: Any, pad_width: Any, mode: str = "constant", **kwargs: Any) -> Array:
    """The array with `pad_width` elements before and after along each axis.

    Modes: constant, edge, empty, linear_ramp, maximum, mean, median, minimum, reflect, symmetric, wrap. A function as
    mode is not taken: it would see one line after the other.

    >>> import girih as gr
    >>> gr.pad([1, 2, 3], (2, 1), mode="reflect").tolist()
    [3, 2, 1, 2, 3, 2]
    """
    padded = asarray(array)
    if callable(mode):
        raise TypeError("pad takes the name of a mode, not a function: join parts with gr.concatenate")
    if mode not in _OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    unknown = set(kwargs) - set(_OPTIONS[mode])
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    options = {**_OPTIONS[mode], **kwargs}
    widths = _pairs(pad_width, padded.ndim, "pad_width")
    if any(width is None or width < 0 for pair in widths for width in pair):
        raise ValueError("index can't contain negative values")
    option = next((name for name in options if name != "reflect_type"), None)
    values = (
        _pairs(options[option], padded.ndim, option, whole=option == "stat_length")
        if option
        else [(None, None)] * padded.ndim
    )
    for axis, (pair, given) in enumerate(zip(widths, values, strict=True)):
        if any(pair):
            padded = _along(padded, axis, pair, mode, given, options.get("reflect_type", "even"))
    return padded.copy() if padded is array else padded


def _pairs(given: Any, count: int, name: str, whole: bool = False) -> list[tuple[Any, Any]]:
    """A pair for each axis, as NumPy repeats what is given."""
    if given is None:
        return [(None, None)] * count
    if isinstance(given, dict):
        pairs: list[tuple[Any, Any]] = [(0, 0)] * count
        for axis, pair in given.items():
            pairs[axis] = (pair, pair) if np.ndim(pair) == 0 else tuple(pair)
        return pairs
    found = np.asarray(given)
    if name == "pad_width" and found.dtype.kind != "i":
        raise TypeError("`pad_width` must be of integral type.")
    try:
        return [tuple(pair) for pair in np.broadcast_to(found, (count, 2)).tolist()]
    except ValueError:
        raise ValueError(
            f"operands could not be broadcast together with remapped shapes: {name} for {count} axes"
        ) from None


def _along(array: Array, axis: int, widths: tuple[int, int], mode: str, given: tuple[Any, Any], kind: str) -> Array:
    """Padded along one axis."""
    length = array.shape[axis]
    if length == 0 and mode not in ("constant", "empty"):
        raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
    parts = []
    for side, width in enumerate(widths):
        shape = (*array.shape[:axis], width, *array.shape[axis + 1 :])
        if mode in ("constant", "empty"):
            value = given[side] if mode == "constant" else 0
            parts.append(_native.full(shape, asarray(value).astype(array.dtype)))
        elif mode == "linear_ramp":
            parts.append(_ramp(array, axis, width, side, given[side]))
        elif mode in ("maximum", "mean", "median", "minimum"):
            part = _statistic(array, axis, mode, side, given[side])
            parts.append(broadcast_to(part, shape))
        else:
            parts.append(_mirrored(array, axis, widths, side, mode, kind))
    return concatenate([parts[0], array, parts[1]], axis=axis)


def _edge(array: Array, axis: int, side: int) -> Array:
    return array[(slice(None),) * axis + (slice(None, 1) if side == 0 else slice(-1, None),)]


def _ramp(array: Array, axis: int, width: int, side: int, end: Any) -> Array:
    """From the end value to the edge, which it does not reach."""
    steps = np.arange(width) / max(width, 1)
    steps = steps if side == 0 else steps[::-1]
    edge = _edge(array, axis, side).astype(np.result_type(array.dtype, float))
    along = asarray(steps.reshape((-1,) + (1,) * (array.ndim - axis - 1)))
    ramp = along * (edge - end) + end
    return (ufuncs.floor(ramp) if array.dtype.kind in "iu" else ramp).astype(array.dtype)


def _statistic(array: Array, axis: int, mode: str, side: int, count: Any) -> Array:
    """Of so many elements from the edge, or all."""
    length = array.shape[axis]
    count = length if count is None else min(int(count), length)
    if count < 1:
        if mode in ("maximum", "minimum"):
            raise ValueError("stat_length of 0 yields no value for padding")
        count = 0
    near = slice(None, count) if side == 0 else slice(length - count, None)
    chunk = array[(slice(None),) * axis + (near,)]
    functions: dict[str, Any] = {
        "maximum": reductions.max, "mean": reductions.mean, "median": median, "minimum": reductions.min,
    }  # fmt: skip
    found = functions[mode](chunk, axis=axis, keepdims=True)
    if array.dtype.kind in "iu" and mode in ("mean", "median"):
        found = ufuncs.rint(found)
    return found.astype(array.dtype)


def _mirrored(array: Array, axis: int, widths: tuple[int, int], side: int, mode: str, kind: str) -> Array:
    """Places of the array again, as NumPy repeats them; `odd` reflections turn about the edge's value."""
    length = array.shape[axis]
    if kind not in ("even", "odd"):
        raise ValueError(f"reflect_type must be 'even' or 'odd', not {kind!r}")
    places = np.pad(np.arange(length), widths, mode=mode)  # type: ignore[call-overload]
    chosen = places[: widths[0]] if side == 0 else places[length + widths[0] :]
    part = array[(slice(None),) * axis + (chosen,)]
    if kind == "odd":
        if widths[side] > length - (mode == "reflect"):
            raise ValueError("an odd reflection is not longer than the array: pad in two steps")
        part = 2 * _edge(array, axis, side) - part
    return part
