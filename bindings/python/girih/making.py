"""New arrays by NumPy's names: from values, from functions, spaced, windows, bits; and the numbers that are constants.

What is given as Python's or NumPy's values is the same on every rank, which keeps its own rows.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import (
    base_repr, binary_repr, common_type as _common_type, e, euler_gamma, format_float_positional,
    format_float_scientific, get_printoptions, inf, isscalar, iterable, min_scalar_type, mintypecode, nan, newaxis, pi,
    printoptions, set_printoptions, typecodes, typename,
)  # fmt: skip
from numpy.lib.array_utils import normalize_axis_index
from numpy.typing import DTypeLike

from girih import _native, mathematics, ufuncs
from girih._native import Array
from girih.indexing import indices
from girih.joining import concatenate
from girih.shaping import broadcast_to, moveaxis, ravel

__all__ = [
    "apply_along_axis", "apply_over_axes", "arange", "array", "array2string", "array_repr", "array_str",
    "asarray", "asarray_chkfinite", "astype", "bartlett", "base_repr", "binary_repr", "blackman", "common_type",
    "e", "empty", "euler_gamma", "eye", "format_float_positional", "format_float_scientific", "frombuffer",
    "fromfunction", "fromiter", "fromstring", "full", "geomspace", "get_printoptions", "hamming", "hanning",
    "identity", "inf", "isscalar", "iterable", "kaiser", "linspace", "logspace", "min_scalar_type",
    "mintypecode", "nan", "newaxis", "ones", "packbits", "pi", "printoptions", "set_printoptions", "typecodes",
    "typename", "unpackbits", "zeros",
]  # fmt: skip


def _here(device: Any) -> None:
    if device not in (None, "cpu"):
        raise ValueError(f"device must be 'cpu', not {device!r}")


def zeros(
    shape: Any, dtype: DTypeLike | None = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Array:
    """Zeros; float64 unless `dtype` says otherwise.

    >>> import girih as gr
    >>> gr.zeros((2, 3)).shape
    (2, 3)
    """
    _here(device)
    return _native.zeros(shape, dtype)


def ones(
    shape: Any, dtype: DTypeLike | None = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Array:
    """Ones; float64 unless `dtype` says otherwise."""
    _here(device)
    return _native.ones(shape, dtype)


def empty(
    shape: Any, dtype: DTypeLike | None = None, order: str = "C", *, device: Any = None, like: Any = None
) -> Array:
    """Zeros: unset memory would differ from rank to rank."""
    _here(device)
    return _native.zeros(shape, dtype)


def full(
    shape: Any, fill_value: Any, dtype: DTypeLike | None = None, order: str = "C", *, device: Any = None,
    like: Any = None,
) -> Array:  # fmt: skip
    """One value everywhere, or an array repeated; its own dtype unless `dtype` says otherwise."""
    _here(device)
    return _native.full(shape, fill_value, dtype)


def eye(
    N: int, M: int | None = None, k: int = 0, dtype: DTypeLike | None = None, order: str = "C", *, device: Any = None,
    like: Any = None,
) -> Array:  # fmt: skip
    """Ones on a diagonal of an `N` by `M` matrix, zeros elsewhere.

    >>> import girih as gr
    >>> gr.eye(2, 3, k=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    _here(device)
    return _native.eye(N, M, k, dtype)


def arange(
    start: Any, stop: Any = None, step: Any = None, dtype: DTypeLike | None = None, *, device: Any = None,
    like: Any = None,
) -> Array:  # fmt: skip
    """Evenly spaced values from `start` (0 if only one is given) up to, not including, `stop`.

    >>> import girih as gr
    >>> gr.arange(10).sum().item()
    45
    """
    _here(device)
    return _native.arange(start, stop, step, dtype)


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False,
    dtype: DTypeLike | None = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """`num` evenly spaced values from `start` to `stop`, which is the last one if `endpoint`; both may be arrays.

    >>> import girih as gr
    >>> gr.linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    _here(device)
    count = operator.index(num)
    steps = count - 1 if endpoint else count
    plain = all(isinstance(bound, int | float | np.floating | np.integer) for bound in (start, stop))
    if plain:
        step: Any = (stop - start) / steps if steps > 0 else nan
        found = _native.linspace(start, stop, count, dtype, endpoint=endpoint)
    else:
        if count < 0:
            raise ValueError(f"Number of samples, {num}, must be non-negative.")
        first, last = asarray(start) * 1.0, asarray(stop) * 1.0
        places = _native.arange(count).reshape((-1,) + (1,) * max(first.ndim, last.ndim))
        step = (last - first) / steps if steps > 0 else nan
        found = first + places * (step if steps > 0 else last - first)
        if endpoint and count > 1:
            found[-1] = last
        found = moveaxis(found, 0, axis)
        if dtype is not None:
            found = (ufuncs.floor(found) if np.dtype(dtype).kind in "iu" else found).astype(dtype)
    return (found, step) if retstep else found


def asarray(
    a: Any, dtype: DTypeLike | None = None, order: str | None = None, *, device: Any = None, copy: bool | None = None,
    like: Any = None,
) -> Array:  # fmt: skip
    """The same values on every rank as an array, of which each rank keeps its part; an array is given back itself.

    >>> import girih as gr
    >>> gr.asarray([[1, 2], [3, 4]]).sum(axis=0).tolist()
    [4, 6]
    """
    _here(device)
    found = _native.asarray(a, dtype)
    if copy is False and found is not a:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return found.copy() if copy and found is a else found


def array(
    object: Any, dtype: DTypeLike | None = None, *, copy: bool | None = True, order: str = "K", subok: bool = False,
    ndmin: int = 0, like: Any = None,
) -> Array:  # fmt: skip
    """An array of its own with these values; `order`, `subok` and `like` are accepted and mean nothing here.

    >>> import girih as gr
    >>> gr.array([[1, 2], [3, 4]], dtype=float).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    found = asarray(object, dtype)
    if found is object and copy:
        found = found.copy()
    if copy is False and found is not object:
        raise ValueError("Unable to avoid copy while creating an array as requested.")
    return found.reshape((1,) * (ndmin - found.ndim) + found.shape) if found.ndim < ndmin else found


def asarray_chkfinite(a: Any, dtype: DTypeLike | None = None, order: str | None = None) -> Array:
    """As `asarray`; ValueError if an element is NaN or infinite."""
    found = asarray(a, dtype)
    if found.dtype.kind in "fc" and not bool(ufuncs.isfinite(found).all()):
        raise ValueError("array must not contain infs or NaNs")
    return found


def astype(x: Array, dtype: DTypeLike, /, *, copy: bool = True, device: str | None = None) -> Array:
    """The elements in another type."""
    if not isinstance(x, Array):
        raise TypeError(f"Input should be a girih array. It is a {type(x)} instead.")
    return x.astype(dtype, copy=copy)


def common_type(*arrays: Any) -> type:
    """The floating-point type that all elements fit in."""
    return _common_type(*(np.empty(0, asarray(one).dtype) for one in arrays))


def identity(n: int, dtype: DTypeLike | None = None, *, like: Any = None) -> Array:
    """The square matrix with ones on its diagonal."""
    return _native.eye(n, dtype=dtype)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Array:  # fmt: skip
    """Powers of `base` whose exponents are evenly spaced.

    >>> import girih as gr
    >>> gr.logspace(0, 2, 3).tolist()
    [1.0, 10.0, 100.0]
    """
    found: Array = ufuncs.power(base, linspace(start, stop, num, endpoint, axis=axis))
    return found if dtype is None else found.astype(dtype)


def geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: DTypeLike | None = None, axis: int = 0
) -> Array:
    """Numbers from `start` to `stop` of which each is the same multiple of the one before; both may be arrays.

    >>> import girih as gr
    >>> gr.geomspace(1, 1000, 4).tolist()
    [1.0, 10.0, 100.0, 1000.0]
    """
    first, last = np.asarray(start) * 1.0, np.asarray(stop) * 1.0
    if np.any(first == 0) or np.any(last == 0):
        raise ValueError("Geometric sequence cannot include zero")
    # The first value is a factor of its own: it is exact, and signs and phases stay out of the logarithms.
    ratio = np.log10(last / first)
    found = ufuncs.power(10.0, linspace(np.zeros_like(ratio), ratio, num, endpoint)) * asarray(first)
    if endpoint and num > 1:
        found[-1] = last
    found = moveaxis(found, 0, axis)
    return found if dtype is None else found.astype(dtype)


