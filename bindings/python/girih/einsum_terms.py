"""Einstein sums: read, ordered by the cost of contractions, and carried out two operands at a time."""

from __future__ import annotations

import string
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from girih import _native
from girih.products import permuted
from girih.writing import written

__all__ = ["einsum", "einsum_path"]


@written
def einsum(*operands: Any, out: Any = None, dtype: DTypeLike | None = None, casting: str = "safe", order: str = "K",
           optimize: Any = "greedy") -> _native.Array:  # fmt: skip
    """Sums of products over named axes, as NumPy's: 'ij,jk->ik', with an ellipsis, or with lists of axes.

    Operands are contracted in pairs, in the order that `einsum_path` finds, each pair as one matrix product (of stacks,
    if axes are kept in both). `casting` and `order` are accepted and have no effect.

    >>> import girih as gr
    >>> gr.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 1]).tolist()
    [3, 7]
    """
    subscripts, arrays = _read(operands)
    terms, result = _named(subscripts, arrays)
    if dtype is not None:
        arrays = [array.astype(dtype) for array in arrays]
    dimensions: dict[str, int] = {}
    for term, array in zip(terms, arrays, strict=True):
        for name, length in zip(term, array.shape, strict=True):
            known = dimensions.get(name, 1)
            if length != known and 1 not in (length, known):
                raise ValueError(
                    f"operands could not be broadcast together: axis {name!r} has lengths {known} and {length}"
                )
            dimensions[name] = max(known, length) if 0 not in (known, length) else 0
    parts = [_simple(array, term, dimensions) for array, term in zip(arrays, terms, strict=True)]
    for step in _steps(terms, result, dimensions, optimize):
        chosen = [parts.pop(place) for place in sorted(step, reverse=True)]
        while len(chosen) > 1:
            x, y = chosen.pop(), chosen.pop()
            needed = set(result).union(*(names for _, names in parts + chosen))
            chosen.append(_pair(x, y, needed))
        parts.extend(chosen)
    array, names = parts[0]
    array, names = _summed(array, names, set(result))
    for place, name in enumerate(result):
        if name not in names:
            array, names = array[..., None], names + name
            assert dimensions[name] == 1 or place >= 0, "an axis of the result comes from an operand"
    array = permuted(array, [names.index(name) for name in result])
    shape = tuple(dimensions[name] for name in result)
    return array if array.shape == shape else _native.full(shape, array)


