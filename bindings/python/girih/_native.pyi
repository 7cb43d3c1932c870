"""The native module: world, arrays and K-Means as Python sees them.

Importing it starts nothing. The world starts when a function needs it: on one rank without a launcher, and by joining
or starting MPI under one. All functions release the interpreter while they wait. "Collective" means that every rank
must call it; an operation on arrays is collective in meaning, and its errors are the same on every rank.

Reductions, matrix products and K-Means give the same bits at every number of ranks and threads.
"""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from types import EllipsisType
from typing import Any, ClassVar, Self, TypeAlias, final

import numpy as np
from numpy.typing import DTypeLike, NDArray
from typing_extensions import disjoint_base

from girih._native_clustering import Model as Model, Observations as Observations
from girih._native_movement import (
    add_by_integer as add_by_integer, argsort as argsort, broadcast_to as broadcast_to, concatenate as concatenate,
    count_integers as count_integers, diagonal as diagonal, distinct_by_rank as distinct_by_rank,
    flatnonzero as flatnonzero, may_share_memory as may_share_memory, nonzero as nonzero,
    search_sorted as search_sorted, select_sorted as select_sorted, shares_memory as shares_memory, sort as sort,
    transpose as transpose,
)
from girih._native_numerics import (
    Stream as Stream, chirp as chirp, distances as distances, factor as factor,
    factor_columns as factor_columns, fourier as fourier, frame_products as frame_products,
    square_form as square_form, tall_qr as tall_qr, twiddled as twiddled,
)
from girih.machine import WorldInfo
from girih.methods import ArrayMethods

_Scalar: TypeAlias = bool | int | float | complex | np.generic
_Operand: TypeAlias = Array | NDArray[Any] | _Scalar | Sequence[Any]
_Axis: TypeAlias = int | Sequence[int] | None
_Place: TypeAlias = int | slice | EllipsisType | Array | NDArray[Any] | Sequence[Any] | None
_Index: TypeAlias = _Place | tuple[_Place, ...]

__all__ = [
    "Array", "Mailbox", "Model", "Observations", "Stream", "Ufunc", "abort", "add_by_integer", "all_gather_bytes",
    "arange", "argsort", "argument", "asarray", "barrier", "begin_trace", "broadcast_bytes", "broadcast_to",
    "chirp", "clip", "concatenate", "count_integers", "diagonal", "discard_trace", "distances", "distinct_by_rank",
    "empty", "end_trace", "explain", "eye", "factor", "factor_columns", "flatnonzero", "fourier", "frame_products",
    "from_local", "full", "linspace", "load", "matmul", "may_share_memory", "nonzero", "ones", "Port", "rank",
    "reduce", "report", "rows_of_rank", "save", "scan", "search_sorted", "select_sorted", "set_plugin_dir",
    "set_progress",
    "shares_memory", "Sharing", "shut_down", "size", "sort", "square_form", "start", "tall_qr", "tiles",
    "trace_process", "transpose", "twiddled", "variance", "wait", "where", "world_info", "zeros",
]

def set_plugin_dir(path: str) -> None:
    """Says where the MPI plug-ins (`openmpi.so`, `mpich.so`) lie; starts nothing."""

def start(plugin_dir: str) -> None:
    """Starts the world now, with the plug-ins of that folder; nothing if it has started. Collective.

    Raises RuntimeError if the launcher and the MPI library do not fit, or MPI lacks the thread level.
    """

def shut_down() -> None:
    """Finishes outstanding work and ends the world; ends MPI if girih started it. Collective.

    Nothing if the world never started or has ended. Calls that need the world raise RuntimeError afterwards.
    Raises DivergenceError if another rank does something else; this rank then stays in the world, for `abort`.
    """

def abort(status: int) -> None:
    """Ends every rank of the job with this exit status through `MPI_Abort`, if girih's world runs on MPI.

    Returns otherwise. May be called while other calls are under way, after an error, and without the other ranks.
    """

def rank() -> int:
    """This process's number, from 0. Starts the world.

    >>> import girih as gr
    >>> gr.rank()
    0
    """