def _window(M: Any, formula: Callable[[Array, int], Array]) -> Array:
    points = int(M)
    if points < 1:
        return _native.zeros(0)
    if points == 1:
        return _native.ones(1)
    return formula(_native.arange(1.0 - points, points, 2.0), points)


def bartlett(M: Any) -> Array:
    """The triangular window that is zero at both ends."""
    return _window(M, lambda n, m: _native.where(n <= 0, 1 + n / (m - 1), 1 - n / (m - 1)))


def blackman(M: Any) -> Array:
    """Blackman's window."""
    return _window(
        M,
        lambda n, m: 0.42 + 0.5 * ufuncs.cos(math.pi * n / (m - 1)) + 0.08 * ufuncs.cos(2.0 * math.pi * n / (m - 1)),
    )


def hamming(M: Any) -> Array:
    """Hamming's window."""
    return _window(M, lambda n, m: 0.54 + 0.46 * ufuncs.cos(math.pi * n / (m - 1)))


def hanning(M: Any) -> Array:
    """von Hann's window."""
    return _window(M, lambda n, m: 0.5 + 0.5 * ufuncs.cos(math.pi * n / (m - 1)))


def kaiser(M: Any, beta: float) -> Array:
    """Kaiser's window.

    >>> import girih as gr
    >>> gr.kaiser(3, 0.0).tolist()
    [1.0, 1.0, 1.0]
    """
    if int(M) == 1:
        return _native.ones(1)
    n, half = _native.arange(float(max(int(M), 0))), (int(M) - 1) / 2.0
    return mathematics.i0(beta * ufuncs.sqrt(1 - ((n - half) / half) ** 2.0)) / mathematics.i0(float(beta))


