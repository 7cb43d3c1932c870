"""`girih kmeans`: clusters the rows of a file and writes centres, labels and a picture.

Rank 0 alone prints and draws. Errors in files and arguments are found before the first iteration, alike on all ranks.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import girih as gr
from girih import _native, failure
from girih.cli import points as points_of
from girih.cli.mistake import Mistake, agree
from girih.cli.run import run_on_ranks
from girih.cli.units import bytes_text
from girih.launched import rank_and_size

_TRAFFIC = ("messages", "collectives", "bytes")
# Points in the picture of data that is no image.
_SAMPLE = 5000


def cluster_file(chosen: argparse.Namespace) -> int:
    """Runs the whole subcommand; starts the ranks first if `-n` asks for several."""
    if chosen.ranks is not None and rank_and_size()[1] == 1:
        return run_on_ranks(chosen, _arguments(chosen))
    out = Path(chosen.out)
    points = points_of.read(chosen.file, chosen.dtype)
    if chosen.k > points.rows.shape[0]:
        raise Mistake(f"-k {chosen.k} is more than the {points.rows.shape[0]} points in {chosen.file}")
    agree(lambda: out.mkdir(parents=True, exist_ok=True) if _native.rank() == 0 else None)
    watch = Watch(chosen.max_iter)
    model = gr.cluster.KMeans(
        n_clusters=chosen.k, init=chosen.init, n_init=1, max_iter=chosen.max_iter, tol=chosen.tol,
        random_state=chosen.seed,
    )  # fmt: skip
    try:
        with watch:
            model.fit(points.rows, callback=watch.iteration)
    except ValueError as error:
        # Raised alike on every rank: NaN or infinities in the points.
        raise Mistake(f"{chosen.file}: {error}") from None
    written = _write(chosen, points, model, out)
    sent = watch.sent_per_iteration()
    if _native.rank() == 0:
        _print_result(chosen, points, model, watch, sent, written)
    failure.leave_together()
    return 0


class Watch:
    """Looks at a fit from outside: its progress bar on rank 0, the time and the traffic of its iterations."""

    def __init__(self, iterations_max: int) -> None:
        self.times: list[float] = []
        self.started = 0.0
        self._traffic: list[list[int]] = []
        self._progress = Progress(
            BarColumn(bar_width=16), TextColumn("{task.fields[state]}"), TimeElapsedColumn(),
            console=Console(stderr=not sys.stdout.isatty()), disable=gr.rank() != 0,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=iterations_max, state="seeding")

    def __enter__(self) -> Watch:
        self._progress.start()
        self.started = time.perf_counter()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            # The error's line is all that stays on the screen.
            self._progress.live.transient = True
            self._progress.live.stop()
            return
        # Converged before the last allowed iteration: the bar is full all the same.
        self._progress.update(self._task, total=len(self.times), completed=len(self.times))
        self._progress.stop()

    def iteration(self, iteration: int, inertia: float, shift: float, changed: int) -> None:
        """The fit's callback: notes time and traffic, moves the bar."""
        self.times.append(time.perf_counter())
        rows = gr.report().values()
        self._traffic = [*self._traffic[:1], [sum(row[what] for row in rows) for what in _TRAFFIC]]
        state = f"iteration {iteration}  shift {shift:.1e}  changed {changed}  inertia {inertia:.6g}"
        self._progress.update(self._task, completed=len(self.times), state=state)

    def seconds_per_iteration(self) -> float | None:
        """The median over all iterations but the first, whose start cannot be seen; None if there is no other."""
        return float(np.median(np.diff(self.times))) if len(self.times) > 1 else None

    def seeding_seconds(self) -> float | None:
        """From the start to the first iteration's, taken to be as long as the others."""
        each = self.seconds_per_iteration()
        return None if each is None else max(self.times[0] - self.started - each, 0.0)

    def sent_per_iteration(self) -> dict[str, float] | None:
        """What one iteration sends: messages and bytes of all ranks together, collectives in number. Collective."""
        steps = len(self.times) - 1
        first, last = (self._traffic[0], self._traffic[-1]) if steps > 0 else ([], [])
        own = [after - before for before, after in zip(first, last, strict=True)]
        parts = [json.loads(part) for part in _native.all_gather_bytes(json.dumps(own).encode())]
        if steps < 1:
            return None
        total = {what: sum(part[index] for part in parts) / steps for index, what in enumerate(_TRAFFIC)}
        # Every rank takes part in, and counts, each of them.
        total["collectives"] /= len(parts)
        return total


