"""What an evaluation would do, before it runs: steps, tasks, messages, memory; as text, in notebooks, as a picture.

>>> import girih as gr
>>> x = gr.arange(100_000.0)
>>> gr.wait(x)
>>> plan = gr.explain(((x - 1) * x).sum())
>>> plan.steps[-1].fused
('subtract', 'multiply')
"""

from __future__ import annotations

import html
import json
import os
import re
from dataclasses import dataclass
from typing import Any

from girih import _native
from girih._native import Array
from girih.files.agreed import everywhere

__all__ = ["Explanation", "Step", "explain"]

_COLUMNS = ("tasks", "messages", "collectives", "bytes_sent", "bytes_held", "depth")
_HEADINGS = ("tasks", "messages", "collectives", "bytes sent", "bytes held", "longest path")
# Operations of one step that are shown by name; of more, the first ones and their number.
_SHOWN = 4


@dataclass(frozen=True)
class Step:
    """One array that is stored, and the operations that run in the same pass over its tiles."""

    operation: str
    fused: tuple[str, ...]
    dtype: str
    shape: tuple[int, ...]
    divided: bool
    inputs: tuple[int, ...]
    arrays: int

    @property
    def reads(self) -> str:
        """What it reads: other steps by number, and how many arrays that are there."""
        parts = [f"step {number}" for number in self.inputs]
        if self.arrays:
            parts.append("an array" if self.arrays == 1 else f"{self.arrays} arrays")
        return ", ".join(parts) or "nothing"


