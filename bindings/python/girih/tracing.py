"""Traces: what every thread of every rank did, in one file for Perfetto and for `girih trace`."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import Any, Self

from girih import _native, products


class trace(contextlib.ContextDecorator):
    """Records what runs within it: tasks, steals, messages, collectives and waits of all ranks.

    Rank 0 writes one file in the Chrome trace format when the block ends: open it at https://ui.perfetto.dev, or let
    `girih trace FILE` sum it up. Collective: every rank enters and leaves. The environment variable GIRIH_TRACE=FILE
    records a whole program.

    Only what is computed within the block is in the trace: an expression that is merely recorded there runs when its
    value is needed (`gr.wait(x)`). A block that raises leaves no file.

    Of anything but a path, `gr.trace(a, ...)` is NumPy's: the sum along the diagonal of an array.

    Raises OSError on all ranks if rank 0 cannot write the file, ValueError if a trace is being recorded already.
    Cost: tens of nanoseconds and 24 bytes for each task, about 200 bytes of the file; nothing outside of the block.

    >>> import girih as gr, json, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "sum.json")
    >>> with gr.trace(path):
    ...     total = gr.ones((1000, 100)).sum().item()
    >>> with open(path) as file:
    ...     events = json.load(file)["traceEvents"]
    >>> any(event.get("cat") == "task" for event in events)
    True
    """

    def __new__(cls, path: Any, *axes: Any, **options: Any) -> Any:
        """NumPy's function of the same name for what is no path."""
        if isinstance(path, str | os.PathLike):
            return super().__new__(cls)
        return products.trace(path, *axes, **options)

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def __enter__(self) -> Self:
        _native.begin_trace(self._path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is None:
            _native.end_trace()
        else:
            # The other ranks may not come to the end of theirs.
            _native.discard_trace()
