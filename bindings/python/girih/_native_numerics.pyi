"""The part of the native module that random numbers, linear algebra, transforms and distances stand on.

It is read by tools only: `girih._native` has all of it. The package's modules with NumPy's names call it.
"""

from collections.abc import Sequence
from typing import Any, Self, TypeAlias, final

from numpy.typing import DTypeLike, NDArray

from girih._native import Array

_Operand: TypeAlias = Array | NDArray[Any] | bool | int | float | complex | Sequence[Any]

@final
class Stream:
    """The random numbers of one call of a generator, by key and call number."""

    def __new__(cls, key: tuple[int, int], call: int, /) -> Self: ...
    def draw(self, name: str, values: Sequence[Any], shape: Sequence[int], dtype: DTypeLike, /) -> Array:
        """Numbers of the distribution with NumPy's name; parameters are numbers or arrays."""
    def integers(self, low: _Operand, high: _Operand, shape: Sequence[int], /) -> Array:
        """Whole numbers between two bounds, both included."""
    def permutation(self, numbers: int, /) -> Array:
        """The numbers 0, 1, … in a random order."""
    def permuted(self, x: _Operand, /) -> Array:
        """Each vector along the last axis in a random order of its own."""
    def dirichlet(self, alpha: Sequence[float], shape: Sequence[int], /) -> Array:
        """Vectors of positive numbers whose sum is 1."""
    def multinomial(self, trials: _Operand, probabilities: _Operand, shape: Sequence[int], /) -> Array:
        """How often each outcome comes."""
    def multivariate_hypergeometric(self, colors: Sequence[int], sample: int, shape: Sequence[int], /) -> Array:
        """How many things of each colour are drawn."""
    def categorical(self, sums: Sequence[float], shape: Sequence[int], /) -> Array:
        """Numbers of outcomes, of which the sums of probabilities are given."""
    def bytes(self, length: int, /) -> bytes:
        """Random bytes, the same on every rank."""

def factor(kind: str, x: Array, b: Array | None = None, /) -> Array:
    """What a factorisation leaves of each matrix along the last two axes, packed in one axis. Collective."""

def factor_columns(kind: str, x: Array, b: Array | None = None, /) -> list[Array] | None:
    """The factors of one large matrix, by tasks on blocks of columns; None where `factor` is to be used. Collective."""

def tall_qr(x: Array, /) -> tuple[Array, Array]:
    """The orthogonal factors of a matrix with more rows than columns, whose rows stay where they are. Collective."""

def frame_products(first: Array, next: Array, y: Array, /) -> Array:
    """Element (f, i): the sum over j of c[i + j]·y[j], where c is row f of `first` and then row f of `next`."""

def fourier(kind: str, x: Array, n: int, scale: float, /) -> Array:
    """Transforms of length n along the last of several axes, times `scale`: 'forward', 'real backward', …"""

def twiddled(x: Array, n: int, sign: float, /) -> Array:
    """Element (i, j) of a complex matrix times exp(sign·2πi·i·j / n)."""

def chirp(length: int, n: int, sign: float, /) -> Array:
    """The numbers exp(sign·πi·k² / n)."""

def distances(metric: str, x: Array, y: Array | None, weights: Sequence[float], p: float, /) -> Array:
    """Distances of the rows of `x` to those of `y`, or among themselves in one axis; `y` comes whole to every rank."""

def square_form(x: Array, /) -> Array:
    """A symmetric matrix from its upper half in one axis, or back."""
