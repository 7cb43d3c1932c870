"""A trace as a picture: what every worker ran, and how many of them ran anything."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot
from matplotlib.patches import Patch

from girih.cli.timeline import Span, Timeline, utilisation

_DPI = 150
_STRETCHES = 300
# So many labels have a colour of their own; the rest share one.
_LABELS = 9
_OTHERS = "0.55"
_MESSAGE = "#b0202a"
# Spans that lie closer than this share of the whole are drawn as one: nobody could see the gap.
_JOIN = 1 / 4000


def draw(timeline: Timeline, path: str) -> None:
    """One line for each worker and one for the messages of each rank, above the share of workers that are busy."""
    totals: dict[str, float] = defaultdict(float)
    for part in timeline.ranks:
        for task in (task for worker in part.workers for task in worker.tasks):
            totals[task.name] += task.end - task.begin
    common = sorted(totals, key=lambda label: -totals[label])[:_LABELS]
    palette = pyplot.get_cmap("tab10")
    colours = {label: palette(place) for place, label in enumerate(common)}
    scale, unit = _scale(timeline.end - timeline.begin)

    lines = sum(len(part.workers) + 1 for part in timeline.ranks)
    heights = [max(1.6, 0.26 * lines), 1.6]
    figure, (upper, lower) = pyplot.subplots(
        2, 1, figsize=(12, sum(heights) + 1.2), height_ratios=heights, sharex=True, layout="constrained"
    )
    _draw_workers(upper, timeline, colours, scale)
    edges = np.linspace(timeline.begin, timeline.end, _STRETCHES + 1)
    for part in timeline.ranks:
        lower.step(edges[:-1] * scale, 100 * utilisation(part, edges), where="post", lw=1, label=f"rank {part.rank}")
    lower.set_ylim(0, 105)
    lower.set_xlim(timeline.begin * scale, timeline.end * scale)
    lower.set_ylabel("workers busy, %")
    lower.set_xlabel(unit)
    if 1 < len(timeline.ranks) <= _LABELS:
        lower.legend(loc="upper right", fontsize=7, ncols=len(timeline.ranks))
    handles = [Patch(color=colour, label=label) for label, colour in colours.items()]
    if len(totals) > len(common):
        handles.append(Patch(color=_OTHERS, label=f"{len(totals) - len(common)} more labels"))
    if any(part.messages for part in timeline.ranks):
        handles.append(Patch(color=_MESSAGE, label="messages under way"))
    if handles:
        upper.legend(handles=handles, loc="lower left", bbox_to_anchor=(0, 1), fontsize=7, ncols=6, frameon=False)
    figure.savefig(path, dpi=_DPI)
    pyplot.close(figure)


def _draw_workers(axes: Any, timeline: Timeline, colours: dict[str, Any], scale: float) -> None:
    gap = (timeline.end - timeline.begin) * _JOIN
    ticks: list[str] = []
    for part in timeline.ranks:
        for number, worker in enumerate(part.workers):
            rows: dict[Any, list[Span]] = defaultdict(list)
            for task in worker.tasks:
                rows[colours.get(task.name, _OTHERS)].append(task)
            for colour, tasks in rows.items():
                bars = [(begin * scale, length * scale) for begin, length in _joined(tasks, gap)]
                axes.broken_barh(bars, (len(ticks) - 0.4, 0.8), facecolors=[colour], linewidth=0)
            ticks.append(f"r{part.rank} w{number}")
        if part.messages:
            bars = [(begin * scale, length * scale) for begin, length in _joined(part.messages, gap)]
            axes.broken_barh(bars, (len(ticks) - 0.2, 0.4), facecolors=[_MESSAGE], linewidth=0)
            ticks.append(f"r{part.rank} messages")
    axes.set_yticks(range(len(ticks)), ticks, fontsize=7)
    axes.set_ylim(len(ticks) - 0.4, -0.6)


def _joined(spans: Any, gap: float) -> list[tuple[float, float]]:
    """Begins and lengths, with spans that nearly touch drawn as one."""
    joined: list[list[float]] = []
    for begin, end in sorted((span.begin, span.end) for span in spans):
        if joined and begin - joined[-1][1] < gap:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    return [(begin, end - begin) for begin, end in joined]


def _scale(seconds: float) -> tuple[float, str]:
    """What seconds are multiplied by for the axis, and its name."""
    exponent = 0 if seconds <= 0 else math.floor(math.log10(seconds))
    if exponent >= 0:
        return 1.0, "seconds"
    return (1e3, "milliseconds") if exponent >= -3 else (1e6, "microseconds")
