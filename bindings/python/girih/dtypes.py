"""Element types: NumPy's own, and which type an operation gives.

girih has bool, the integers of 8 to 64 bits with and without sign, float16, float32, float64, complex64 and
complex128. Promotion is NumPy's (NEP 50): Python's own numbers take the array's type.

>>> import girih as gr
>>> gr.result_type(gr.zeros(3, dtype=gr.int8), 2.5)
dtype('float64')
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
from numpy import (
    bool_,
    complex64,
    complex128,
    finfo,
    float16,
    float32,
    float64,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    isdtype,
    issubdtype,
    promote_types,
    uint8,
    uint16,
    uint32,
    uint64,
)
from numpy.typing import DTypeLike

from girih._native import Array

__all__ = [
    "bool",
    "bool_",
    "can_cast",
    "complex64",
    "complex128",
    "dtype",
    "finfo",
    "float16",
    "float32",
    "float64",
    "iinfo",
    "int8",
    "int16",
    "int32",
    "int64",
    "isdtype",
    "issubdtype",
    "promote_types",
    "result_type",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

dtype = np.dtype
bool = np.bool  # the name that NumPy and the Array API have for it


def result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    """The type that NumPy's promotion gives to these arrays, dtypes and numbers together.

    >>> import girih as gr
    >>> gr.result_type(gr.uint8, gr.int8)
    dtype('int16')
    """
    return np.result_type(*(_without_values(each) for each in arrays_and_dtypes))


def can_cast(from_: Any, to: DTypeLike, casting: Any = "safe") -> builtins.bool:
    """Whether a conversion from a dtype, or from that of an array, is allowed under a rule.

    >>> import girih as gr
    >>> gr.can_cast(gr.int64, gr.float32), gr.can_cast(gr.int64, gr.float32, casting="same_kind")
    (False, True)
    """
    return np.can_cast(_without_values(from_), to, casting)


def _without_values(each: Any) -> Any:
    return each.dtype if isinstance(each, Array) else each
