"""NumPy's universal functions: elementwise, with `dtype=`, `out=`, `where=`, and `reduce`, `accumulate` and `outer`.

>>> import girih as gr
>>> gr.add(gr.arange(3), 10).tolist()
[10, 11, 12]
>>> gr.multiply.outer(gr.arange(1, 3), gr.arange(1, 4)).tolist()
[[1, 2, 3], [2, 4, 6]]
>>> gr.maximum.accumulate(gr.asarray([3, 1, 4, 1])).tolist()
[3, 3, 4, 4]
"""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import DTypeLike

from girih import _native
from girih._native import Array

__all__ = [
    "Ufunc", "abs", "absolute", "acos", "acosh", "add", "arccos", "arccosh", "arcsin", "arcsinh", "arctan",
    "arctan2", "arctanh", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and", "bitwise_count",
    "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "cbrt", "ceil", "conj", "conjugate", "copysign", "cos", "cosh", "deg2rad", "degrees", "divide", "divmod",
    "equal", "exp", "exp2", "expm1", "fabs", "float_power", "floor", "floor_divide", "fmax", "fmin", "fmod",
    "frexp", "gcd", "greater", "greater_equal", "heaviside", "hypot", "invert", "isfinite", "isinf", "isnan",
    "lcm", "ldexp", "left_shift", "less", "less_equal", "log", "log10", "log1p", "log2", "logaddexp",
    "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum", "minimum", "mod",
    "modf", "multiply", "negative", "nextafter", "not_equal", "positive", "pow", "power", "rad2deg", "radians",
    "reciprocal", "remainder", "right_shift", "rint", "sign", "signbit", "sin", "sinh", "spacing", "sqrt",
    "square", "subtract", "tan", "tanh", "true_divide", "trunc",
]  # fmt: skip

# What reduces as fast as a sum, by the name of the reduction; the rest is combined half by half or step by step.
_FOLDS = {
    "add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min", "logical_and": "all", "logical_or": "any",
}  # fmt: skip
_SCANS = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}
_ASSOCIATIVE = {
    "bitwise_and", "bitwise_or", "bitwise_xor", "logical_xor", "fmax", "fmin", "gcd", "lcm", "hypot", "logaddexp",
    "logaddexp2",
}  # fmt: skip
_IDENTITIES: dict[str, Any] = {
    "add": 0, "multiply": 1, "logical_and": True, "logical_or": False, "logical_xor": False, "bitwise_and": -1,
    "bitwise_or": 0, "bitwise_xor": 0, "gcd": 0, "hypot": 0, "logaddexp": -np.inf, "logaddexp2": -np.inf,
}  # fmt: skip


