"""Pictures by matplotlib without a display: the machine of `girih info`, the result of `girih kmeans`.

Called on one rank only; all data are NumPy arrays that are already here.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402
from matplotlib.colors import to_rgb  # noqa: E402
from matplotlib.patches import FancyBboxPatch, Rectangle  # noqa: E402

from girih.cli.seats import RANK_COLOURS, Host, Seat  # noqa: E402
from girih.cli.units import bytes_text  # noqa: E402
from girih.machine import DomainInfo  # noqa: E402

_DPI = 150
_CORES_PER_LINE = 8
# In the picture's own unit, the side of a core.
_GAP = 0.15
_MARGIN = 0.35
_TITLE = 0.45


def draw_hosts(hosts: list[Host], path: str) -> None:
    """Ranks × NUMA domains × cores: a row for each package, a box for each domain, a square for each core."""
    rows = [(host, package, boxes) for host in hosts for package, boxes in _packages(host).items()]
    columns = max(len(boxes) for _, _, boxes in rows)
    most = max(len(cores) for _, _, boxes in rows for _, cores in boxes)
    wide, deep = min(most, _CORES_PER_LINE), math.ceil(most / _CORES_PER_LINE)
    box_width = max(wide * (1 + _GAP) - _GAP + 2 * _MARGIN, 2.6)
    box_height = deep * (1 + _GAP) - _GAP + _MARGIN + _TITLE
    row_height = box_height + _TITLE + _MARGIN / 2
    width = max(columns * (box_width + _MARGIN) + _MARGIN, 5.2)
    height = len(rows) * row_height + 0.7
    figure, axes = pyplot.subplots(figsize=(width, height))
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.axis("off")
    for row, (host, package, boxes) in enumerate(rows):
        top = 0.2 + row * row_height
        axes.text(_MARGIN, top + 0.2, f"host {host.name}, package {package}", fontsize=10, weight="bold", va="center")
        for column, (domain, cores) in enumerate(boxes):
            left = _MARGIN + column * (box_width + _MARGIN)
            _box(axes, left, top + _TITLE, box_width, box_height)
            title = f"NUMA domain {domain['os_index']}, {bytes_text(domain['bytes'])}"
            axes.text(left + _MARGIN, top + _TITLE + 0.25, title, fontsize=8, va="center")
            for index, core in enumerate(cores):
                x = left + _MARGIN + (index % _CORES_PER_LINE) * (1 + _GAP)
                y = top + 2 * _TITLE + (index // _CORES_PER_LINE) * (1 + _GAP)
                _core(axes, x, y, core)
    legend = "square: core;  bar in it: hardware thread;  r, colour: rank;  w: worker;  c, pale: comm thread"
    axes.text(_MARGIN, height - 0.25, legend, fontsize=7, color="0.35", va="center")
    figure.savefig(path, dpi=_DPI, bbox_inches="tight")
    pyplot.close(figure)


def side_by_side(original: NDArray[Any], quantised: NDArray[Any], colours: int, path: str) -> None:
    """Two images of values in 0…1, the original on the left; pixels are kept one to one."""
    height, width = original.shape[:2]
    gap = max(width // 40, 4)
    header = 46
    size = ((2 * width + gap) / _DPI, (height + header) / _DPI)
    figure = pyplot.figure(figsize=size, dpi=_DPI, facecolor="white")
    distinct = len(np.unique(np.round(original.reshape(-1, 3) * 255).astype(np.uint8), axis=0))
    titles = (f"original, {distinct} colours", f"{colours} colours")
    for column, (image, title) in enumerate(zip((original, quantised), titles, strict=True)):
        left = column * (width + gap) / (2 * width + gap)
        place = (left, 0.0, width / (2 * width + gap), height / (height + header))
        axes = figure.add_axes(place)
        axes.imshow(np.clip(image, 0.0, 1.0), interpolation="nearest")
        axes.axis("off")
        axes.set_title(title, fontsize=9, pad=4)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)


def scatter(sample: NDArray[Any], labels: NDArray[Any], centers: NDArray[Any], of: int, path: str) -> None:
    """The sample on its first two principal components, coloured by cluster, with the centres as crosses."""
    mean = sample.mean(axis=0)
    _, spread, directions = np.linalg.svd(sample - mean, full_matrices=False)
    plane = directions[:2]
    if len(plane) == 1:
        # Points on a line, or a single point: the other coordinate is nothing.
        plane = np.vstack([plane, np.zeros_like(plane)])
    points, crosses = (sample - mean) @ plane.T, (centers - mean) @ plane.T
    total = float((spread**2).sum())
    shares = [float(value) ** 2 / total if total > 0 else 0.0 for value in [*spread[:2], 0.0][:2]]
    figure, axes = pyplot.subplots(figsize=(7.5, 6), dpi=_DPI, layout="constrained")
    colours = pyplot.get_cmap("turbo")(np.linspace(0.05, 0.95, len(centers)))
    axes.scatter(*points.T, c=colours[labels], s=max(3.0, 40.0 / math.sqrt(max(len(points), 1) / 50)), lw=0, alpha=0.6)
    axes.scatter(*crosses.T, marker="x", c="black", s=42, lw=1.6, label="centres")
    axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second ({shares[1]:.0%})")
    axes.set_title(f"{len(centers)} clusters; {len(points)} of {of} points", fontsize=10)
    axes.legend(loc="best", fontsize=8)
    figure.savefig(path, bbox_inches="tight")
    pyplot.close(figure)


def _box(axes: Any, left: float, top: float, width: float, height: float) -> None:
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(
        FancyBboxPatch((left, top), width, height, boxstyle=style, facecolor="0.96", edgecolor="0.55", linewidth=1)
    )


def _core(axes: Any, x: float, y: float, seats: list[Seat]) -> None:
    """A square with one bar for each hardware thread; a bar is divided among those who may run there."""
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor="white", edgecolor="0.4", linewidth=0.8))
    height = 1 / len(seats)
    for row, seat in enumerate(seats):
        top = y + row * height
        width = 1 / max(len(seat.occupants), 1)
        between = "\n" if width < 1 and height == 1 else " "
        for column, who in enumerate(seat.occupants):
            left = x + column * width
            colour = RANK_COLOURS[who.rank % len(RANK_COLOURS)]
            comm = who.worker is None
            face, edge = ((*to_rgb(colour), 0.25), colour) if comm else (colour, "white")
            axes.add_patch(Rectangle((left, top), width, height, facecolor=face, edgecolor=edge, linewidth=0.8))
            label = f"r{who.rank}{between}{'c' if comm else f'w{who.worker}'}"
            ink = "0.15" if comm else "white"
            size = 7 if width * len(label) <= 6 or between == "\n" else 5
            axes.text(left + width / 2, top + height / 2, label, fontsize=size, color=ink, ha="center", va="center")
        if not seat.occupants:
            axes.text(x + 0.5, top + height / 2, str(seat.unit), fontsize=7, color="0.6", ha="center", va="center")


def _packages(host: Host) -> dict[int, list[tuple[DomainInfo, list[list[Seat]]]]]:
    """The host's domains, each with its cores, by package."""
    packages: dict[int, list[tuple[DomainInfo, list[list[Seat]]]]] = {}
    for domain, cores in zip(host.machine["domains"], host.seats, strict=True):
        packages.setdefault(domain["package"], []).append((domain, cores))
    return packages
