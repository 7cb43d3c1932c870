"""Transforms along several axes, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from girih import _native
from girih.fft.single import Operand, fft, ifft, irfft, rfft
from girih.writing import written

Lengths = Sequence[int | None] | None
Axes = Sequence[int] | None


@written
def fftn(a: Operand, s: Lengths = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> _native.Array:
    """The transform along several axes, or all.

    >>> import girih as gr
    >>> gr.fft.fftn(gr.ones((2, 2))).real.tolist()
    [[4.0, 0.0], [0.0, 0.0]]
    """
    x = _native.asarray(a)
    for axis, n in reversed(_plan(x, s, axes)):
        x = fft(x, n, axis, norm)
    return x


@written
def ifftn(a: Operand, s: Lengths = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> _native.Array:
    """The inverse of `fftn`.

    >>> import girih as gr
    >>> gr.fft.ifftn(gr.ones((2, 2))).real.tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    x = _native.asarray(a)
    for axis, n in reversed(_plan(x, s, axes)):
        x = ifft(x, n, axis, norm)
    return x


@written
def rfftn(a: Operand, s: Lengths = None, axes: Axes = None, norm: str | None = None, out: Any = None) -> _native.Array:
    """The transform of real numbers along several axes, or all; the last one is halved.

    >>> import girih as gr
    >>> gr.fft.rfftn(gr.ones((2, 4))).shape
    (2, 3)
    """
    x = _native.asarray(a)
    plan = _plan(x, s, axes)
    last, n = plan[-1]
    x = rfft(x, n, last, norm)
    for axis, n in reversed(plan[:-1]):
        x = fft(x, n, axis, norm)
    return x


@written
def irfftn(
    a: Operand, s: Lengths = None, axes: Axes = None, norm: str | None = None, out: Any = None
) -> _native.Array:
    """The inverse of `rfftn`.

    >>> import girih as gr
    >>> gr.fft.irfftn(gr.fft.rfftn(gr.ones((2, 4)))).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """
    x = _native.asarray(a)
    plan = _plan(x, s, axes)
    for axis, n in plan[:-1]:
        x = ifft(x, n, axis, norm)
    last, _ = plan[-1]
    length = None if s is None else s[-1]
    if length == -1:
        length = 2 * (x.shape[last] - 1)
    return irfft(x, length, last, norm)


@written
def fft2(
    a: Operand, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None
) -> _native.Array:
    """The transform along two axes.

    >>> import girih as gr
    >>> gr.fft.fft2(gr.ones((2, 2))).real.tolist()
    [[4.0, 0.0], [0.0, 0.0]]
    """
    return fftn(a, s, axes, norm)


@written
def ifft2(
    a: Operand, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None
) -> _native.Array:
    """The inverse of `fft2`.

    >>> import girih as gr
    >>> gr.fft.ifft2(gr.ones((2, 2))).real.tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    return ifftn(a, s, axes, norm)


@written
def rfft2(
    a: Operand, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None
) -> _native.Array:
    """The transform of real numbers along two axes.

    >>> import girih as gr
    >>> gr.fft.rfft2(gr.ones((2, 4))).shape
    (2, 3)
    """
    return rfftn(a, s, axes, norm)


@written
def irfft2(
    a: Operand, s: Lengths = None, axes: Axes = (-2, -1), norm: str | None = None, out: Any = None
) -> _native.Array:
    """The inverse of `rfft2`.

    >>> import girih as gr
    >>> gr.fft.irfft2(gr.fft.rfft2(gr.ones((2, 4)))).shape
    (2, 4)
    """
    return irfftn(a, s, axes, norm)


def _plan(x: _native.Array, s: Lengths, axes: Axes) -> list[tuple[int, int | None]]:
    """Each axis with its length."""
    if s is None:
        chosen = list(range(x.ndim)) if axes is None else list(axes)
        return [(axis, None) for axis in chosen]
    if axes is None:
        raise ValueError("axes must be given with s")
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return [(axis, None if n == -1 else n) for axis, n in zip(axes, s, strict=True)]
