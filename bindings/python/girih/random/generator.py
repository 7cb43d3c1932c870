"""The class `Generator`: NumPy's methods on arrays whose numbers do not depend on ranks, threads or tiles."""

from __future__ import annotations

import operator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from girih import _native
from girih.random.arguments import Parameter, Size, shape_of
from girih.random.bits import Philox, Seed, SeedSequence
from girih.random.discrete import Discrete


class Generator(Discrete):
    """Random arrays. Make one with `default_rng(seed)`, with the same seed on every rank, and call it alike on all.

    Each number is a function of the seed, the call and its place in the array: the same at every number of ranks,
    threads and tiles, and drawn without a message. NumPy's generators draw other numbers from the same seed.

    >>> import girih as gr
    >>> rng = gr.random.default_rng(2024)
    >>> x = rng.normal(size=(10_000, 3))
    >>> x.shape
    (10000, 3)
    """

    def __init__(self, bit_generator: Philox) -> None:
        if not isinstance(bit_generator, Philox):
            raise TypeError("bit_generator must be gr.random.Philox: NumPy's have a state that cannot be divided")
        self._bits = bit_generator

    @property
    def bit_generator(self) -> Philox:
        """The source of random words, with the state."""
        return self._bits

    def spawn(self, n_children: int) -> list[Self]:
        """So many generators whose numbers have nothing to do with these or with each other's.

        >>> import girih as gr
        >>> len(gr.random.default_rng(7).spawn(3))
        3
        """
        return [type(self)(bits) for bits in self._bits.spawn(n_children)]

    def __repr__(self) -> str:
        return "girih.random.Generator(Philox)"

    def __reduce__(self) -> Any:
        raise TypeError("a girih generator cannot be pickled: keep its bit_generator.state, and set it again")

    def bytes(self, length: int) -> bytes:
        """Random bytes, the same on every rank.

        >>> import girih as gr
        >>> len(gr.random.default_rng(7).bytes(10))
        10
        """
        return bytes(self._bits.next_call().bytes(operator.index(length)))

    def dirichlet(self, alpha: ArrayLike, size: Size = None) -> Any:
        """Vectors of positive numbers whose sum is 1; one parameter for each.

        >>> import girih as gr
        >>> gr.random.default_rng(7).dirichlet([1.0, 2.0, 3.0], size=4).shape
        (4, 3)
        """
        parameters = np.asarray(alpha, dtype=np.float64)
        if parameters.ndim != 1 or (parameters < 0).any() or np.isnan(parameters).any():
            raise ValueError("alpha < 0")
        shape = () if size is None else shape_of(size)
        return self._bits.next_call().dirichlet(parameters.tolist(), [*shape, len(parameters)])

    def multivariate_normal(
        self,
        mean: ArrayLike,
        cov: ArrayLike,
        size: Size = None,
        check_valid: str = "warn",
        tol: float = 1e-8,
        *,
        method: str = "svd",
    ) -> Any:
        """Normal vectors with this mean and covariance; the factor of `cov` is found by `method` on every rank.

        >>> import girih as gr
        >>> gr.random.default_rng(7).multivariate_normal([0, 1], [[2, 1], [1, 2]], size=5).shape
        (5, 2)
        """
        from girih.random.covariance import factor

        centre = np.asarray(mean, dtype=np.float64)
        if centre.ndim != 1:
            raise ValueError("mean must be 1 dimensional")
        spread = factor(np.asarray(cov, dtype=np.float64), len(centre), check_valid, tol, method)
        shape = () if size is None else shape_of(size)
        drawn = self.standard_normal((int(np.prod(shape)), len(centre)))
        return (drawn @ spread + centre).reshape(*shape, len(centre))

    def choice(
        self,
        a: int | Parameter,
        size: Size = None,
        replace: bool = True,
        p: Any = None,
        axis: int = 0,
        shuffle: bool = True,
    ) -> Any:
        """Things of `a` along an axis (or of `range(a)`), with or without return; `p` are their probabilities.

        `shuffle` is accepted and has no effect: what is drawn without return comes in a random order.

        >>> import girih as gr
        >>> sorted(gr.random.default_rng(7).choice(5, size=5, replace=False).tolist())
        [0, 1, 2, 3, 4]
        """
        things = None if np.ndim(a) == 0 else _native.asarray(a)
        axis = 0 if things is None else axis % things.ndim
        count = operator.index(a) if things is None else things.shape[axis]  # type: ignore[arg-type]
        shape = () if size is None else shape_of(size)
        wanted = int(np.prod(shape))
        if count <= 0 and wanted > 0:
            raise ValueError("a cannot be empty unless no samples are taken")
        if not replace and wanted > count:
            raise ValueError("Cannot take a larger sample than population when replace is False")
        weights = None if p is None else _probabilities(p, count, wanted if not replace else 0)
        if replace and weights is None:
            index = self.integers(0, count, size=shape) if wanted else _native.zeros(shape, np.int64)
        elif replace:
            sums = np.cumsum(_probabilities(p, count, 0))
            index = self._bits.next_call().categorical((sums / sums[-1]).tolist(), list(shape))
        elif weights is None:
            index = self._bits.next_call().permutation(count)[:wanted].reshape(*shape)
        else:
            # The first arrivals of exponential clocks, which run at these rates, are such a sample in such an order.
            with np.errstate(divide="ignore"):
                arrivals = np.asarray(self.standard_exponential(count)) / weights
            index = _native.asarray(np.argsort(arrivals, kind="stable")[:wanted].reshape(shape))
        if things is None:
            return index.item() if size is None else index
        taken = things[_along(axis, index)]
        return taken.item() if size is None and taken.ndim == 0 else taken

    def permutation(self, x: int | Parameter, axis: int = 0) -> Any:
        """The numbers below `x`, or the slices of an array along an axis, in a random order.

        Cost: the numbers are drawn where they are needed; of an array, the rows that change their rank travel.

        >>> import girih as gr
        >>> sorted(gr.random.default_rng(7).permutation(4).tolist())
        [0, 1, 2, 3]
        """
        if np.ndim(x) == 0:
            return self._bits.next_call().permutation(operator.index(x))  # type: ignore[arg-type]
        things = _native.asarray(x)
        axis = axis % things.ndim
        order = self._bits.next_call().permutation(things.shape[axis])
        return things[_along(axis, order)]

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Brings the slices of an array along an axis, or a list's elements, into a random order, in place.

        >>> import girih as gr
        >>> cards = [1, 2, 3]
        >>> gr.random.default_rng(7).shuffle(cards)
        >>> sorted(cards)
        [1, 2, 3]
        """
        if isinstance(x, _native.Array | np.ndarray):
            order = self.permutation(x.shape[axis])
            index = np.asarray(order) if isinstance(x, np.ndarray) else order
            target: Any = x
            target[...] = x[_along(axis % x.ndim, index)]
            return
        order = np.asarray(self.permutation(len(x)))
        x[:] = [x[place] for place in order]

    def permuted(self, x: Parameter, axis: int | None = None, out: Any = None) -> Any:
        """Each vector along an axis in a random order of its own; without an axis all elements in one.

        >>> import girih as gr
        >>> gr.random.default_rng(7).permuted(gr.arange(6).reshape(2, 3), axis=1).sum(axis=1).tolist()
        [3, 12]
        """
        if out is not None:
            if not isinstance(out, _native.Array):
                raise TypeError(f"out must be a girih.Array, not {type(out).__name__}")
            if out.shape != np.shape(x):
                raise ValueError("out must have the same shape as x")
            out[...] = self.permuted(x, axis)
            return out
        things = _native.asarray(x)
        if axis is None:
            return self.permutation(things.reshape(-1)).reshape(*things.shape)
        last = list(range(things.ndim))
        last.append(last.pop(axis))
        back = [last.index(place) for place in range(things.ndim)]
        moved = things if last == sorted(last) else _native.transpose(things, last)
        drawn = self._bits.next_call().permuted(moved)
        return drawn if last == sorted(last) else _native.transpose(drawn, back)


def _along(axis: int, index: Any) -> Any:
    """The index that takes slices along an axis."""
    return (slice(None),) * axis + (index,)


def _probabilities(p: Any, count: int, needed: int) -> np.ndarray:
    """Probabilities in range; `needed` of them must not be 0."""
    weights = np.asarray(p, dtype=np.float64)
    if weights.shape != (count,):
        raise ValueError("a and p must have same size")
    if np.isnan(weights).any():
        raise ValueError("Probabilities contain NaN")
    if (weights < 0).any():
        raise ValueError("Probabilities are not non-negative")
    if abs(weights.sum() - 1.0) > np.sqrt(np.finfo(np.float64).eps):
        raise ValueError("Probabilities do not sum to 1")
    if np.count_nonzero(weights) < needed:
        raise ValueError("Fewer non-zero entries in p than size")
    return weights


def default_rng(seed: Seed | Generator | Philox = None) -> Generator:
    """A generator from a seed: None (rank 0's entropy), a whole number or several, a `SeedSequence`, or a generator.

    >>> import girih as gr
    >>> float(gr.random.default_rng(5).random()) == float(gr.random.default_rng(5).random())
    True
    """
    if isinstance(seed, Generator):
        return seed
    if isinstance(seed, Philox):
        return Generator(seed)
    if isinstance(seed, np.random.BitGenerator | np.random.Generator | np.random.RandomState):
        raise TypeError("seed must be a number, a SeedSequence or a girih generator: NumPy's cannot be divided")
    if seed is not None and not isinstance(seed, SeedSequence):
        SeedSequence(seed)
    return Generator(Philox(seed))