def _arguments(chosen: argparse.Namespace) -> list[str]:
    """The command line for a rank: what was chosen, without the launch options."""
    return [
        "kmeans", chosen.file, "-k", str(chosen.k), "--out", chosen.out, "--init", chosen.init,
        "--seed", str(chosen.seed), "--max-iter", str(chosen.max_iter), "--tol", repr(chosen.tol),
        "--dtype", chosen.dtype, "--picture" if chosen.picture else "--no-picture",
    ]  # fmt: skip


def _write(chosen: argparse.Namespace, points: points_of.Points, model: Any, out: Path) -> list[Path]:
    """Writes the results and returns the files. Collective."""
    files = [out / "centers.npy", out / "labels.npy"]
    centers = np.asarray(model.cluster_centers_)
    labels = gr.asarray(model.labels_)
    agree(lambda: np.save(files[0], centers) if _native.rank() == 0 else None)
    try:
        gr.save(files[1], labels)
    except OSError as error:
        raise Mistake(str(error)) from None
    if not chosen.picture:
        return files
    picture = out / "picture.png"
    if points.image is not None:
        colours = centers[np.asarray(labels)].reshape(points.image.shape)
        agree(lambda: _draw("image", picture, points.image, colours, chosen.k))
    else:
        n = points.rows.shape[0]
        step = max(1, n // _SAMPLE)
        sample, sample_labels = np.asarray(points.rows[::step]), np.asarray(labels[::step])
        agree(lambda: _draw("data", picture, sample, sample_labels, centers, n))
    return [*files, picture]


def _draw(kind: str, path: Path, *what: Any) -> None:
    if _native.rank() != 0:
        return
    from girih.cli import pictures

    draw: Callable[..., None] = pictures.side_by_side if kind == "image" else pictures.scatter
    draw(*what, str(path))


def _print_result(
    chosen: argparse.Namespace,
    points: points_of.Points,
    model: Any,
    watch: Watch,
    sent: dict[str, float] | None,
    written: list[Path],
) -> None:
    table = Table(title=f"girih kmeans {chosen.file}", title_justify="left", show_header=False)
    table.add_column()
    table.add_column(justify="right")
    n, d = points.rows.shape
    each, seeding = watch.seconds_per_iteration(), watch.seeding_seconds()
    table.add_row("points × coordinates", f"{n} × {d}, {chosen.dtype}")
    table.add_row("clusters", str(chosen.k))
    table.add_row("ranks × threads", f"{gr.size()} × {_native.world_info()['threads']}")
    table.add_row("seeding", "-" if seeding is None else f"{seeding:.3f} s")
    table.add_row("iterations", str(model.n_iter_))
    table.add_row("time per iteration", "-" if each is None else f"{1e3 * each:.3f} ms")
    table.add_row("inertia", f"{model.inertia_:.10g}")
    if sent is not None:
        table.add_row("sent per iteration", traffic_text(sent))
    console = Console()
    console.print(table)
    for path in written:
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)


def traffic_text(sent: dict[str, float]) -> str:
    """Messages, collectives and bytes in words.

    >>> traffic_text({"messages": 0.0, "collectives": 1.0, "bytes": 2048.0})
    '1 collective, 2 KiB'
    """
    counted = [what for what in ("messages", "collectives") if sent[what]]
    parts = [f"{sent[what]:.3g} {what if sent[what] != 1 else what[:-1]}" for what in counted]
    return ", ".join([*parts, bytes_text(round(sent["bytes"]))]) if parts else "nothing"