@dataclass(frozen=True)
class Explanation:
    """What an evaluation would do: `steps` on all ranks, `ranks` with the numbers of each rank, `dot` of this one.

    Of a rank: `tasks`; `messages` it sends; `collectives`; `bytes_sent` in both, as `gr.report` counts them;
    `bytes_held` by all blocks the evaluation uses, which is its peak; `depth`, the tasks on the longest path.
    """

    steps: tuple[Step, ...]
    ranks: tuple[dict[str, int], ...]
    dot: str

    def __str__(self) -> str:
        if not self.steps:
            return "nothing to do: the value is there"
        rows = [["step", "computes", "in the same pass", "dtype", "shape", "reads"], *map(list, self._rows())]
        return "\n".join([*_aligned(rows, 1, 6), "", *_aligned([list(row) for row in self._table()], 0, 0)])

    __repr__ = __str__

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = []
        for number, step in enumerate(self.steps):
            fused = ", ".join(step.fused[:_SHOWN])
            if len(step.fused) > _SHOWN:
                fused += f" and {len(step.fused) - _SHOWN} more"
            where = "" if step.divided else " on every rank"
            rows.append((str(number), step.operation, fused, step.dtype, f"{step.shape}{where}", step.reads))
        return rows

    def _table(self) -> list[tuple[str, ...]]:
        rows = [(str(rank), *(f"{row[name]:,}" for name in _COLUMNS)) for rank, row in enumerate(self.ranks)]
        return [("rank", *_HEADINGS), *rows]

    def _repr_html_(self) -> str:
        if not self.steps:
            return f"<p>{self}</p>"
        heading = ("step", "computes", "in the same pass", "dtype", "shape", "reads")
        return _html_table([heading, *self._rows()], "left") + _html_table(self._table(), "right")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a picture of the steps (.png, .svg, .pdf), or this rank's tasks and messages for Graphviz (.dot).

        Raises ValueError for another ending, OSError if the file cannot be written.
        """
        path = os.fspath(path)
        ending = os.path.splitext(path)[1]
        if ending == ".dot":
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.dot)
        elif ending in (".png", ".svg", ".pdf"):
            self._draw(path)
        else:
            raise ValueError(f"path must end in .png, .svg, .pdf or .dot, not {path!r}")

    def _draw(self, path: str) -> None:
        from matplotlib.figure import Figure

        levels: list[int] = []
        for step in self.steps:
            levels.append(1 + max((levels[number] for number in step.inputs), default=-1))
        columns = [levels[:number].count(level) for number, level in enumerate(levels)]
        wide, deep = max(columns, default=0) + 1, max(levels, default=0) + 1
        figure = Figure(figsize=(max(3.2 * wide, 6.4), 0.9 * deep + 0.9))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.6, wide - 0.4), ylim=(deep - 0.4, -1.0))
        axes.axis("off")
        axes.text(-0.5, -0.75, _headline(self.ranks), fontsize=9, va="center")
        for number, step in enumerate(self.steps):
            place = (columns[number], levels[number])
            colour = "#dce8f4" if step.divided else "#f4ecd9"
            text = _label(step)
            box = {"boxstyle": "round", "fc": colour}
            axes.text(*place, text, ha="center", va="center", fontsize=8, bbox=box, zorder=2)
            for earlier in step.inputs:
                start = (columns[earlier], levels[earlier])
                bend = 0.0 if levels[number] == levels[earlier] + 1 else 0.25
                arrow = {"arrowstyle": "->", "shrinkB": 20, "color": "#555555", "connectionstyle": f"arc3,rad={bend}"}
                axes.annotate("", place, start, arrowprops=arrow, zorder=1)
        figure.savefig(path, dpi=150)


def explain(x: Array) -> Explanation:
    """What the evaluation of an array would do on each rank. Collective; nothing is computed.

    What girih computes when it is recorded (sorting, factorisations, exchanges between ranks) has been done already and
    is not among the steps. What would be over before workers could have done it is computed by the calling thread, on
    one rank without a graph. Cost: that of recording the graph, and one small message from each rank.

    >>> import girih as gr
    >>> print(gr.explain(gr.ones(10)))
    nothing to do: the value is there
    """
    if not isinstance(x, Array):
        raise TypeError(f"x must be a girih.Array, not {type(x).__name__}")
    steps, outline, dot = everywhere("explain", lambda: _native.explain(x))
    ranks = tuple(json.loads(row) for row in _native.all_gather_bytes(json.dumps(outline).encode()))
    return Explanation(tuple(map(_step, steps)), ranks, dot)


def _step(told: dict[str, Any]) -> Step:
    """A step as the native module tells it; `binary(add)` is simply add, and a constant is no operation."""
    names = (told["operation"], *(name for name in told["fused"] if name != "fill"))
    operation, *fused = (re.sub(r"^(?:unary|binary)\((\w+)\)$", r"\1", name) for name in names)
    lengths, inputs = tuple(told["shape"]), tuple(told["inputs"])
    return Step(operation, tuple(fused), told["dtype"], lengths, told["divided"], inputs, told["arrays"])


def array_html(x: Array) -> str:
    """An array for notebooks: what it is, and its rows as tiles on ranks. Nothing is computed or sent."""
    rows = [
        ("shape", str(x.shape)),
        ("dtype", str(x.dtype)),
        ("bytes", f"{x.nbytes:,}"),
        ("distribution", x.distribution),
    ]
    left = "style='text-align:left'"
    cells = "".join(f"<tr><th {left}>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
    return f"<div style='display:flex;gap:2em;align-items:center'><table>{cells}</table>{_tiles_svg(x)}</div>"


_SIDE = 160
_COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
_LINE = "stroke='white' stroke-width='0.5'/>"
# Lines of tiles that can still be told apart.
_LINES_MAX = 64


def _tiles_svg(x: Array) -> str:
    """Ranks as bands of colour along the axis that they divide, downwards for rows, tiles as lines in them."""
    tiles = _native.tiles(x)
    total = max((ends[-1] for ends in tiles if ends), default=0)
    if x.distribution == "replicated" or total == 0:
        return ""
    downwards = x.distribution.startswith("rows")
    places = "rows" if downwards else "places"
    parts, begin = [], 0
    for rank, ends in enumerate(tiles):
        if not ends:
            continue
        first, last = _SIDE * begin / total, _SIDE * ends[-1] / total
        colour = _COLOURS[rank % len(_COLOURS)]
        title = f"rank {rank}: {places} {begin} to {ends[-1] - 1}, {len(ends)} tile(s)"
        band = (0.0, first, float(_SIDE), last - first) if downwards else (first, 0.0, last - first, float(_SIDE))
        parts.append(
            "<rect x='{:.1f}' y='{:.1f}' width='{:.1f}' height='{:.1f}' ".format(*band)
            + f"fill='{colour}' stroke='white'><title>{title}</title></rect>"
        )
        if len(ends) <= _LINES_MAX:
            for end in ends[:-1]:
                at = _SIDE * end / total
                line = (0.0, at, float(_SIDE), at) if downwards else (at, 0.0, at, float(_SIDE))
                parts.append("<line x1='{:.1f}' y1='{:.1f}' x2='{:.1f}' y2='{:.1f}' ".format(*line) + _LINE)
        if last - first > 12:
            middle = (first + last) / 2
            x_of, y_of = (_SIDE + 6, middle + 4) if downwards else (first + 2, _SIDE + 12)
            parts.append(f"<text x='{x_of:.1f}' y='{y_of:.1f}' font-size='11'>rank {rank}</text>")
        begin = ends[-1]
    return f"<svg width='{_SIDE + 60}' height='{_SIDE + (0 if downwards else 16)}'>{''.join(parts)}</svg>"


def _aligned(rows: list[list[str]], first: int, last: int) -> list[str]:
    """Rows as lines of columns; those from `first` to before `last` begin, the others end, at one place."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if first <= number < last else text.rjust(width)
            for number, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _html_table(rows: list[tuple[str, ...]], align: str) -> str:
    def line(row: tuple[str, ...], tag: str) -> str:
        cells = (f"<{tag} style='text-align:{align}'>{html.escape(text)}</{tag}>" for text in row)
        return f"<tr>{''.join(cells)}</tr>"

    return f"<table>{line(rows[0], 'th')}{''.join(line(row, 'td') for row in rows[1:])}</table>"


def _label(step: Step) -> str:
    fused = f"{len(step.fused)} more in the same pass\n" if step.fused else ""
    return f"{step.operation}\n{fused}{step.dtype} {step.shape}"


def _headline(ranks: tuple[dict[str, int], ...]) -> str:
    total: dict[str, Any] = {name: sum(row[name] for row in ranks) for name in _COLUMNS}
    held = max(row["bytes_held"] for row in ranks)
    return (
        f"{total['tasks']:,} tasks, {total['messages']:,} messages, {total['bytes_sent']:,} bytes sent by "
        f"{len(ranks)} rank(s); at most {held:,} bytes held by one"
    )
