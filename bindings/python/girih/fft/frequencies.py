"""The frequencies that belong to the elements of a transform, and their order."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from girih import _native
from girih.fft.single import Operand
from girih.products import permuted


def fftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> _native.Array:
    """The frequencies of a transform of length `n` of samples `d` apart.

    >>> import girih as gr
    >>> gr.fft.fftfreq(4).tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    n = _length(n)
    places = _native.arange(n)
    found = _native.where(places < (n + 1) // 2, places, places - n) * (1.0 / (n * d))
    return found if dtype is None else found.astype(dtype)


def rfftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> _native.Array:
    """The frequencies of a transform of `n` real samples `d` apart.

    >>> import girih as gr
    >>> gr.fft.rfftfreq(4).tolist()
    [0.0, 0.25, 0.5]
    """
    n = _length(n)
    found = _native.arange(n // 2 + 1) * (1.0 / (n * d))
    return found if dtype is None else found.astype(dtype)


def fftshift(x: Operand, axes: int | Sequence[int] | None = None) -> _native.Array:
    """Frequency zero brought to the middle.

    >>> import girih as gr
    >>> gr.fft.fftshift([0, 1, 2, -2, -1]).tolist()
    [-2, -1, 0, 1, 2]
    """
    return _rolled(x, axes, lambda length: length // 2)


def ifftshift(x: Operand, axes: int | Sequence[int] | None = None) -> _native.Array:
    """The inverse of `fftshift`.

    >>> import girih as gr
    >>> gr.fft.ifftshift([-2, -1, 0, 1, 2]).tolist()
    [0, 1, 2, -2, -1]
    """
    return _rolled(x, axes, lambda length: -(length // 2))


def _length(n: Any) -> int:
    if not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"n should be a positive integer, not {n!r}")
    return operator.index(n)


def _rolled(x: Operand, axes: int | Sequence[int] | None, distance: Any) -> _native.Array:
    array = _native.asarray(x)
    chosen = range(array.ndim) if axes is None else [axes] if isinstance(axes, int) else axes
    for axis in chosen:
        length = array.shape[axis]
        if length < 2:
            continue
        cut = -distance(length) % length
        order = [axis % array.ndim, *(other for other in range(array.ndim) if other != axis % array.ndim)]
        back = [order.index(place) for place in range(array.ndim)]
        front = permuted(array, order)
        array = permuted(_native.concatenate([front[cut:], front[:cut]]), back)
    return array
