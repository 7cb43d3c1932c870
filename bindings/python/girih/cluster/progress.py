"""What a user sees of a fit while it goes on: lines as scikit-learn prints them, or a bar. Rank 0 alone shows it."""

from __future__ import annotations

import math
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from girih import _native

Callback = Callable[[int, float, float, int], "bool | None"]


def say(text: str) -> None:
    """Prints on rank 0."""
    if _native.rank() == 0:
        print(text, flush=True)


class Lines:
    """A line for each iteration, then one that says why it was the last."""

    def __init__(self, callback: Callback | None) -> None:
        self._callback = callback
        self._last = (0, math.inf, 0)

    def iteration(self, iteration: int, inertia: float, shift: float, changed: int) -> bool | None:
        """The fit's callback."""
        self._last = (iteration, shift, changed)
        say(f"Iteration {iteration}, inertia {inertia}.")
        return self._callback(iteration, inertia, shift, changed) if self._callback else None

    def end(self, tolerance: float) -> None:
        """Says why the fit ended, if it converged."""
        iteration, shift, changed = self._last
        if changed == 0:
            say(f"Converged at iteration {iteration}: strict convergence.")
        elif shift <= tolerance:
            say(f"Converged at iteration {iteration}: center shift {shift} within tolerance {tolerance}.")


class Bar:
    """A bar on stderr, full after `iterations_max` iterations."""

    def __init__(self, iterations_max: int, callback: Callback | None) -> None:
        self._callback = callback
        self._progress = Progress(
            BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.fields[state]}"), TimeElapsedColumn(),
            console=Console(stderr=True), disable=_native.rank() != 0,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=iterations_max, state="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def iteration(self, iteration: int, inertia: float, shift: float, changed: int) -> bool | None:
        """The fit's callback."""
        state = f"inertia {inertia:.6g}, {changed} labels changed"
        self._progress.update(self._task, completed=iteration, state=state)
        return self._callback(iteration, inertia, shift, changed) if self._callback else None
