"""Methods of `girih.Array` that are written in Python, and the types of its operators.

The class is the native one; when the package is imported, `attach` gives it the methods of `ArrayMethods`, from which
it derives in its stub.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from girih import _native

if TYPE_CHECKING:
    from girih import protocols
    from girih._native import Array

    _Scalar: TypeAlias = bool | int | float | complex | np.generic
    _Operand: TypeAlias = Array | NDArray[Any] | _Scalar | Sequence[Any]

__all__ = ["ArrayMethods"]

_SPECIAL = ("__copy__", "__deepcopy__", "__divmod__", "__rdivmod__")


class ArrayMethods:
    """What arrays do beyond the native class; functions of the package with the array in front."""

    @property
    def mT(self) -> Array:
        """The last two axes exchanged; a view."""
        return shaping.matrix_transpose(self)

    def argpartition(self, kth: Any, axis: int | None = -1, kind: str = "introselect", order: Any = None) -> Array:
        """The places that partition elements."""
        return sorting.argpartition(self, kth, axis)

    def argsort(self, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Array:
        """The places that put elements in ascending order along an axis."""
        return sorting.argsort(self, axis)

    def choose(self, choices: Any, out: Any = None, mode: str = "raise") -> Array:
        """Of several arrays, at each place the element of the one whose number stands here."""
        return indexing.choose(self, choices, out, mode)

    def compress(self, condition: Any, axis: int | None = None, out: Any = None) -> Array:
        """The slices along an axis, or the elements, where a list of truth values is true."""
        return indexing.compress(condition, self, axis, out)

    @property
    def device(self) -> str:
        """Where elements are: the processor's memory."""
        return "cpu"

    def to_device(self, device: str, /, *, stream: Any = None) -> Array:
        """The array itself; there is no other device."""
        if device != "cpu":
            raise ValueError(f"device must be 'cpu', not {device!r}")
        return self  # type: ignore[return-value]

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
        """The elements where two axes have places that differ by `offset`; a view that is not written."""
        return shaping.diagonal(self, offset, axis1, axis2)  # type: ignore[arg-type]

    def dot(self, b: Any, out: Any = None) -> Array:
        """The product with an array: of matrices and vectors, or over the last and the last but one axis."""
        found = products.dot(self, b)  # type: ignore[arg-type]
        return found if out is None else ufuncs.positive(found, out=out)

    @property
    def flat(self) -> Array:
        """All elements along one axis: a view where steps can say so, which iterates, is indexed and is written."""
        return shaping.ravel(self)

    def fill(self, value: Any) -> None:
        """Writes one value everywhere."""
        self[...] = value  # type: ignore[index]

    def flatten(self, order: str = "C") -> Array:
        """All elements along one axis, as an array of its own."""
        return shaping.ravel(self, order).copy()

    def nonzero(self) -> tuple[Array, ...]:
        """For each axis, the places of the elements that are not zero."""
        return _native.nonzero(self)  # type: ignore[arg-type]

    def partition(self, kth: Any, axis: int = -1, kind: str = "introselect", order: Any = None) -> None:
        """Partitions the array itself along an axis."""
        self[...] = sorting.partition(self, kth, axis)  # type: ignore[index]

    def put(self, ind: Any, v: Any, mode: str = "raise") -> None:
        """Writes values to numbers of elements in row-major order."""
        indexing.put(self, ind, v, mode)  # type: ignore[arg-type]

    def ravel(self, order: str = "C") -> Array:
        """All elements along one axis; a view where steps can say so."""
        return shaping.ravel(self, order)

    def repeat(self, repeats: Any, axis: int | None = None) -> Array:
        """Each element, or each place along an axis, so many times."""
        return joining.repeat(self, repeats, axis)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Array:
        """The places in this sorted array before which values belong."""
        return sorting.searchsorted(self, v, side, sorter)

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> None:
        """Sorts the array itself along an axis."""
        self[...] = sorting.sort(self, axis)  # type: ignore[index]

    def squeeze(self, axis: Any = None) -> Array:
        """Without axes of length 1; a view."""
        return shaping.squeeze(self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> Array:
        """Two axes exchanged; a view."""
        return shaping.swapaxes(self, axis1, axis2)

    def take(self, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Array:
        """The elements, or the slices along an axis, at these places."""
        return indexing.take(self, indices, axis, out, mode)

    def tobytes(self, order: str = "C") -> bytes:
        """All elements as bytes, on every rank."""
        return np.asarray(self).tobytes(order)  # type: ignore[arg-type]

    def trace(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
    ) -> Array:
        """The sums along diagonals."""
        found = products.trace(self, offset, axis1, axis2, dtype)  # type: ignore[arg-type]
        return found if out is None else ufuncs.positive(found, out=out)

    def _repr_html_(self) -> str:
        """What notebooks show: shape, dtype, and how rows lie on ranks. Nothing is computed."""
        return explaining.array_html(self)  # type: ignore[arg-type]

    def transpose(self, *axes: Any) -> Array:
        """Axes in another order, in reverse by default; a view."""
        order = axes[0] if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)) else axes
        return _native.transpose(self, order or None)  # type: ignore[arg-type]

    def __copy__(self) -> Array:
        return self.copy()  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: Any) -> Array:
        return self.copy()  # type: ignore[attr-defined]

    def __divmod__(self, other: _Operand, /) -> tuple[Array, Array]:
        return ufuncs.divmod(self, other)

    def __rdivmod__(self, other: _Operand, /) -> tuple[Array, Array]:
        return ufuncs.divmod(other, self)

    if TYPE_CHECKING:
        __array_function__ = protocols.array_function
        __array_ufunc__ = protocols.array_ufunc
        __array_namespace__ = protocols.array_namespace
        __dlpack__ = protocols.dlpack
        __dlpack_device__ = protocols.dlpack_device

        def __lshift__(self, other: _Operand, /) -> Array: ...
        def __rlshift__(self, other: _Operand, /) -> Array: ...
        def __rshift__(self, other: _Operand, /) -> Array: ...
        def __rrshift__(self, other: _Operand, /) -> Array: ...
        def __iadd__(self, other: _Operand, /) -> Self: ...
        def __isub__(self, other: _Operand, /) -> Self: ...
        def __imul__(self, other: _Operand, /) -> Self: ...
        def __itruediv__(self, other: _Operand, /) -> Self: ...
        def __ifloordiv__(self, other: _Operand, /) -> Self: ...
        def __imod__(self, other: _Operand, /) -> Self: ...
        def __iand__(self, other: _Operand, /) -> Self: ...
        def __ior__(self, other: _Operand, /) -> Self: ...
        def __ixor__(self, other: _Operand, /) -> Self: ...
        def __ilshift__(self, other: _Operand, /) -> Self: ...
        def __irshift__(self, other: _Operand, /) -> Self: ...
        def __ipow__(self, value: _Operand, /) -> Self: ...  # type: ignore[misc]
        def __add__(self, other: _Operand, /) -> Array: ...
        def __radd__(self, other: _Operand, /) -> Array: ...
        def __sub__(self, other: _Operand, /) -> Array: ...
        def __rsub__(self, other: _Operand, /) -> Array: ...
        def __mul__(self, other: _Operand, /) -> Array: ...
        def __rmul__(self, other: _Operand, /) -> Array: ...
        def __truediv__(self, other: _Operand, /) -> Array: ...
        def __rtruediv__(self, other: _Operand, /) -> Array: ...
        def __floordiv__(self, other: _Operand, /) -> Array: ...
        def __rfloordiv__(self, other: _Operand, /) -> Array: ...
        def __mod__(self, other: _Operand, /) -> Array: ...
        def __rmod__(self, other: _Operand, /) -> Array: ...
        def __pow__(self, value: _Operand, mod: None = None, /) -> Array: ...
        def __rpow__(self, value: _Operand, mod: None = None, /) -> Array: ...
        def __matmul__(self, other: Array | NDArray[Any], /) -> Array: ...
        def __rmatmul__(self, other: Array | NDArray[Any], /) -> Array: ...
        def __and__(self, other: _Operand, /) -> Array: ...
        def __rand__(self, other: _Operand, /) -> Array: ...
        def __or__(self, other: _Operand, /) -> Array: ...
        def __ror__(self, other: _Operand, /) -> Array: ...
        def __xor__(self, other: _Operand, /) -> Array: ...
        def __rxor__(self, other: _Operand, /) -> Array: ...
        def __lt__(self, other: _Operand, /) -> Array: ...
        def __le__(self, other: _Operand, /) -> Array: ...
        def __gt__(self, other: _Operand, /) -> Array: ...
        def __ge__(self, other: _Operand, /) -> Array: ...
        def __eq__(self, other: _Operand, /) -> Array: ...  # type: ignore[override]
        def __ne__(self, other: _Operand, /) -> Array: ...  # type: ignore[override]
        def __neg__(self) -> Array: ...
        def __pos__(self) -> Array: ...
        def __abs__(self) -> Array: ...
        def __invert__(self) -> Array: ...


from girih import explaining, indexing, joining, products, shaping, sorting, ufuncs  # noqa: E402


def attach() -> None:
    """Gives the native class its methods."""
    for name, method in vars(ArrayMethods).items():
        if not name.startswith("__") or name in _SPECIAL:
            setattr(_native.Array, name, method)
