"""Python functions that are called for each element, on the rank that has it.

Invariant: a result never depends on how many ranks there are, if the function does not.
Never here: how NumPy calls a function for each element of one rank's rows; `numpy.vectorize` does.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from girih import _native
from girih._native import Array, asarray
from girih.files.agreed import everywhere
from girih.files.rows import own_rows

__all__ = ["vectorize"]

_NOT_GIVEN: Any = object()


class vectorize:  # noqa: N801 - NumPy's name
    """A Python function as one of arrays, with NumPy's broadcasting; each rank calls it for the rows that it has.

    `otypes`: dtypes of the results, as a string of characters or a list; without, the function is called once more, on
    every rank, with the first elements, to learn them. `excluded`: places and names of arguments that are handed on as
    they are. `cache`: the result of that first call is used again. `signature`: lengths of the axes that each call
    takes and gives, as `"(n),(n)->()"`; the axes before them are those that are looped over. `doc`: its docstring.

    For convenience, as NumPy's: it is a loop in Python. Rows are divided among ranks; what is broadcast along the first
    axis is brought to all of them.

    Raises `ValueError` for arrays without elements unless `otypes` is given; what the function raises on one rank, on
    all of them.

    >>> import girih as gr
    >>> bounded = gr.vectorize(lambda x, low: max(x, low), otypes=[float])
    >>> bounded(gr.arange(4.0), 1.5).tolist()
    [1.5, 1.5, 2.0, 3.0]
    """

    def __init__(
        self,
        pyfunc: Callable[..., Any] = _NOT_GIVEN,
        otypes: str | Iterable[Any] | None = None,
        doc: str | None = None,
        excluded: Iterable[int | str] | None = None,
        cache: bool = False,
        signature: str | None = None,
    ) -> None:
        self.otypes = None if otypes is None else _characters(otypes)
        self.excluded = set() if excluded is None else set(excluded)
        self.cache = cache
        self.signature = signature
        self._cores = None if signature is None else _core_axes(signature)
        self._doc = doc
        self.pyfunc = pyfunc
        if pyfunc is not _NOT_GIVEN:
            self._take(pyfunc)

    def _take(self, pyfunc: Callable[..., Any]) -> None:
        if not callable(pyfunc):
            raise TypeError("When used as a decorator, only accepts a callable.")
        functools.update_wrapper(self, pyfunc)
        self.pyfunc = pyfunc
        if self._doc is not None:
            self.__doc__ = self._doc

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function of each element of the broadcast arguments: an array, or a tuple of arrays."""
        if self.pyfunc is _NOT_GIVEN:
            self._take(*args)
            return self
        names: list[int | str] = [place for place in range(len(args)) if place not in self.excluded]
        names += [name for name in kwargs if name not in self.excluded]
        arrays = [asarray(kwargs[name] if isinstance(name, str) else args[name]) for name in names]

        def call(*elements: Any) -> Any:
            places, keywords = list(args), dict(kwargs)
            for name, element in zip(names, elements, strict=True):
                if isinstance(name, str):
                    keywords[name] = element
                else:
                    places[name] = element
            return self.pyfunc(*places, **keywords)

        return self._over(call, arrays)

    def _over(self, call: Callable[..., Any], arrays: list[Array]) -> Any:
        if not arrays:
            return call()
        cores = [0] * len(arrays) if self._cores is None else self._cores
        if len(cores) != len(arrays):
            raise TypeError(f"wrong number of positional arguments: expected {len(cores)}, got {len(arrays)}")
        for number, (array, core) in enumerate(zip(arrays, cores, strict=True)):
            if array.ndim < core:
                raise ValueError(f"argument {number} has {array.ndim} axes; {self.signature} takes {core} of it")
        loop = np.broadcast_shapes(*[x.shape[: x.ndim - core] for x, core in zip(arrays, cores, strict=True)])
        if 0 in loop and self.otypes is None:
            raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")
        first = None if 0 in loop else self._first(call, arrays, cores, loop)
        if not loop:
            assert first is not None, "one call has a result"
            found = [asarray(np.asarray(one, kind)) for one, kind in zip(first, self._kinds(first), strict=True)]
            return found[0] if len(found) == 1 else tuple(found)
        return self._by_rows(call, arrays, cores, loop, first)

    def _first(self, call: Any, arrays: list[Array], cores: list[int], loop: tuple[int, ...]) -> tuple[Any, ...] | None:
        """The results for the first elements, or nothing if they are not needed."""
        if loop and self.otypes is not None and self.signature is None and not self.cache:
            return None
        elements = []
        for array, core in zip(arrays, cores, strict=True):
            one = np.asarray(array[(0,) * (array.ndim - core)])
            elements.append(one if core else one.item())
        result = everywhere(self._label(), lambda: call(*elements))
        return result if isinstance(result, tuple) else (result,)

    def _kinds(self, first: tuple[Any, ...] | None) -> list[np.dtype[Any]]:
        if self.otypes is not None:
            return [np.dtype(one) for one in self.otypes]
        assert first is not None, "without otypes there is a first result"
        return [_held(np.asarray(one).dtype) for one in first]

    def _by_rows(self, call: Any, arrays: Any, cores: Any, loop: tuple[int, ...], first: Any) -> Any:
        begin, end = _native.rows_of_rank(loop[0])
        mine = [
            own_rows(array)[2] if array.ndim - core == len(loop) and array.shape[0] == loop[0] else np.asarray(array)
            for array, core in zip(arrays, cores, strict=True)
        ]
        kinds = self._kinds(first)
        shapes = [np.shape(one) for one in first] if first and self._cores is not None else [()] * len(kinds)
        known = [first] if first and self.cache and begin == 0 else []

        def next_call(*elements: Any) -> Any:
            if known:
                result = known.pop()
                return result if len(result) > 1 else result[0]
            return call(*elements)

        def work() -> list[Any]:
            if begin == end or 0 in loop:
                rows = (end - begin, *loop[1:])
                return [np.empty(rows + shape, kind) for shape, kind in zip(shapes, kinds, strict=True)]
            characters = "".join([kind.char for kind in kinds])
            found = np.vectorize(next_call, otypes=characters, signature=self.signature)(*mine)
            return list(found) if isinstance(found, tuple) else [found]

        parts = everywhere(self._label(), work)
        results = [_native.from_local(part) for part in parts]
        return results[0] if len(results) == 1 else tuple(results)

    def _label(self) -> str:
        return f"vectorize of {getattr(self.pyfunc, '__qualname__', type(self.pyfunc).__qualname__)}"


def _characters(otypes: str | Iterable[Any]) -> str:
    """One character for each result's dtype."""
    return "".join([_held(np.dtype(one)).char for one in otypes])


def _held(kind: np.dtype[Any]) -> np.dtype[Any]:
    if kind.kind not in "biufc":
        raise TypeError(f"otypes: girih's arrays hold numbers and truth values, not {kind}")
    return kind


def _core_axes(signature: str) -> list[int]:
    """How many axes of each argument one call takes."""
    if re.fullmatch(r"\s*(\([\w\s,]*\)\s*,?\s*)+->\s*(\([\w\s,]*\)\s*,?\s*)+", signature) is None:
        raise ValueError(f"not a valid gufunc signature: {signature}")
    given = signature.split("->")[0]
    return [len(re.findall(r"\w+", one)) for one in re.findall(r"\(([^)]*)\)", given)]
