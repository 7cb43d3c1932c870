"""Functions made of universal functions: rounding, comparing, cleaning, differences, integrals, angles.

>>> import girih as gr
>>> gr.round(gr.asarray([1.25, -0.375]), 1).tolist()
[1.2, -0.4]
>>> gr.diff(gr.asarray([1, 4, 9])).tolist()
[3, 5]
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from girih import _native, reductions, ufuncs
from girih._native import Array
from girih.ufuncs import _as_array, _normal, _part, _place

__all__ = [
    "allclose",
    "angle",
    "around",
    "array_equal",
    "array_equiv",
    "clip",
    "diff",
    "ediff1d",
    "fix",
    "gradient",
    "i0",
    "imag",
    "interp",
    "iscomplex",
    "iscomplexobj",
    "isclose",
    "isneginf",
    "isposinf",
    "isreal",
    "isrealobj",
    "nan_to_num",
    "real",
    "real_if_close",
    "round",
    "sinc",
    "trapezoid",
    "unwrap",
]


def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Rounded to so many decimals, halves to the even neighbour.

    >>> import girih as gr
    >>> gr.round(gr.asarray([0.5, 1.5, 2.5])).tolist()
    [0.0, 2.0, 2.0]
    """
    x = _as_array(a)
    if x.dtype.kind not in "fc":
        found = x.astype(np.float16) if x.dtype == bool else x
        if decimals < 0 and x.dtype != bool:
            power = 10 ** -decimals
            found = (ufuncs.rint(x / power) * power).astype(x.dtype)
    elif decimals == 0:
        found = ufuncs.rint(x)
    else:
        power = 10.0 ** builtins.abs(decimals)
        found = ufuncs.rint(x * power) / power if decimals > 0 else ufuncs.rint(x / power) * power
    return _place("round", found, out, True, "same_kind")


around = round


def fix(x: Any, out: Any = None) -> Any:
    """Rounded towards zero."""
    return _place("fix", ufuncs.trunc(x), out, True, "same_kind")