def frombuffer(buffer: Any, dtype: DTypeLike = float, count: int = -1, offset: int = 0, *, like: Any = None) -> Array:
    """The elements in a buffer, which is the same on every rank; a copy."""
    return asarray(np.frombuffer(buffer, dtype, count, offset))


def fromiter(iter: Any, dtype: DTypeLike, count: int = -1, *, like: Any = None) -> Array:
    """The elements that an iterator gives, the same on every rank."""
    return asarray(np.fromiter(iter, dtype, count))


def fromstring(string: Any, dtype: DTypeLike = float, count: int = -1, *, sep: str, like: Any = None) -> Array:
    """The numbers in a text, the same on every rank."""
    return asarray(np.fromstring(string, dtype, count, sep=sep))


def fromfunction(
    function: Callable[..., Any], shape: Any, *, dtype: DTypeLike = float, like: Any = None, **kwargs: Any
) -> Any:
    """What a function of the coordinates, which are arrays, gives.

    >>> import girih as gr
    >>> gr.fromfunction(lambda i, j: i + j, (2, 3), dtype=int).tolist()
    [[0, 1, 2], [1, 2, 3]]
    """
    return function(*indices(shape, dtype=dtype), **kwargs)


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    """A function of each line along an axis, which gets NumPy's arrays; each rank calls it for the lines it has.

    Lines along rows are brought together first, by an exchange of axes. The function is called once more, on every
    rank, with the first line, to learn what it gives.

    >>> import girih as gr
    >>> gr.apply_along_axis(lambda line: line.max() - line.min(), 1, gr.arange(6).reshape(2, 3)).tolist()
    [2, 2]
    """
    x = asarray(arr)
    axis = normalize_axis_index(axis, x.ndim)
    if x.size == 0:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    lines = moveaxis(x, axis, -1)
    first = np.asarray(func1d(np.asarray(lines[(0,) * (x.ndim - 1)]), *args, **kwargs))
    count = math.prod(lines.shape[:-1])
    flat = lines.reshape(count, lines.shape[-1]).copy()
    mine = flat.redistribute(0).local
    found = np.empty((len(mine), *first.shape), first.dtype)
    for number, line in enumerate(mine):
        found[number] = func1d(line, *args, **kwargs)
    result = asarray(found) if len(mine) == count else _native.from_local(found)
    result = result.reshape(lines.shape[:-1] + first.shape)
    for number in range(first.ndim):
        result = moveaxis(result, x.ndim - 1 + number, axis + number)
    return result