@final
class Ufunc(_native.Ufunc):
    """An elementwise function. Calls without options take the short way; the rest is NumPy's interface.

    >>> import girih as gr
    >>> gr.add.nin, gr.add.nout, gr.add.identity
    (2, 1, 0)
    """

    @property
    def identity(self) -> Any:
        """The number that changes nothing in a reduction; None where there is none."""
        return _IDENTITIES.get(self.__name__)

    @property
    def nargs(self) -> int:
        """Operands and results together."""
        return self.nin + self.nout

    @property
    def ntypes(self) -> int:
        """The number of types for which it is defined."""
        return len(self.types)

    def __repr__(self) -> str:
        return f"<girih ufunc '{self.__name__}'>"

    def with_options(
        self,
        *operands: Any,
        out: Any = None,
        where: Any = True,
        casting: Any = "same_kind",
        order: str = "K",
        dtype: DTypeLike | None = None,
        subok: bool = True,
    ) -> Any:
        """The call with options; `order` and `subok` mean nothing here, for memory has one order.

        Where `where` is false, elements are those of `out`, or zero if there is none.
        """
        if order not in ("C", "F", "A", "K"):
            raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got '{order}')")
        if len(operands) > self.nin:
            operands, out = operands[: self.nin], operands[self.nin :]
        targets = out if isinstance(out, tuple) else (out,) * self.nout if out is None else (out,)
        if len(targets) != self.nout:
            raise ValueError(f"The 'out' tuple must have exactly {self.nout} entries, one for each result")
        if dtype is not None:
            operands = tuple(_as_loop(self.__name__, operand, np.dtype(dtype), casting) for operand in operands)
        results = self(*operands)
        results = results if isinstance(results, tuple) else (results,)
        if dtype is not None and results[0].dtype != bool:
            results = tuple(result.astype(dtype) for result in results)
        kept = tuple(
            _place(self.__name__, result, target, where, casting)
            for result, target in zip(results, targets, strict=True)
        )
        return kept if self.nout > 1 else kept[0]

    def reduce(
        self,
        array: Any,
        axis: Any = 0,
        dtype: DTypeLike | None = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> Any:
        """Combines elements along axes.

        Cost: one pass for add, multiply, maximum, minimum, logical_and and logical_or; a step for each halving of the
        axis for other functions whose order is free; a step for each element along the axis for the rest.

        >>> import girih as gr
        >>> gr.bitwise_or.reduce(gr.asarray([1, 2, 4])).tolist()
        7
        """
        self._needs_two("reduce")
        if self.__name__ in _FOLDS:
            from girih import reductions

            options = {} if dtype is None else {"dtype": dtype}
            run = reductions.fold if self.__name__ not in ("logical_and", "logical_or") else reductions.truth
            found = run(_FOLDS[self.__name__], array, axis, keepdims, initial, where, **options)
            return _place(self.__name__, found, out, True, "same_kind")
        x = _as_array(array) if dtype is None else _as_array(array).astype(dtype)
        if where is not True:
            if self.identity is None:
                text = f"reduction operation '{self.__name__}' does not have an identity, so where= is refused"
                raise ValueError(text)
            x = _native.where(_as_array(where), x, self.identity)
        axes = range(x.ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
        for each in sorted(_normal(one, x.ndim) for one in axes):
            x = self._along(x, each)
        if initial is not None:
            x = self(initial, x)
        if not keepdims:
            gone = {_normal(one, x.ndim) for one in axes}
            x = x.reshape([length for one, length in enumerate(x.shape) if one not in gone])
        return _place(self.__name__, x, out, True, "same_kind")

    def _along(self, x: Array, axis: int) -> Array:
        """Combines along one axis, which stays with length 1."""
        if x.shape[axis] == 0:
            if self.identity is None:
                raise ValueError(f"zero-size array to reduction operation {self.__name__} which has no identity")
            lengths = [1 if one == axis else length for one, length in enumerate(x.shape)]
            return _native.full(lengths, self.identity, dtype=x.dtype)
        if self.__name__ in ("subtract", "divide", "true_divide") and x.shape[axis] > 1:
            rest = multiply if self.__name__ != "subtract" else add
            x = x.astype(self(_part(x, axis, 0, 0), _part(x, axis, 0, 0)).dtype)
            combined = rest.reduce(_part(x, axis, 1, None), axis=axis, dtype=x.dtype, keepdims=True)
            result: Array = self(_part(x, axis, 0, 1), combined)
            return result
        if self.__name__ in _ASSOCIATIVE:
            while x.shape[axis] > 1:
                half = x.shape[axis] // 2
                pairs = self(_part(x, axis, 0, half), _part(x, axis, half, 2 * half))
                if x.shape[axis] % 2:
                    last = self(_part(pairs, axis, half - 1, half), _part(x, axis, 2 * half, None))
                    if half == 1:
                        return last
                    pairs = _native.where(_is_last(pairs, axis), last, pairs)
                x = pairs
            return x.astype(self(_part(x, axis, 0, 0), _part(x, axis, 0, 0)).dtype)
        found = _part(x, axis, 0, 1)
        for step in range(1, x.shape[axis]):
            found = self(found, _part(x, axis, step, step + 1))
        return found

    def accumulate(self, array: Any, axis: int = 0, dtype: DTypeLike | None = None, out: Any = None) -> Any:
        """Results so far along an axis.

        Cost: one pass for add, multiply, maximum and minimum; for other functions whose order is free a pass for each
        doubling up to the length of the axis; a step for each element along it for the rest.

        >>> import girih as gr
        >>> gr.add.accumulate(gr.arange(4)).tolist()
        [0, 1, 3, 6]
        """
        self._needs_two("accumulate")
        x = _as_array(array) if dtype is None else _as_array(array).astype(dtype)
        found = self._so_far(x, _normal(axis, x.ndim)) if self.__name__ not in _SCANS else None
        found = _native.scan(_SCANS[self.__name__], x, axis) if found is None else found
        found = found if dtype is None else found.astype(dtype)
        return _place(self.__name__, found, out, True, "same_kind")

    def _so_far(self, x: Array, axis: int) -> Array:
        """Results so far of a function that has no scan of its own."""
        length = x.shape[axis]
        found: Array = x.astype(self(_part(x, axis, 0, 0), _part(x, axis, 0, 0)).dtype)
        if self.__name__ in _ASSOCIATIVE | {"logical_and", "logical_or"}:
            reach = 1
            while reach < length:
                more = self(_part(found, axis, 0, length - reach), _part(found, axis, reach, None))
                found = _native.concatenate([_part(found, axis, 0, reach), more], axis)
                reach *= 2
            return found
        parts = [_part(found, axis, 0, 1)]
        for step in range(1, length):
            parts.append(self(parts[-1], _part(found, axis, step, step + 1)))
        return _native.concatenate(parts, axis) if length else found

    def outer(self, left: Any, right: Any, /, **options: Any) -> Any:
        """The function of each element of one array with each of the other.

        >>> import girih as gr
        >>> gr.subtract.outer(gr.arange(2), gr.arange(3)).tolist()
        [[0, -1, -2], [1, 0, -1]]
        """
        self._needs_two("outer")
        x, y = _as_array(left), _as_array(right)
        return self(x.reshape([*x.shape, *(1 for _ in y.shape)]), y, **options)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: DTypeLike | None = None, out: Any = None) -> Any:
        """For each index, the elements along an axis from it up to the next one combined.

        Cost: one pass for few indices; else a pass for each doubling of the longest run, if the order is free.

        >>> import girih as gr
        >>> gr.add.reduceat(gr.arange(8), [0, 4, 1, 5]).tolist()
        [6, 4, 10, 18]
        """
        self._needs_two("reduceat")
        from girih import runs

        x = _as_array(array)
        if dtype is None and self.__name__ in ("add", "multiply") and x.dtype.kind in "bui":
            dtype = np.result_type(x.dtype, np.uint64 if x.dtype.kind == "u" else np.int64)
        x = x if dtype is None else x.astype(dtype)
        found = runs.reduced_at(self, self._is_free(), x, indices, _normal(axis, x.ndim))
        return _place(self.__name__, found, out, True, "same_kind")

    def at(self, a: Array, indices: Any, b: Any = None, /) -> None:
        """Applies the function to the elements that an index names, once for each time that it names them.

        Cost: the places are sorted; then a pass for each doubling of the times that one is named, if the order is free.

        >>> import girih as gr
        >>> x = gr.zeros(4)
        >>> gr.add.at(x, [0, 1, 1], [1, 2, 3])
        >>> x.tolist()
        [1.0, 5.0, 0.0, 0.0]
        """
        from girih import runs

        if not isinstance(a, Array):
            raise TypeError(f"first operand must be a girih.Array, not {type(a).__name__}")
        if self.nout != 1:
            raise ValueError("Only single output ufuncs supported at this time")
        if (b is None) != (self.nin == 1):
            raise ValueError("second operand needed for ufunc" if b is None else "second operand given to unary ufunc")
        runs.applied_at(self, "free" if self.nin == 2 and self._is_free() else "each", a, indices, b)

    def _is_free(self) -> bool:
        return self.__name__ in _ASSOCIATIVE or self.__name__ in _FOLDS

    def _needs_two(self, method: str) -> None:
        if self.nin != 2 or self.nout != 1:
            raise ValueError(f"{method} only supported for binary functions")


def _as_array(x: Any) -> Array:
    return x if isinstance(x, Array) else _native.asarray(x)


def _normal(axis: int, dimensions: int) -> int:
    if not -dimensions <= axis < dimensions:
        raise np.exceptions.AxisError(axis, dimensions)
    return axis % dimensions


def _part(x: Array, axis: int, start: int, stop: int | None) -> Array:
    return x[(slice(None),) * axis + (slice(start, stop),)]


def _is_last(x: Array, axis: int) -> Array:
    length = x.shape[axis]
    lengths = [length if one == axis else 1 for one in range(x.ndim)]
    last: Array = equal(_native.arange(length), length - 1)
    return last.reshape(lengths)


def _as_loop(name: str, operand: Any, dtype: np.dtype[Any], casting: Any) -> Any:
    """An operand in the type in which it is asked to be computed."""
    if dtype.kind == "b":
        return operand
    weak = isinstance(operand, bool | int | float | complex) and not isinstance(operand, np.generic)
    x = _as_array(operand)
    if not weak and not np.can_cast(x.dtype, dtype, casting):
        raise TypeError(
            f"Cannot cast ufunc '{name}' input from {x.dtype!r} to {dtype!r} with casting rule '{casting}'"
        )
    return x.astype(dtype)


def _place(name: str, result: Any, out: Any, where: Any, casting: Any) -> Any:
    """Puts a result where the caller wants it."""
    if out is None:
        if where is True:
            return result
        mask = _as_array(where)
        return _native.where(mask, result, _native.zeros((), dtype=result.dtype))
    if isinstance(out, tuple):
        (out,) = out
    if not isinstance(out, Array):
        raise TypeError(f"out must be a girih.Array, not {type(out).__name__}")
    if not np.can_cast(result.dtype, out.dtype, casting):
        raise TypeError(
            f"Cannot cast ufunc '{name}' output from {result.dtype!r} to {out.dtype!r} with casting rule '{casting}'"
        )
    out[...] = result if where is True else _native.where(_as_array(where), result, out)
    return out


absolute = Ufunc("absolute")
add = Ufunc("add")
arccos = Ufunc("arccos")
arccosh = Ufunc("arccosh")
arcsin = Ufunc("arcsin")
arcsinh = Ufunc("arcsinh")
arctan = Ufunc("arctan")
arctan2 = Ufunc("arctan2")
arctanh = Ufunc("arctanh")
bitwise_and = Ufunc("bitwise_and")
bitwise_count = Ufunc("bitwise_count")
bitwise_or = Ufunc("bitwise_or")
bitwise_xor = Ufunc("bitwise_xor")
cbrt = Ufunc("cbrt")
ceil = Ufunc("ceil")
conjugate = Ufunc("conjugate")
copysign = Ufunc("copysign")
cos = Ufunc("cos")
cosh = Ufunc("cosh")
deg2rad = Ufunc("deg2rad")
divide = Ufunc("divide")
divmod = Ufunc("divmod")
equal = Ufunc("equal")
exp = Ufunc("exp")
exp2 = Ufunc("exp2")
expm1 = Ufunc("expm1")
fabs = Ufunc("fabs")
float_power = Ufunc("float_power")
floor = Ufunc("floor")
floor_divide = Ufunc("floor_divide")
fmax = Ufunc("fmax")
fmin = Ufunc("fmin")
fmod = Ufunc("fmod")
frexp = Ufunc("frexp")
gcd = Ufunc("gcd")
greater = Ufunc("greater")
greater_equal = Ufunc("greater_equal")
heaviside = Ufunc("heaviside")
hypot = Ufunc("hypot")
invert = Ufunc("invert")
isfinite = Ufunc("isfinite")
isinf = Ufunc("isinf")
isnan = Ufunc("isnan")
lcm = Ufunc("lcm")
ldexp = Ufunc("ldexp")
left_shift = Ufunc("left_shift")
less = Ufunc("less")
less_equal = Ufunc("less_equal")
log = Ufunc("log")
log10 = Ufunc("log10")
log1p = Ufunc("log1p")
log2 = Ufunc("log2")
logaddexp = Ufunc("logaddexp")
logaddexp2 = Ufunc("logaddexp2")
logical_and = Ufunc("logical_and")
logical_not = Ufunc("logical_not")
logical_or = Ufunc("logical_or")
logical_xor = Ufunc("logical_xor")
maximum = Ufunc("maximum")
minimum = Ufunc("minimum")
modf = Ufunc("modf")
multiply = Ufunc("multiply")
negative = Ufunc("negative")
nextafter = Ufunc("nextafter")
not_equal = Ufunc("not_equal")
positive = Ufunc("positive")
power = Ufunc("power")
rad2deg = Ufunc("rad2deg")
reciprocal = Ufunc("reciprocal")
remainder = Ufunc("remainder")
right_shift = Ufunc("right_shift")
rint = Ufunc("rint")
sign = Ufunc("sign")
signbit = Ufunc("signbit")
sin = Ufunc("sin")
sinh = Ufunc("sinh")
spacing = Ufunc("spacing")
sqrt = Ufunc("sqrt")
square = Ufunc("square")
subtract = Ufunc("subtract")
tan = Ufunc("tan")
tanh = Ufunc("tanh")
trunc = Ufunc("trunc")

abs = absolute
acos = arccos
acosh = arccosh
asin = arcsin
asinh = arcsinh
atan = arctan
atan2 = arctan2
atanh = arctanh
bitwise_invert = invert
bitwise_left_shift = left_shift
bitwise_not = invert
bitwise_right_shift = right_shift
conj = conjugate
degrees = rad2deg
mod = remainder
pow = power
radians = deg2rad
true_divide = divide