def size() -> int:
    """The number of ranks; 1 without a launcher. Starts the world.

    >>> import girih as gr
    >>> gr.size()
    1
    """

def barrier() -> None:
    """Waits until every rank has come here. Collective: DivergenceError if another rank does something else."""

def wait(*arrays: Array) -> None:
    """Computes these arrays now, if they were only recorded. Collective."""

def report(reset: bool = False) -> dict[str, dict[str, int]]:
    """What this rank sent, by operation, since the last `report(reset=True)`.

    For each operation: `messages` to one rank, `collectives` with all, and `bytes` in both. Local; may be called in
    a callback.

    >>> import girih as gr
    >>> _ = gr.report(reset=True)
    >>> _ = gr.ones(10).sum().item()            # a small array: computed at once, on every rank
    >>> sum(row["bytes"] for row in gr.report().values())
    0
    """

def begin_trace(path: str | PathLike[str]) -> None:
    """Begins to record what every thread of every rank does; `girih.trace` says more. Collective.

    Raises OSError on all ranks if rank 0 cannot write there, ValueError if a trace is being recorded already.
    """

def end_trace() -> None:
    """Ends the trace; rank 0 writes the events of all ranks. Collective.

    Raises OSError on all ranks if rank 0 cannot write it, ValueError if no trace is being recorded.
    """

def trace_process(number: int, what: str, began: float, ended: float, /) -> None:
    """Notes in a trace that is being recorded what a process of this rank ran, from and until so many seconds ago."""

def set_progress(function: Callable[[str, int, int], object] | None, /) -> Callable[[str, int, int], object] | None:
    """Sets what `girih.config(progress=...)` is given; the function that was set before."""

def discard_trace() -> None:
    """Ends the trace, if there is one, without a file. Local; for a program that fails."""

def world_info() -> WorldInfo:
    """What hwloc and MPI see, and the binding that follows for this rank. Starts the world; local otherwise."""

def all_gather_bytes(part: bytes, /) -> list[bytes]:
    """Every rank's bytes, by rank. Collective; for control messages, not for data."""

def broadcast_bytes(root: int, whole: bytes | None, /) -> bytes:
    """The bytes of rank `root`, on every rank; the other ranks give None. Collective."""

@final
class Mailbox:
    """Bytes to and from other ranks at any time; each of `peers` opens one to this rank too. One at a time."""

    def __new__(cls, peers: Sequence[int], /) -> Mailbox: ...
    def send(self, to: int, data: bytes, /) -> None: ...
    def receive(self, timeout: float | None = None, /) -> tuple[int, bytes] | None: ...
    def close(self) -> None: ...

@final
class Sharing:
    """While one exists, fresh large arrays lie in memory that other processes can open."""

    def __new__(cls) -> Sharing: ...

@final
class Port:
    """One end of a line between processes, which keeps messages whole and in order."""

    @staticmethod
    def pair(message_bytes: int, queue_bytes: int, /) -> tuple[Port, Port]:
        """Two ends, for messages of at most so many bytes, of which the system queues about `queue_bytes`."""
    def fileno(self) -> int:
        """The file's number, for a process that inherits it."""
    def send(self, data: bytes, /, *, wait: bool = False) -> bool:
        """Sends a message; false if the queue is full and the caller will not wait. OSError if the peer is gone."""
    def receive(self, spin_us: int | None = None, /) -> list[bytes]:
        """The messages that are there. If there is none: looks again for so long, then sleeps until one comes; with
        `None` returns at once. Empty also when the line has ended."""
    def take(self) -> bytes | None:
        """One message, if there is one."""
    def close(self) -> None:
        """Gives the file back."""