def apply_over_axes(func: Callable[[Any, int], Any], a: Any, axes: Any) -> Array:
    """A function of an array and an axis, for one axis after the other; what it reduces stays with length 1."""
    found = asarray(a)
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        axis = normalize_axis_index(operator.index(axis), found.ndim)
        result = func(found, axis)
        if result.ndim != found.ndim:
            result = result.reshape(found.shape[:axis] + (1,) + found.shape[axis + 1 :])
            if result.ndim != found.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        found = result
    return found


def packbits(a: Any, axis: int | None = None, bitorder: str = "big") -> Array:
    """Truth values as bits of bytes, along an axis.

    >>> import girih as gr
    >>> gr.packbits([1, 0, 1]).tolist()
    [160]
    """
    x = asarray(a)
    if x.dtype.kind not in "bui":
        raise TypeError("Expected an input array of integer or boolean data type")
    if bitorder not in ("big", "little"):
        raise ValueError("'order' must be either 'little' or 'big'")
    x, axis = (ravel(x), 0) if axis is None else (x, normalize_axis_index(axis, x.ndim))
    bits = moveaxis(x, axis, -1) != 0
    missing = -bits.shape[-1] % 8
    bits = concatenate([bits, _native.zeros((*bits.shape[:-1], missing), dtype=bool)], axis=-1)
    weights = 1 << (np.arange(8)[::-1] if bitorder == "big" else np.arange(8))
    octets = bits.reshape((*bits.shape[:-1], bits.shape[-1] // 8, 8)) * asarray(weights.astype(np.uint8))
    return moveaxis(octets.sum(axis=-1, dtype=np.uint8), -1, axis)


def unpackbits(a: Any, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> Array:
    """The bits of bytes, along an axis.

    >>> import girih as gr
    >>> gr.unpackbits(gr.asarray([160], dtype="uint8"), count=3).tolist()
    [1, 0, 1]
    """
    x = asarray(a)
    if x.dtype != np.uint8:
        raise TypeError("Expected an input array of unsigned byte data type")
    if bitorder not in ("big", "little"):
        raise ValueError("'order' must be either 'little' or 'big'")
    x, axis = (ravel(x), 0) if axis is None else (x, normalize_axis_index(axis, x.ndim))
    lines = moveaxis(x, axis, -1)
    shifts = (np.arange(8)[::-1] if bitorder == "big" else np.arange(8)).astype(np.uint8)
    bits = ufuncs.bitwise_and(ufuncs.right_shift(lines[..., None], asarray(shifts)), np.uint8(1))
    bits = bits.reshape((*lines.shape[:-1], 8 * lines.shape[-1]))
    if count is not None:
        length = bits.shape[-1]
        if count > length:
            zeros = broadcast_to(_native.zeros((), dtype=np.uint8), (*bits.shape[:-1], count - length))
            bits = concatenate([bits, zeros], axis=-1)
        bits = bits[..., :count]
    return moveaxis(bits, -1, axis)


def array2string(a: Any, *args: Any, **kwargs: Any) -> str:
    """The elements as text; reads the whole array on every rank."""
    return np.array2string(np.asarray(a), *args, **kwargs)


def array_str(
    a: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: Any = None
) -> str:
    """As `str(a)`, with the layout given; reads the whole array on every rank."""
    return np.array_str(np.asarray(a), max_line_width, precision, suppress_small)


def array_repr(
    arr: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: Any = None
) -> str:
    """As NumPy's `repr`, with the layout given; reads the whole array on every rank."""
    return np.array_repr(np.asarray(arr), max_line_width, precision, suppress_small)
