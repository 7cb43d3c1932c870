"""Ctrl-C in a cell of IPython, and so of a notebook, ends the tasks that the cell has submitted.

Whoever waits in `future.result()` is interrupted there, and the executor hears nothing of it; the shell does.
Invariant: tasks of earlier cells go on.
Never here: prompts of plain Python, which tell nobody of an interrupt.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

from girih.futures.dispatch import Dispatcher

# The last task that each executor had accepted before the cell.
_marks: weakref.WeakKeyDictionary[Dispatcher, int] = weakref.WeakKeyDictionary()
_shells: weakref.WeakSet[Any] = weakref.WeakSet()


def watch() -> None:
    """Listens to the shell that runs this program, if there is one. An executor asks for it when it starts."""
    library = sys.modules.get("IPython")
    shell = None if library is None else library.get_ipython()
    if shell is not None and shell not in _shells:
        _shells.add(shell)
        shell.events.register("pre_run_cell", _begin)
        shell.events.register("post_run_cell", _end)


def _begin(*_: Any) -> None:
    for dispatcher in list(Dispatcher.alive):
        _marks[dispatcher] = dispatcher.accepted


def _end(cell: Any) -> None:
    if not isinstance(cell.error_in_exec, KeyboardInterrupt):
        return
    for dispatcher in list(Dispatcher.alive):
        mark = _marks.get(dispatcher, 0)
        # The last ones first, or the end of one would begin the next.
        for task in reversed(dispatcher.unfinished()):
            # Tasks of tasks end with the task that waits for them.
            if task.number > mark and task.sink is None and not task.future.cancel():
                dispatcher.stop_running(task.future)