@final
class Array(ArrayMethods):
    """An n-d array, its rows divided among the ranks; small ones (up to 64 KiB) are whole on every rank.

    Behaves as NumPy's array: broadcasting, type promotion, reductions, indexing, views that are written. Dtypes: bool,
    integers of 8 to 64 bits with and without sign, float16, float32, float64, complex64, complex128.
    Operations are recorded and run when a value is needed: printing, `float(x)`, `np.asarray(x)`, saving, `gr.wait(x)`.

    >>> import girih as gr
    >>> x = gr.arange(6.0).reshape(3, 2)
    >>> (2 * x + 1).sum(axis=0).tolist()
    [15.0, 21.0]
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """Elements along each axis, over all ranks."""
    @property
    def ndim(self) -> int:
        """Number of axes."""
    @property
    def size(self) -> int:
        """Number of elements, over all ranks."""
    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy's dtype of the elements."""
    @property
    def nbytes(self) -> int:
        """Bytes of all elements, over all ranks."""
    @property
    def T(self) -> Array:
        """The transpose."""
    @property
    def local(self) -> NDArray[Any]:
        """This rank's part, as a read-only NumPy view; the whole of a replicated array. Waits for the value."""
    @property
    def distribution(self) -> str:
        """How the array lies on the ranks, in words.

        >>> import girih as gr
        >>> gr.zeros(3).distribution
        'replicated'
        """
    def redistribute(self, axis: int | None = 0) -> Array:
        """The same values divided among the ranks along `axis`, or, for None, whole on every rank.

        Elementwise operations, reductions and running results of an array stay where it lies. Transposes are free: the
        columns of `x` are the rows of `x.T`. Arrays of at most 64 KiB stay whole on every rank.

        >>> import girih as gr
        >>> x = gr.ones((300, 100)).redistribute(axis=1)
        >>> x.distribution == x.T.distribution.replace("rows", "axis 1")
        True
        """
    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """The whole array as NumPy's, on every rank; collective, and as large as the array."""
    def astype(self, dtype: DTypeLike, *, casting: str = "unsafe", copy: bool = True) -> Array:
        """The same values with another dtype; TypeError if the rule `casting` does not allow it.

        >>> import girih as gr
        >>> gr.asarray([1.9, -1.9]).astype("int8").tolist()
        [1, -1]
        """
    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
    @property
    def real(self) -> Array:
        """The real parts."""
    @property
    def imag(self) -> Array:
        """The imaginary parts; zeros where elements are real."""
    def conj(self) -> Array:
        """The complex conjugates."""
    def conjugate(self) -> Array:
        """The complex conjugates."""
    def reshape(self, *shape: int | Sequence[int]) -> Array:
        """The same elements in row-major order under another shape; one length may be -1."""
    def item(self) -> bool | int | float | complex:
        """The only element, as a Python number; ValueError if there are more or none."""
    def tolist(self) -> Any:
        """The whole array as nested lists, on every rank; collective."""
    def copy(self) -> Array:
        """An array of its own with the same values."""

    def sum(
        self, axis: _Axis = None, dtype: DTypeLike | None = None, out: Array | None = None, keepdims: bool = False,
        initial: Any = None, where: Any = True,
    ) -> Array:  # fmt: skip
        """The sum over all elements, an axis or several; short integers widen to 64 bits."""
    def prod(
        self, axis: _Axis = None, dtype: DTypeLike | None = None, out: Array | None = None, keepdims: bool = False,
        initial: Any = None, where: Any = True,
    ) -> Array:  # fmt: skip
        """The product over all elements, an axis or several; short integers widen to 64 bits."""
    def min(
        self, axis: _Axis = None, out: Array | None = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Array:  # fmt: skip
        """The smallest element; NaN if there is one."""
    def max(
        self, axis: _Axis = None, out: Array | None = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Array:  # fmt: skip
        """The largest element; NaN if there is one."""
    def any(
        self, axis: _Axis = None, out: Array | None = None, keepdims: bool = False, where: Any = True,
    ) -> Array:  # fmt: skip
        """True if any element is nonzero."""
    def all(
        self, axis: _Axis = None, out: Array | None = None, keepdims: bool = False, where: Any = True,
    ) -> Array:  # fmt: skip
        """True if no element is zero."""
    def mean(
        self, axis: _Axis = None, dtype: DTypeLike | None = None, out: Array | None = None, keepdims: bool = False,
        where: Any = True,
    ) -> Array:  # fmt: skip
        """The mean over all elements, an axis or several."""
    def var(
        self, axis: _Axis = None, dtype: DTypeLike | None = None, out: Array | None = None, ddof: float = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: float | None = None,
    ) -> Array:  # fmt: skip
        """The variance over all elements, an axis or several, in two passes; divides by count - ddof."""
    def std(
        self, axis: _Axis = None, dtype: DTypeLike | None = None, out: Array | None = None, ddof: float = 0,
        keepdims: bool = False, *, where: Any = True, mean: Any = None, correction: float | None = None,
    ) -> Array:  # fmt: skip
        """The square root of `var`."""
    def ptp(
        self, axis: _Axis = None, out: Array | None = None, keepdims: bool = False,
    ) -> Array:  # fmt: skip
        """The distance from the least to the greatest element."""
    def argmin(
        self, axis: int | None = None, out: Array | None = None, *, keepdims: bool = False,
    ) -> Array:  # fmt: skip
        """The first place of the least element along an axis, or among all; of NaN if there is one."""
    def argmax(
        self, axis: int | None = None, out: Array | None = None, *, keepdims: bool = False,
    ) -> Array:  # fmt: skip
        """The first place of the greatest element along an axis, or among all; of NaN if there is one."""
    def cumsum(
        self, axis: int | None = None, dtype: DTypeLike | None = None, out: Array | None = None,
    ) -> Array:  # fmt: skip
        """Running sums along an axis, or over all elements in row-major order."""
    def cumprod(
        self, axis: int | None = None, dtype: DTypeLike | None = None, out: Array | None = None,
    ) -> Array:  # fmt: skip
        """Running products along an axis, or over all elements in row-major order."""
    def round(self, decimals: int = 0, out: Array | None = None) -> Array:
        """Rounded to so many decimals, halves to the even neighbour."""
    def clip(
        self, min: Any = None, max: Any = None, out: Array | None = None, **options: Any,
    ) -> Array:  # fmt: skip
        """Elements brought between bounds, of which either may be None."""
    def __getitem__(self, index: _Index, /) -> Array:
        """NumPy's indexing: slices give views, arrays of integers or truth values copies.

        An IndexError is the same on every rank.

        >>> import girih as gr
        >>> x = gr.arange(10)
        >>> x[2:8:3].tolist(), x[[7, -1]].tolist(), x[x > 7].tolist()
        ([2, 5], [7, 9], [8, 9])
        """
    def __setitem__(self, index: _Index, value: _Operand, /) -> None:
        """Writes elements; every view of the same storage sees it. Of duplicates in an index the last value stays.

        >>> import girih as gr
        >>> x = gr.zeros(5)
        >>> x[::2][1:] = 7
        >>> x.tolist()
        [0.0, 0.0, 7.0, 0.0, 7.0]
        """
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Array]: ...
    def __contains__(self, value: _Operand, /) -> bool: ...
    def __format__(self, spec: str, /) -> str: ...
    def __repr__(self) -> str: ...
    def __bool__(self) -> bool: ...
    def __int__(self) -> int: ...
    def __float__(self) -> float: ...
    def __complex__(self) -> complex: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]
    def __index__(self) -> int: ...
    def __str__(self) -> str: ...