def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None) -> Any:
    """Elements brought between bounds, of which either may be None.

    >>> import girih as gr
    >>> gr.clip(gr.arange(5), 1, 3).tolist()
    [1, 1, 2, 3, 3]
    """
    if (a_min is not None or a_max is not None) and (min is not None or max is not None):
        raise ValueError("Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is forbidden.")
    low, high = (a_min, a_max) if min is None and max is None else (min, max)
    array = _as_array(a)
    if array.dtype.kind in "iu":
        # A Python integer that no element can pass is no bound.
        limits = np.iinfo(array.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    return _place("clip", _native.clip(array, low, high), out, True, "same_kind")


def real(val: Any) -> Array:
    """The real parts."""
    return _as_array(val).real


def imag(val: Any) -> Array:
    """The imaginary parts; zeros where elements are real."""
    return _as_array(val).imag


def angle(z: Any, deg: bool = False) -> Array:
    """The angles of complex numbers, in (-pi, pi], or in degrees."""
    found: Array = _angle(z)
    return found * (180 / math.pi) if deg else found


_angle = ufuncs.Ufunc("angle")
_i0 = ufuncs.Ufunc("i0")


def i0(x: Any) -> Array:
    """The modified Bessel function of the first kind, of order 0."""
    x = _as_array(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    found: Array = _i0(x if x.dtype.kind == "f" else x.astype(np.float64))
    return found


def sinc(x: Any) -> Array:
    """sin(pi x) / (pi x), and 1 where x is zero.

    >>> import girih as gr
    >>> gr.sinc(gr.asarray([0.0, 0.5])).tolist()
    [1.0, 0.6366197723675814]
    """
    x = _as_array(x)
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    y = x * math.pi
    y = _native.where(x == 0, 1, y)
    return _native.where(x == 0, 1, ufuncs.sin(y) / y)


def isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Array:
    """Where |a - b| <= atol + rtol |b|; infinities are close to themselves, NaN only if asked for."""
    x, y = _as_array(a), _as_array(b)
    if y.dtype.kind not in "fc":
        y = y.astype(np.result_type(y.dtype, np.float64))
    near = ufuncs.less_equal(ufuncs.absolute(x - y), atol + rtol * ufuncs.absolute(y))
    found: Array = (near & ufuncs.isfinite(y)) | (x == y)
    return found | (ufuncs.isnan(x) & ufuncs.isnan(y)) if equal_nan else found


def allclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as `isclose`."""
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether shapes and all elements are equal.

    >>> import girih as gr
    >>> gr.array_equal(gr.arange(3), [0, 1, 2])
    True
    """
    x, y = _as_array(a1), _as_array(a2)
    if x.shape != y.shape:
        return False
    same = x == y
    if equal_nan and x.dtype.kind in "fc" and y.dtype.kind in "fc":
        same = same | (ufuncs.isnan(x) & ufuncs.isnan(y))
    return bool(same.all())


def array_equiv(a1: Any, a2: Any) -> bool:
    """Whether shapes broadcast and all elements are then equal."""
    x, y = _as_array(a1), _as_array(a2)
    try:
        np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        return False
    return bool((x == y).all())


def isreal(x: Any) -> Array:
    """Where the imaginary part is zero."""
    return imag(x) == 0


def iscomplex(x: Any) -> Array:
    """Where the imaginary part is not zero."""
    return imag(x) != 0


def isrealobj(x: Any) -> bool:
    """Whether the dtype is not complex."""
    return not iscomplexobj(x)


def iscomplexobj(x: Any) -> bool:
    """Whether the dtype is complex."""
    return bool(_as_array(x).dtype.kind == "c")


def isposinf(x: Any, out: Any = None) -> Any:
    """Where elements are positive infinity."""
    return _place("isposinf", ufuncs.isinf(x) & ~ufuncs.signbit(x), out, True, "same_kind")


def isneginf(x: Any, out: Any = None) -> Any:
    """Where elements are negative infinity."""
    return _place("isneginf", ufuncs.isinf(x) & ufuncs.signbit(x), out, True, "same_kind")


def nan_to_num(
    x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    """NaN and infinities replaced, by default with zero and the greatest and least numbers of the type.

    >>> import girih as gr
    >>> gr.nan_to_num(gr.asarray([1.0, float("nan"), float("inf")]), posinf=9.0).tolist()
    [1.0, 0.0, 9.0]
    """
    given = _as_array(x)
    if given.dtype.kind not in "fc":
        return given
    if given.dtype.kind == "c":
        unit = _native.full((), 1j, dtype=given.dtype)
        parts = [nan_to_num(part, True, nan, posinf, neginf) for part in (given.real, given.imag)]
        found = parts[0] + parts[1] * unit
    else:
        info = np.finfo(given.dtype)
        found = _native.where(ufuncs.isnan(given), nan, given)
        most = float(info.max) if posinf is None else posinf
        least = float(info.min) if neginf is None else neginf
        found = _native.where(isposinf(given), most, found)
        found = _native.where(isneginf(given), least, found)
    if not copy and isinstance(x, Array):
        return _place("nan_to_num", found, x, True, "same_kind")
    return found


def real_if_close(a: Any, tol: float = 100) -> Array:
    """The real parts if no imaginary part is larger than `tol` (in roundoffs of the type if above 1)."""
    x = _as_array(a)
    if x.dtype.kind != "c":
        return x
    bound = tol * float(np.finfo(x.dtype).eps) if tol > 1 else tol
    return x.real if bool((ufuncs.absolute(x.imag) < bound).all()) else x


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """Differences of neighbours along an axis, taken `n` times.

    >>> import girih as gr
    >>> gr.diff(gr.asarray([1, 4, 9, 16]), n=2).tolist()
    [2, 2]
    """
    x = _as_array(a)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}")
    if x.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = _normal(axis, x.ndim)
    if prepend is not None or append is not None:
        lengths = [1 if one == axis else length for one, length in enumerate(x.shape)]

        def side(part: Any) -> list[Array]:
            if part is None:
                return []
            part = _as_array(part)
            return [part if part.ndim else _native.full(lengths, part, dtype=part.dtype)]

        x = _native.concatenate([*side(prepend), x, *side(append)], axis)
    for _ in range(n):
        later, earlier = _part(x, axis, 1, None), _part(x, axis, 0, builtins.max(x.shape[axis] - 1, 0))
        x = later != earlier if x.dtype == bool else later - earlier
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """Differences of neighbours in row-major order, with numbers before and behind if given."""
    x = _as_array(ary).reshape(-1)
    found = diff(x)
    if to_end is None and to_begin is None:
        return found
    sides = [None if side is None else _as_array(side).reshape(-1).astype(x.dtype) for side in (to_begin, to_end)]
    return _native.concatenate([part for part in (sides[0], found, sides[1]) if part is not None], 0)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """The integral along an axis by the trapezoidal rule.

    >>> import girih as gr
    >>> gr.trapezoid(gr.asarray([1.0, 2.0, 3.0]), dx=2).tolist()
    8.0
    """
    y = _as_array(y)
    axis = _normal(axis, y.ndim)
    steps: Any = dx
    if x is not None:
        x = _as_array(x)
        steps = diff(x) if x.ndim == 1 else diff(x, axis=axis)
        if x.ndim == 1:
            steps = steps.reshape([-1 if one == axis else 1 for one in range(y.ndim)])
    pairs = _part(y, axis, 1, None) + _part(y, axis, 0, builtins.max(y.shape[axis] - 1, 0))
    total: Array = reductions.sum(steps * pairs / 2.0, axis=axis)
    return total


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Second-order central differences within, one-sided ones at the ends; a tuple for several axes.

    Spacings: none for 1, one number for all axes, or for each axis a number or the coordinates along it.

    >>> import girih as gr
    >>> gr.gradient(gr.asarray([1.0, 4.0, 9.0])).tolist()
    [3.0, 4.0, 5.0]
    """
    x = _as_array(f)
    x = x if x.dtype.kind in "fc" else x.astype(np.float64)
    axes = list(range(x.ndim)) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    axes = [_normal(one, x.ndim) for one in axes]
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    spacings = [1.0] * len(axes) if not varargs else list(varargs) * (len(axes) if len(varargs) == 1 else 1)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    found = [_slope(x, one, spacing, edge_order) for one, spacing in zip(axes, spacings, strict=True)]
    return found[0] if len(found) == 1 else tuple(found)


def _slope(x: Array, axis: int, spacing: Any, edge_order: int) -> Array:
    length = x.shape[axis]
    if length < edge_order + 1:
        raise ValueError("Shape of array too small to calculate a numerical gradient, "
                         "at least (edge_order + 1) elements are required.")  # fmt: skip
    def at(start: int, stop: int) -> Array:
        return _part(x, axis, start, stop)

    if np.ndim(spacing) == 0 and not (isinstance(spacing, Array) and spacing.ndim):
        h = float(spacing)
        within = (at(2, length) - at(0, length - 2)) / (2.0 * h)
        if edge_order == 1:
            first, last = (at(1, 2) - at(0, 1)) / h, (at(length - 1, length) - at(length - 2, length - 1)) / h
        else:
            first = (-1.5 * at(0, 1) + 2.0 * at(1, 2) - 0.5 * at(2, 3)) / h
            last = (1.5 * at(length - 1, length) - 2.0 * at(length - 2, length - 1)
                    + 0.5 * at(length - 3, length - 2)) / h  # fmt: skip
        return _native.concatenate([first, within, last], axis)
    steps = diff(_as_array(spacing).astype(np.float64)).reshape([-1 if one == axis else 1 for one in range(x.ndim)])
    if steps.shape[axis] != length - 1:
        raise ValueError("when 1d, distances must match the length of the corresponding dimension")
    before, behind = _part(steps, axis, 0, length - 2), _part(steps, axis, 1, None)
    a, c = -behind / (before * (before + behind)), before / (behind * (before + behind))
    b = (behind - before) / (before * behind)
    within = a * at(0, length - 2) + b * at(1, length - 1) + c * at(2, length)
    h0, hn = _part(steps, axis, 0, 1), _part(steps, axis, length - 2, None)
    if edge_order == 1:
        first, last = (at(1, 2) - at(0, 1)) / h0, (at(length - 1, length) - at(length - 2, length - 1)) / hn
    else:
        h1, hm = _part(steps, axis, 1, 2), _part(steps, axis, length - 3, length - 2)
        first = (-(2.0 * h0 + h1) / (h0 * (h0 + h1)) * at(0, 1) + (h0 + h1) / (h0 * h1) * at(1, 2)
                 - h0 / (h1 * (h0 + h1)) * at(2, 3))  # fmt: skip
        last = (hn / (hm * (hm + hn)) * at(length - 3, length - 2) - (hn + hm) / (hm * hn) * at(length - 2, length - 1)
                + (2.0 * hn + hm) / (hn * (hm + hn)) * at(length - 1, length))  # fmt: skip
    return _native.concatenate([first, within, last], axis)


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: float = 2 * math.pi) -> Array:
    """Angles without jumps along an axis: differences beyond half a period are brought back by whole ones."""
    x = _as_array(p)
    axis = _normal(axis, x.ndim)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    steps = diff(x, axis=axis)
    bound = period / 2 if discont is None else discont
    wrapped = ufuncs.remainder(steps + period / 2, period) - period / 2
    wrapped = _native.where((wrapped == -period / 2) & (steps > 0), period / 2, wrapped)
    correction = _native.where(ufuncs.absolute(steps) < bound, 0, wrapped - steps)
    first = _part(x, axis, 0, 1).astype(dtype)
    rest = _part(x, axis, 1, None) + reductions.cumsum(correction, axis=axis)
    return _native.concatenate([first, rest.astype(dtype)], axis)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    """The piecewise linear function through points with ascending `xp` and values `fp`, at `x`.

    Outside it is `left` and `right`, by default the first and last value; with a `period` the points go on and on.
    Cost: a search among the points for each element, and two reads of values: an exchange if they lie by rows.

    >>> import girih as gr
    >>> gr.interp([0.5, 2.5, 9.0], [0, 1, 3], [10, 20, 40]).tolist()
    [15.0, 35.0, 40.0]
    """
    at, knots, values = _as_array(x).astype(np.float64), _as_array(xp).astype(np.float64), _as_array(fp)
    values = values.astype(np.complex128 if values.dtype.kind == "c" else np.float64)
    if knots.ndim != 1 or values.ndim != 1:
        raise ValueError("object too deep for desired array")
    if knots.shape != values.shape:
        raise ValueError("fp and xp are not of the same length.")
    if period is not None:
        if period == 0:
            raise ValueError("period must be a non-zero value")
        period = builtins.abs(period)
        at, knots = at % period, knots % period
        order = _native.argsort(knots, 0)
        knots, values = knots[order], values[order]
        knots = _native.concatenate([knots[-1:] - period, knots, knots[:1] + period])
        values = _native.concatenate([values[-1:], values, values[:1]])
        left = right = None
    if knots.size == 0:
        raise ValueError("array of sample points is empty")
    flat = at.reshape(-1)
    first, last = values[:1] if left is None else left, values[-1:] if right is None else right
    if knots.size == 1:
        found = _native.where(flat < knots, first, _native.where(flat > knots, last, values))
        return found.astype(values.dtype).reshape(at.shape)
    place = _native.clip(_native.search_sorted(knots, flat, True) - 1, 0, knots.size - 2)
    low, high, y, z = knots[place], knots[place + 1], values[place], values[place + 1]
    slope = (z - y) / (high - low)
    found = slope * (flat - low) + y
    again = slope * (flat - high) + z
    found = _native.where(ufuncs.isnan(found), _native.where(ufuncs.isnan(again) & (y == z), y, again), found)
    found = _native.where(flat == high, z, _native.where(flat == low, y, found))
    found = _native.where(flat < knots[:1], first, _native.where(flat > knots[-1:], last, found))
    found = _native.where(ufuncs.isnan(flat), np.nan, found)
    return found.astype(values.dtype).reshape(at.shape)
