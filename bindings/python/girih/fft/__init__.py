"""Fourier transforms with NumPy's names, arguments and types.

Along any axis but the first a transform is made where its elements lie. Along the first axis, which is divided among
the ranks, elements travel once there and once back in one exchange each, and no rank ever has all of them. A long
single transform is made of short ones in three exchanges; if its length has no two factors of like size, by a
convolution of twice to four times the length.

>>> import girih as gr
>>> gr.fft.rfft([1.0, 0.0, 0.0, 0.0]).real.tolist()
[1.0, 1.0, 1.0]
"""

from __future__ import annotations

from typing import Any

from girih.names import missing
from girih.fft.frequencies import fftfreq, fftshift, ifftshift, rfftfreq
from girih.fft.several import fft2, fftn, ifft2, ifftn, irfft2, irfftn, rfft2, rfftn
from girih.fft.single import fft, hfft, ifft, ihfft, irfft, rfft

__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft", "irfft",
    "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing("girih.fft", name)
