"""What `girih run` starts on every rank: the script or module as Python would run it, with an eye on how it ends.

Python's own start would do, but for errors before the script imports girih: MPICH's launcher ignores the exit status
of a rank that has not started MPI, and the other ranks would wait for ever.
"""

from __future__ import annotations

import os
import runpy
import sys
from types import TracebackType

from girih import failure


def main() -> None:
    """Runs `[-m] target argument...` from the command line as `__main__`."""
    failure.install()
    arguments = sys.argv[1:]
    module = arguments[0] == "-m"
    sys.argv = arguments[1:] if module else arguments
    target = sys.argv[0]
    try:
        if module:
            runpy.run_module(target, run_name="__main__", alter_sys=True)
        else:
            if not sys.flags.safe_path:
                sys.path[0] = os.path.dirname(os.path.abspath(target))
            runpy.run_path(target, run_name="__main__")
    except SystemExit as leaving:
        failure.note_exit(leaving.code)
        raise
    except BaseException as error:
        where = _from_target(error.__traceback__)
        sys.excepthook(type(error), error.with_traceback(where), where)
        failure.note_exit(1)
        raise SystemExit(1) from None


def _from_target(where: TracebackType | None) -> TracebackType | None:
    """The traceback from the target's first line on: the frames before it are ours and `runpy`'s."""
    rest = where
    while rest is not None and rest.tb_frame.f_code.co_filename in _OWN_FILES:
        rest = rest.tb_next
    return rest


_OWN_FILES = (__file__, runpy.__file__, "<frozen runpy>")

if __name__ == "__main__":
    main()
