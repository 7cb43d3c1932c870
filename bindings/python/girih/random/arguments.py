"""Arguments of distributions: sizes, parameters in range, and results in the form that NumPy gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from girih import _native, ufuncs

Size: TypeAlias = int | tuple[int, ...] | list[int] | None
Parameter: TypeAlias = _native.Array | NDArray[Any] | bool | int | float | np.generic | Sequence[Any]


def shape_of(size: Size) -> tuple[int, ...]:
    """A `size` argument as a shape."""
    lengths: Any = (size,) if np.ndim(size) == 0 else size  # type: ignore[arg-type]
    shape = tuple(int(length) for length in lengths)
    if any(length < 0 for length in shape):
        raise ValueError("negative dimensions are not allowed")
    return shape


def result_shape(size: Size, parameters: tuple[Parameter, ...]) -> tuple[int, ...] | None:
    """The shape of what is drawn; None for a single number."""
    lengths = [np.shape(parameter) for parameter in parameters]
    common = np.broadcast_shapes(*lengths) if lengths else ()
    if size is None:
        return common if any(lengths) or any(is_array(parameter) for parameter in parameters) else None
    shape = shape_of(size)
    if not fits(common, shape):
        raise ValueError(f"Output size {shape} is not compatible with broadcast dimensions of inputs {common}.")
    return shape


def fits(given: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether an array of one shape can be repeated to another."""
    pairs = zip(reversed(given), reversed(shape), strict=False)
    return len(given) <= len(shape) and all(one in (1, length) for one, length in pairs)


def is_array(value: object) -> bool:
    """Whether this is an array of girih's."""
    return isinstance(value, _native.Array)


def weak(parameter: Parameter) -> Any:
    """A number as Python's own, so that it needs no array; anything else as it is."""
    if is_array(parameter) or np.ndim(parameter) > 0:
        return parameter
    return parameter.item() if isinstance(parameter, np.generic | np.ndarray) else parameter


def refuse(parameter: Parameter, wrong: Callable[[Any], Any], message: str) -> None:
    """Raises ValueError if any value of a parameter is wrong, or NaN; alike on all ranks."""
    if isinstance(parameter, int | float):
        bad = bool(wrong(parameter)) or math.isnan(parameter)
    elif isinstance(parameter, _native.Array):
        bad = bool(wrong(parameter).any()) or bool(ufuncs.isnan(parameter).any())
    else:
        values = np.asarray(parameter)
        bad = bool(np.any(wrong(values))) or bool(np.isnan(values).any())
    if bad:
        raise ValueError(message)


def size_of_output(out: Any, size: Size, dtype: Any) -> tuple[int, ...]:
    """The shape of the array that is to be written, which `size` must not contradict."""
    if not is_array(out):
        raise TypeError(f"out must be a girih.Array, not {type(out).__name__}")
    if out.dtype != np.dtype(dtype):
        raise TypeError(f"Supplied output array has wrong type. Expected {np.dtype(dtype)}, got {out.dtype}")
    if size is not None and shape_of(size) != out.shape:
        raise ValueError("size must match out.shape when used together")
    return tuple(out.shape)
