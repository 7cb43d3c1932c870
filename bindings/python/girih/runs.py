"""Universal functions over runs of elements: what `ufunc.reduceat` and `ufunc.at` are made of.

A run is combined half by half where the function's order is free, so the number of passes is the logarithm of the
longest run and the bits depend on the runs alone; other functions take a pass for each element of the longest run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from girih import _native
from girih._native import Array, asarray, concatenate
from girih.joining import stack
from girih.shaping import moveaxis, ravel

if TYPE_CHECKING:
    from girih.ufuncs import Ufunc

# Fewer runs than this are reduced one by one, in a single pass over them all.
_RUNS_MIN = 32


def reduced_at(function: Ufunc, free: bool, array: Array, indices: Any, axis: int) -> Array:
    """For each index, the elements from it up to the next one combined; that element alone if the next is not later."""
    starts = np.asarray(indices)
    starts = starts.astype(np.intp) if starts.size == 0 else starts
    length = array.shape[axis]
    if starts.ndim != 1 or starts.dtype.kind not in "iu":
        raise TypeError("indices must be a list of integers")
    wrong = starts[(starts < 0) | (starts >= length)]
    if wrong.size:
        raise IndexError(f"index {wrong[0]} out-of-bounds in {function.__name__}.reduceat [0, {length})")
    stops = np.append(starts[1:], length)
    stops = np.where(stops > starts, stops, starts + 1)
    lines = moveaxis(array, axis, 0)
    lines = lines.astype(function(lines[:0], lines[:0]).dtype)
    if len(starts) < _RUNS_MIN:
        parts = [function.reduce(lines[start:stop], axis=0) for start, stop in zip(starts, stops, strict=True)]
        if not parts:
            return moveaxis(lines[:0], 0, axis)
        return moveaxis(stack(parts, axis=0), 0, axis)
    if not free:
        counts = stops - starts
        found = lines[starts]
        for step in range(1, int(counts.max())):
            more = np.flatnonzero(counts > step)
            found[more] = function(found[more], lines[starts[more] + step])
        return moveaxis(found, 0, axis)
    if (starts[1:] > starts[:-1]).all():
        run = np.searchsorted(starts, np.arange(length), side="right")
        return moveaxis(_combined(function, lines, asarray(run), int((stops - starts).max()))[starts], 0, axis)
    # Runs that overlap are laid out one behind the other.
    counts = stops - starts
    ends = np.cumsum(counts)
    places = np.arange(ends[-1]) + np.repeat(starts - (ends - counts), counts)
    run = np.repeat(np.arange(len(starts)), counts)
    return moveaxis(_combined(function, lines[places], asarray(run), int(counts.max()))[ends - counts], 0, axis)


def _combined(function: Ufunc, lines: Array, run: Array, longest: int) -> Array:
    """Where a run begins, all of it combined; `run` is the number of the run that each line belongs to."""
    lines = lines.astype(function(lines[:0], lines[:0]).dtype)
    length, step = lines.shape[0], 1
    while step < longest:
        together = (run[step:] == run[: length - step]).reshape((-1,) + (1,) * (lines.ndim - 1))
        pairs = _native.where(together, function(lines[: length - step], lines[step:]), lines[: length - step])
        lines = concatenate([pairs, lines[length - step :]])
        step *= 2
    return lines


def applied_at(function: Ufunc, kind: str, target: Array, indices: Any, values: Any) -> None:
    """Applies a function to elements given by an index, as often as the index names them.

    `kind`: "free" if the values of an element may be combined first by the function, else "each".
    """
    places = _places(target, indices)
    flat = ravel(target)
    if function.nin == 1:
        given = None
    else:
        given = ravel(_native.broadcast_to(asarray(values), places.shape))
        found = function(flat[:0], given[:0]).dtype
        if not np.can_cast(found, flat.dtype, "same_kind"):
            raise TypeError(
                f"Cannot cast ufunc '{function.__name__}' output from {found!r} to {flat.dtype!r} "
                "with casting rule 'same_kind'"
            )
    order = _native.argsort(ravel(places), 0)
    ordered = ravel(places)[order]
    if ordered.size == 0:
        return
    first = concatenate([_native.ones(1, dtype=bool), ordered[1:] != ordered[:-1]])
    starts = _native.flatnonzero(first)
    counts = concatenate([starts[1:], asarray([ordered.size])]) - starts
    longest = int(counts.max())
    given = given if given is None else given[order]
    if kind == "free" and given is not None:
        run = _native.search_sorted(starts, _native.arange(ordered.size), True)
        once = ordered[starts]
        flat[once] = function(flat[once], _combined(function, given, run, longest)[starts])
    else:
        for step in range(longest):
            now = starts[counts > step] + step
            once = ordered[now]
            flat[once] = function(flat[once]) if given is None else function(flat[once], given[now])
    if not _native.may_share_memory(flat, target):
        target[...] = flat.reshape(target.shape)


def _places(target: Array, indices: Any) -> Array:
    """The numbers of the elements that an index names, in row-major order."""
    return asarray(_native.arange(target.size).reshape(target.shape)[indices])
