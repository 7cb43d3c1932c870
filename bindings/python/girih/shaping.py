"""Shapes: axes moved and made, arrays turned, repeated to a shape, and new ones like old ones.

What only says where elements are is a view, as in NumPy: writing it writes its base.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from girih import _native
from girih._native import Array, asarray, broadcast_to, diagonal, transpose

__all__ = [
    "asanyarray", "ascontiguousarray", "asfortranarray", "atleast_1d", "atleast_2d", "atleast_3d",
    "broadcast_arrays", "broadcast_shapes", "broadcast_to", "copy", "diag", "diagflat", "diagonal",
    "empty_like", "expand_dims", "flip", "fliplr", "flipud", "full_like", "matrix_transpose", "moveaxis",
    "ndim", "ones_like", "permute_dims", "ravel", "require", "reshape", "rollaxis", "rot90", "shape", "squeeze",
    "swapaxes", "transpose", "tri", "tril", "trim_zeros", "triu", "zeros_like",
]  # fmt: skip

_WHOLE = slice(None)
broadcast_shapes = np.broadcast_shapes


def shape(a: Any) -> tuple[int, ...]:
    """The length along each axis."""
    return a.shape if isinstance(a, Array) else np.shape(a)


def ndim(a: Any) -> int:
    """The number of axes."""
    return len(shape(a))


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Array:
    """The same elements under another shape; a view where steps can say so, unless `copy` is true.

    `order="F"` reads and fills with the first axis changing fastest.

    >>> import girih as gr
    >>> gr.reshape(gr.arange(6), (2, 3), order="F").tolist()
    [[0, 2, 4], [1, 3, 5]]
    """
    array = asarray(a)
    lengths = _lengths(shape)
    if order == "F":
        lengths = tuple(np.empty(array.shape, bool).reshape(lengths).shape)
        view = transpose(transpose(array).reshape(*lengths[::-1]))
    elif order in ("C", "A"):
        view = array.reshape(*lengths) if lengths else array.reshape(())
    else:
        raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got '{order}')")
    if copy is False and not _native.may_share_memory(view, array):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return view.copy() if copy else view


def ravel(a: Any, order: str = "C") -> Array:
    """All elements along one axis; a view where steps can say so."""
    return reshape(a, -1, order="C" if order == "K" else order)


def squeeze(a: Any, axis: Any = None) -> Array:
    """Without axes of length 1: all of them, or those named; a view."""
    array = asarray(a)
    if axis is None:
        axes = [number for number, length in enumerate(array.shape) if length == 1]
    else:
        axes = list(normalize_axis_tuple(axis, array.ndim))
        if any(array.shape[number] != 1 for number in axes):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return array.reshape(tuple(length for number, length in enumerate(array.shape) if number not in axes))


def expand_dims(a: Any, axis: Any) -> Array:
    """With new axes of length 1 at these places of the result; a view."""
    array = asarray(a)
    axes = axis if isinstance(axis, tuple | list) else (axis,)
    named = normalize_axis_tuple(axes, array.ndim + len(axes))
    old = iter(array.shape)
    return array.reshape(tuple(1 if number in named else next(old) for number in range(array.ndim + len(axes))))


def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """Some axes at other places, the others in their order; a view."""
    array = asarray(a)
    sources = normalize_axis_tuple(source, array.ndim, "source")
    destinations = normalize_axis_tuple(destination, array.ndim, "destination")
    if len(sources) != len(destinations):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    order = [axis for axis in range(array.ndim) if axis not in sources]
    for to, axis in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, axis)
    return transpose(array, order)


def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """Two axes exchanged; a view."""
    array = asarray(a)
    first, second = normalize_axis_index(axis1, array.ndim), normalize_axis_index(axis2, array.ndim)
    order = list(range(array.ndim))
    order[first], order[second] = second, first
    return transpose(array, order)


def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """An axis brought before another one; a view."""
    array = asarray(a)
    axis = normalize_axis_index(axis, array.ndim)
    if not -array.ndim <= start <= array.ndim:
        raise np.exceptions.AxisError(
            f"'start' arg requires {-array.ndim} <= start < {array.ndim + 1}, but {start} was passed in"
        )
    start = start + array.ndim if start < 0 else start
    return moveaxis(array, axis, start - 1 if axis < start else start)


def permute_dims(a: Any, /, axes: Any = None) -> Array:
    """Axes in another order, in reverse by default; a view."""
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> Array:
    """The last two axes exchanged; a view."""
    array = asarray(x)
    if array.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {array.ndim}")
    return swapaxes(array, -1, -2)


def _several(arrays: tuple[Any, ...], one: Any) -> Any:
    found = tuple(one(asarray(array)) for array in arrays)
    return found[0] if len(found) == 1 else found


def atleast_1d(*arys: Any) -> Any:
    """Arrays with at least one axis."""
    return _several(arys, lambda array: array.reshape(1) if array.ndim == 0 else array)


def atleast_2d(*arys: Any) -> Any:
    """Arrays with at least two axes, new ones in front."""
    return _several(
        arys, lambda array: array if array.ndim >= 2 else array.reshape((1,) * (2 - array.ndim) + array.shape)
    )


def atleast_3d(*arys: Any) -> Any:
    """Arrays with at least three axes: (1, n, 1) of one, (m, n, 1) of two."""

    def one(array: Array) -> Array:
        lengths = {0: (1, 1, 1), 1: (1, *array.shape, 1), 2: (*array.shape, 1)}
        return array.reshape(lengths[array.ndim]) if array.ndim < 3 else array

    return _several(arys, one)


def broadcast_arrays(*args: Any) -> tuple[Array, ...]:
    """Arrays repeated to the shape that they have together; views that are not written."""
    arrays = [asarray(array) for array in args]
    together = np.broadcast_shapes(*(array.shape for array in arrays))
    return tuple(array if array.shape == together else broadcast_to(array, together) for array in arrays)


def _lengths(shape: Any) -> tuple[int, ...]:
    return tuple(operator.index(length) for length in shape) if np.iterable(shape) else (operator.index(shape),)


def flip(m: Any, axis: Any = None) -> Array:
    """Elements in reverse along axes, all by default; a view."""
    array = asarray(m)
    axes = range(array.ndim) if axis is None else normalize_axis_tuple(axis, array.ndim)
    return array[tuple(slice(None, None, -1) if number in axes else _WHOLE for number in range(array.ndim))]


def flipud(m: Any) -> Array:
    """Rows in reverse; a view."""
    if ndim(m) < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(m, 0)


def fliplr(m: Any) -> Array:
    """Columns in reverse; a view."""
    if ndim(m) < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(m, 1)


def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Array:
    """Turned by quarters in the plane of two axes, the first towards the second; a view."""
    array = asarray(m)
    if len(axes) != 2:
        raise ValueError("len(axes) must be 2.")
    if axes[0] == axes[1] or abs(axes[0] - axes[1]) == array.ndim:
        raise ValueError("Axes must be different.")
    if not all(-array.ndim <= axis < array.ndim for axis in axes):
        raise ValueError(f"Axes={tuple(axes)} out of range for array of ndim={array.ndim}.")
    quarters = k % 4
    if quarters == 0:
        return array[...]
    if quarters == 2:
        return flip(flip(array, axes[0]), axes[1])
    return swapaxes(flip(array, axes[1]), *axes) if quarters == 1 else flip(swapaxes(array, *axes), axes[1])


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> Array:
    """Ones at and below a diagonal, zeros above it."""
    rows, columns = _native.arange(N).reshape(N, 1), _native.arange(N if M is None else M)
    return (columns <= rows + k).astype(dtype)


def tril(m: Any, k: int = 0) -> Array:
    """Zeros above a diagonal of the last two axes."""
    array = asarray(m)
    return _native.where(tri(*_last_two(array), k=k, dtype=bool), array, _zero(array))


def triu(m: Any, k: int = 0) -> Array:
    """Zeros below a diagonal of the last two axes."""
    array = asarray(m)
    return _native.where(tri(*_last_two(array), k=k - 1, dtype=bool), _zero(array), array)


def _last_two(array: Array) -> tuple[int, int]:
    if array.ndim == 0:
        raise TypeError("tril and triu take arrays with at least one axis")
    return (array.shape[-1], array.shape[-1]) if array.ndim == 1 else (array.shape[-2], array.shape[-1])


def _zero(array: Array) -> Array:
    return _native.zeros((), dtype=array.dtype)


def diag(v: Any, k: int = 0) -> Array:
    """The diagonal of a matrix, or a matrix with this diagonal."""
    array = asarray(v)
    if array.ndim == 2:
        return diagonal(array, k)
    if array.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    side = array.size + abs(k)
    matrix = _native.zeros((side, side), dtype=array.dtype)
    if array.size:
        start = k if k >= 0 else -k * side
        stop = start + (side + 1) * array.size
        matrix.reshape(-1)[start : min(stop, side * side) : side + 1] = array
    return matrix


def diagflat(v: Any, k: int = 0) -> Array:
    """A matrix whose diagonal has all the elements."""
    return diag(ravel(v), k)


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Array:
    """Without zeros at the front ("f"), the back ("b") or both, along axes; a view."""
    array = asarray(filt)
    if set(trim.lower()) - {"f", "b"}:
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    axes = tuple(range(array.ndim)) if axis is None else normalize_axis_tuple(axis, array.ndim)
    slices = [_WHOLE] * array.ndim
    for number in axes:
        others = tuple(other for other in range(array.ndim) if other != number)
        found = np.flatnonzero(np.asarray((array != 0).any(axis=others) if others else array != 0))
        first, last = (int(found[0]), int(found[-1]) + 1) if found.size else (array.shape[number], array.shape[number])
        slices[number] = slice(first if "f" in trim.lower() else None, last if "b" in trim.lower() else None)
    return array[tuple(slices)]


def copy(a: Any, order: str = "K", subok: bool = False) -> Array:
    """An array of its own with the same values."""
    return asarray(a).copy()


def asanyarray(a: Any, dtype: Any = None, order: str | None = None) -> Array:
    """As `asarray`."""
    return asarray(a, dtype=dtype)


def ascontiguousarray(a: Any, dtype: Any = None) -> Array:
    """An array with at least one axis; girih's arrays lie in row-major order always."""
    return atleast_1d(asarray(a, dtype=dtype))


def asfortranarray(a: Any, dtype: Any = None) -> Array:
    """As `asarray`: elements lie in row-major order whatever is asked, and mean the same."""
    return asarray(a, dtype=dtype)


def require(a: Any, dtype: Any = None, requirements: Sequence[str] | str | None = None) -> Array:
    """As `asarray`: all of NumPy's requirements hold, or cannot be seen."""
    return asarray(a, dtype=dtype)


def _like(a: Any, dtype: Any, shape: Any) -> tuple[tuple[int, ...], Any]:
    array = asarray(a)
    return array.shape if shape is None else _lengths(shape), array.dtype if dtype is None else dtype


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Array:
    """Zeros of an array's shape and dtype."""
    return _native.zeros(*_like(a, dtype, shape))


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Array:
    """Ones of an array's shape and dtype."""
    return _native.ones(*_like(a, dtype, shape))


def empty_like(
    prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Array:
    """As `zeros_like`: unset memory would differ from rank to rank."""
    return _native.empty(*_like(prototype, dtype, shape))


def full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *,
    device: Any = None,
) -> Array:  # fmt: skip
    """One value everywhere, of an array's shape and dtype."""
    lengths, dtype = _like(a, dtype, shape)
    return _native.full(lengths, fill_value, dtype)