def einsum_path(*operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """The order of contractions for `einsum`, and a description with its cost, as NumPy's.

    >>> import girih as gr
    >>> gr.einsum_path("ij,jk,kl->il", gr.ones((2, 9)), gr.ones((9, 9)), gr.ones((9, 3)))[0]
    ['einsum_path', (0, 1), (0, 1)]
    """
    subscripts, arrays = _read(operands)
    return np.einsum_path(subscripts, *(_hollow(array.shape) for array in arrays), optimize=optimize)


def _hollow(shape: tuple[int, ...]) -> Any:
    """Something with this shape and no memory."""
    return np.broadcast_to(np.zeros(()), shape)


def _read(operands: tuple[Any, ...]) -> tuple[str, list[_native.Array]]:
    """The subscripts as a string, and the operands."""
    if not operands:
        raise ValueError("must specify the einstein sum subscripts string and at least one operand")
    if isinstance(operands[0], str):
        return operands[0].replace(" ", ""), [_native.asarray(operand) for operand in operands[1:]]
    pairs, rest = len(operands) // 2, len(operands) % 2
    arrays = [_native.asarray(operand) for operand in operands[0 : 2 * pairs : 2]]

    def spelled(axes: Any) -> str:
        return "".join("..." if axis is Ellipsis else string.ascii_letters[axis] for axis in axes)

    text = ",".join(spelled(axes) for axes in operands[1 : 2 * pairs : 2])
    return (f"{text}->{spelled(operands[-1])}" if rest else text), arrays


def _named(subscripts: str, arrays: list[_native.Array]) -> tuple[list[str], str]:
    """A name for every axis of each operand, and for those of the result; an ellipsis becomes names, too."""
    left, arrow, result = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(arrays):
        raise ValueError(
            "more operands provided to einstein sum function than specified in the subscripts string"
            if len(arrays) > len(terms)
            else "fewer operands provided to einstein sum function than specified in the subscripts string"
        )
    used = set(subscripts)
    spare = [name for name in string.ascii_letters if name not in used]
    for name in used - set(string.ascii_letters) - set(".,->"):
        raise ValueError(f"invalid subscript {name!r} in einstein sum subscripts string, subscripts must be letters")
    longest = 0
    for place, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        plain = term.replace("...", "")
        if "." in plain:
            raise ValueError("einstein sum subscripts string contains a '.' that is not part of an ellipsis ('...')")
        more = array.ndim - len(plain)
        if more < 0 or (more > 0 and "..." not in term):
            raise ValueError(
                f"operand has more dimensions than subscripts given in einstein sum: operand {place} has {array.ndim}"
                if more > 0
                else f"einstein sum subscripts string contains too many subscripts for operand {place}"
            )
        longest = max(longest, more if "..." in term else 0)
    names = "".join(spare[:longest])
    for place, (term, array) in enumerate(zip(terms, arrays, strict=True)):
        more = array.ndim - len(term.replace("...", ""))
        terms[place] = term.replace("...", names[longest - more :])
    if not arrow:
        once = "".join(terms)
        result = names + "".join(sorted(name for name in set(once) - set(names) if once.count(name) == 1))
    else:
        if longest and "..." not in result:
            raise ValueError("output has ellipsis axes of the operands left out: name '...' in the output")
        result = result.replace("...", names)
        for name in result:
            if result.count(name) > 1:
                raise ValueError(f"einstein sum subscripts string includes output subscript {name!r} multiple times")
            if not any(name in term for term in terms):
                raise ValueError(
                    f"einstein sum subscripts string included output subscript {name!r} that appears in no operand"
                )
    return terms, result


def _steps(terms: list[str], result: str, dimensions: dict[str, int], optimize: Any) -> list[tuple[int, ...]]:
    """Which operands are contracted, step by step; what comes out goes behind the others."""
    if len(terms) == 1:
        return []
    if len(terms) == 2:
        return [(0, 1)]
    hollow = [_hollow(tuple(dimensions[name] for name in term)) for term in terms]
    chosen = "greedy" if optimize in (False, True, None) else optimize
    return np.einsum_path(",".join(terms) + "->" + result, *hollow, optimize=chosen)[0][1:]


def _simple(array: _native.Array, term: str, dimensions: dict[str, int]) -> tuple[_native.Array, str]:
    """An operand whose names are all different, without the axes of length 1 that others have longer."""
    names = term
    for name in dict.fromkeys(term):
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            array = _native.diagonal(array, 0, first, second)
            names = names[:first] + names[first + 1 : second] + names[second + 1 :] + name
    kept = [place for place, name in enumerate(names) if array.shape[place] == dimensions[name]]
    if len(kept) < len(names):
        array = array.reshape(*[array.shape[place] for place in kept])
        names = "".join(names[place] for place in kept)
    return array, names


def _summed(array: _native.Array, names: str, needed: set[str]) -> tuple[_native.Array, str]:
    """The axes that nobody needs summed."""
    axes = tuple(place for place, name in enumerate(names) if name not in needed)
    if not axes:
        return array, names
    return array.sum(axis=axes).astype(array.dtype), "".join(name for name in names if name in needed)


def _pair(
    left: tuple[_native.Array, str], right: tuple[_native.Array, str], needed: set[str]
) -> tuple[_native.Array, str]:
    """Two operands contracted over what nobody else needs."""
    (x, p), (y, q) = _summed(*left, needed | set(right[1])), _summed(*right, needed | set(left[1]))
    both = [name for name in p if name in q]
    batch = "".join(name for name in both if name in needed)
    inner = "".join(name for name in both if name not in needed)
    rows = "".join(name for name in p if name not in q)
    columns = "".join(name for name in q if name not in p)
    if not inner:
        return _spread_product(x, p, y, q, batch + rows + columns), batch + rows + columns
    lengths = dict(zip(p + q, x.shape + y.shape, strict=True))

    def count(names: str) -> int:
        return int(np.prod([lengths[name] for name in names], dtype=np.int64))

    def arranged(array: _native.Array, names: str, groups: tuple[str, ...]) -> _native.Array:
        array = permuted(array, [names.index(name) for name in "".join(groups)])
        return array.reshape(*[lengths[name] for name in groups[0]], *[count(group) for group in groups[1:]])

    if not batch and p == inner + rows:
        # Summed axes in front: the product across rows moves no rows.
        flat = x.reshape(count(inner), count(rows)).T
    else:
        flat = arranged(x, p, (batch, rows, inner))
    product = _native.matmul(flat, arranged(y, q, (batch, inner, columns)))
    names = batch + rows + columns
    return product.reshape(*[lengths[name] for name in names]), names


def _spread_product(x: _native.Array, p: str, y: _native.Array, q: str, names: str) -> _native.Array:
    """Products element by element, of axes with these names."""
    sides = []
    for array, own in ((x, p), (y, q)):
        present = [name for name in names if name in own]
        array = permuted(array, [own.index(name) for name in present])
        lengths = dict(zip(present, array.shape, strict=True))
        sides.append(array.reshape(*[lengths.get(name, 1) for name in names]))
    return sides[0] * sides[1]
