"""The part of the native module that views, joins, indexing, sorting and quantiles stand on.

It is read by tools only: `girih._native` has all of it. The package's modules with NumPy's names call it.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from girih._native import Array

_Operand: TypeAlias = Array | NDArray[Any] | bool | int | float | complex | np.generic | Sequence[Any]

def transpose(a: _Operand, axes: Sequence[int] | None = None) -> Array:
    """Axes in another order, in reverse by default; a view."""

def broadcast_to(array: _Operand, shape: int | Sequence[int]) -> Array:
    """The array repeated along axes of length 1 and new axes in front; a view that is not written."""

def diagonal(a: _Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The elements where two axes have places that differ by `offset`, as a new last axis; a view, not written."""

def concatenate(arrays: Sequence[_Operand], axis: int | None = 0, dtype: DTypeLike | None = None) -> Array:
    """Arrays one after the other along an axis; only rows that another rank is to hold travel."""

def nonzero(a: _Operand, /) -> tuple[Array, ...]:
    """For each axis, the places of what is not zero. Collective."""

def flatnonzero(a: _Operand, /) -> Array:
    """The numbers of the elements that are not zero. Collective."""

def may_share_memory(a: Any, b: Any) -> bool:
    """Whether two arrays are views of one storage."""

def shares_memory(a: Any, b: Any) -> bool:
    """Whether writing one array would change an element of the other.

    >>> import girih as gr
    >>> x = gr.zeros(4)
    >>> gr.shares_memory(x, x[2:]), gr.shares_memory(x[:2], x[2:])
    (True, False)
    """

# The primitives of `girih.sorting` and `girih.quantiles`, which say what they do. Collective.

def sort(a: _Operand, axis: int) -> Array: ...

def argsort(a: _Operand, axis: int) -> Array: ...

def search_sorted(a: _Operand, v: _Operand, right: bool) -> Array: ...

def select_sorted(a: _Operand, lanes: int, places: Sequence[int]) -> Array: ...

def distinct_by_rank(a: _Operand) -> Array: ...

def count_integers(a: _Operand, bins: int) -> Array: ...

def add_by_integer(a: _Operand, weights: _Operand, bins: int) -> Array: ...