def zeros(shape: int | Sequence[int], dtype: DTypeLike | None = None) -> Array:
    """Zeros; float64 unless `dtype` says otherwise.

    >>> import girih as gr
    >>> gr.zeros((2, 3)).shape
    (2, 3)
    """

def ones(shape: int | Sequence[int], dtype: DTypeLike | None = None) -> Array:
    """Ones; float64 unless `dtype` says otherwise."""

def full(shape: int | Sequence[int], fill_value: _Operand, dtype: DTypeLike | None = None) -> Array:
    """One value everywhere, or an array repeated; its own dtype unless `dtype` says otherwise."""

def empty(shape: int | Sequence[int], dtype: DTypeLike | None = None) -> Array:
    """Zeros: unset memory would differ from rank to rank."""

def arange(start: float, stop: float | None = None, step: float | None = None, dtype: DTypeLike | None = None) -> Array:
    """Evenly spaced values from `start` (0 if only one is given) up to, not including, `stop`.

    >>> import girih as gr
    >>> gr.arange(10).sum().item()
    45
    """

def linspace(
    start: float, stop: float, num: int = 50, dtype: DTypeLike | None = None, *, endpoint: bool = True
) -> Array:
    """`num` evenly spaced values from `start` to `stop`, which is the last one if `endpoint`."""

