"""What users set for a while: `girih.config`.

Never here: what is set before the world starts, by environment variables (`girih info` lists them).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

from girih import _native

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["config"]

Told = Callable[[str, int, int], object]

# Evaluations that are over sooner show no bar.
PATIENCE_SECONDS = 0.5
_NOT_GIVEN: Any = object()


class config(contextlib.ContextDecorator):  # noqa: N801 - a function to its users
    """Settings that hold from now on, or for a `with` block, after which the old ones are back.

    `progress`: True shows a bar on rank 0 for each evaluation of more than half a second, on a terminal or in a
    notebook; a function is told instead, on the rank that calls `config`: what is evaluated, how many of its tasks on
    this rank are done, and of how many; now and then while it runs, and once at its end, but nothing of what the
    calling thread does within a millisecond. It must not use arrays. False shows nothing, as at first.

    Cost: nothing measurable; the function is called up to twenty times a second, and once for each evaluation.

    >>> import girih as gr
    >>> heard = []
    >>> with gr.config(progress=lambda what, done, tasks: heard.append(done == tasks)):
    ...     total = gr.ones((5000, 5000)).sum().item()
    >>> heard[-1]
    True
    """

    def __init__(self, *, progress: bool | Told = _NOT_GIVEN) -> None:
        if progress is not _NOT_GIVEN and not isinstance(progress, bool) and not callable(progress):
            raise TypeError(f"progress must be True, False or a function, not {type(progress).__name__}")
        self._progress = progress
        self._before: list[Any] = []
        self._set()

    def _set(self) -> None:
        if self._progress is _NOT_GIVEN:
            return
        told = Bar() if self._progress is True else self._progress or None
        self._before.append(_native.set_progress(told))

    def __enter__(self) -> Self:
        if not self._before:
            self._set()
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            _native.set_progress(self._before.pop())


class Bar:
    """Shows how far evaluations have come, on rank 0."""

    def __init__(self, console: Console | None = None, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._console = console
        self._patience = patience_seconds
        self._began: float | None = None
        self._shown: Any = None

    def __call__(self, what: str, done: int, tasks: int) -> None:
        """Takes how far an evaluation has come."""
        if done >= tasks:
            self._began = None
            if self._shown is not None:
                self._shown[0].stop()
                self._shown = None
            return
        if self._began is None:
            self._began = time.monotonic()
        if self._shown is None and time.monotonic() - self._began >= self._patience and _native.rank() == 0:
            self._shown = self._show(what, tasks)
        if self._shown is not None:
            bar, number = self._shown
            bar.update(number, completed=done)

    def _show(self, what: str, tasks: int) -> Any:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        console = self._console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        seen = console.is_interactive or console.is_jupyter
        bar = Progress(*columns, console=console, transient=True, disable=not seen)
        bar.start()
        return bar, bar.add_task(what, total=tasks)