def eye(n: int, m: int | None = None, k: int = 0, dtype: DTypeLike | None = None) -> Array:
    """Ones on diagonal `k`, zeros elsewhere; n×m, float64 unless `dtype` says otherwise."""

def asarray(a: _Operand, dtype: DTypeLike | None = None) -> Array:
    """An array from `a`, the same on every rank; each keeps its part. Sends nothing.

    >>> import girih as gr
    >>> gr.asarray([[1, 2], [3, 4]]).sum(axis=1).tolist()
    [3, 7]
    """

def from_local(part: NDArray[Any], axis: int = 0) -> Array:
    """An array from the ranks' own parts, joined in rank order. Collective: ValueError on every rank if parts differ
    in dtype or in any length but that of `axis`, along which the result is divided among the ranks. What other ranks
    own moves there."""

def rows_of_rank(rows: int, rank: int | None = None) -> tuple[int, int]:
    """The rows, from the first to behind the last, that a rank (this one if none is named) holds of an array with so
    many rows that is divided among the ranks."""

def explain(x: Array, /) -> tuple[list[dict[str, Any]], dict[str, int], str]:
    """The steps of an evaluation, this rank's part as numbers and for Graphviz; `girih.explain` shows them."""

def tiles(x: Array, /) -> list[list[int]]:
    """The places along the divided axis at which each tile of each rank ends."""

def load(file: str | PathLike[str], dtype: DTypeLike | None = None) -> Array:
    """The array in a `.npy` file; each rank reads its own rows. Collective.

    Every rank raises the same error, which names the file: FileNotFoundError, or ValueError for what is no `.npy` of
    a dtype girih has.
    """

def save(file: str | PathLike[str], x: _Operand) -> None:
    """Writes a `.npy` file that NumPy reads; each rank writes its own rows. Collective; OSError on every rank."""

@disjoint_base
class Ufunc:
    """An elementwise function by name; `girih.ufuncs.Ufunc` adds what needs options."""

    def __new__(cls, name: str) -> Self: ...
    def __call__(self, *operands: Any, **options: Any) -> Any:
        """The function of arrays and numbers; with options, `with_options` of the subclass."""
    @property
    def __name__(self) -> str: ...
    @property
    def nin(self) -> int:
        """The number of operands."""
    @property
    def nout(self) -> int:
        """The number of results."""
    @property
    def types(self) -> list[str]:
        """The types for which it is defined, as NumPy writes them."""

def reduce(name: str, x: _Operand, axis: _Axis, keepdims: bool, /) -> Array:
    """The sum, prod, min, max, mean, all or any over all elements, an axis or several."""

def variance(x: _Operand, axis: _Axis, ddof: float, keepdims: bool, /) -> Array:
    """The variance over all elements, an axis or several, in two passes; divides by count - ddof."""

def argument(name: str, x: _Operand, axis: int | None, keepdims: bool, /) -> Array:
    """The first place of the `min` or `max` along an axis, or among all elements."""

def scan(name: str, x: _Operand, axis: int, /) -> Array:
    """Running `sum`, `prod`, `min` or `max` along an axis."""

def where(condition: _Operand, x: _Operand, y: _Operand, /) -> Array:
    """`x` where the condition is true, `y` elsewhere.

    >>> import girih as gr
    >>> x = gr.arange(4)
    >>> gr.where(x < 2, x, -x).tolist()
    [0, 1, -2, -3]
    """

def clip(x: _Operand, low: _Operand | None, high: _Operand | None, /) -> Array:
    """`minimum(maximum(x, low), high)`; None is no bound."""

def matmul(x: Array | NDArray[Any], y: Array | NDArray[Any], /) -> Array:
    """The matrix product; sums run in one order, so the bits do not depend on ranks or threads.

    >>> import girih as gr
    >>> gr.matmul(gr.ones((2, 3)), gr.ones((3, 1))).tolist()
    [[3.0], [3.0]]
    """

