"""How a rank leaves a job of several ranks: together with the others, or by ending the job.

A rank that fails must not leave the others waiting. Its uncaught exception is printed under the rank's name and the
whole job ends. A rank that fails only because another did (`RankError`) lets that one speak first. A rank that calls
`sys.exit` with a status other than zero ends the job with that status. All other ranks meet in `shut_down`.

Invariant: without a launcher, or in an interactive session, Python's own behaviour is untouched.
Never here: errors inside native calls, which reach the other ranks as `RankError` by themselves.
"""

from __future__ import annotations

import atexit
import os
import socket
import sys
import time
import traceback
from types import TracebackType
from typing import Any, NoReturn

from girih import _native
from girih.errors import DivergenceError, RankError
from girih.launched import rank_and_size

# Time for the rank that failed first to print its traceback and end the job.
_ORIGIN_SECONDS = 5.0
# Time for the launcher to read what this rank printed last: it drops what is still in the pipe when the job ends.
_DRAIN_SECONDS = 0.2
# Time for the launcher to act before this process leaves by itself.
_LAUNCHER_SECONDS = 2.0

_exit_status = 0
_left = False
_process: int | None = None


def install() -> None:
    """Takes the part described above in this process; called by `import girih`, and harmless when called again."""
    global _process
    if _process is not None:
        return
    _process = os.getpid()
    atexit.register(_leave)
    if rank_and_size()[1] == 1:
        return
    previous = sys.excepthook

    def excepthook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        if sys.flags.interactive or hasattr(sys, "ps1"):
            previous(kind, error, where)
        elif isinstance(error, KeyboardInterrupt):
            # The launcher was interrupted too and says so; a traceback from every rank would bury its message.
            end_job(130)
        else:
            _report(previous, kind, error, where)
            end_job(1)

    sys.excepthook = excepthook
    sys.exit = _exit
    for stream in (sys.stdout, sys.stderr):
        # The launcher's pipe would hold lines back, and a rank that is ended loses what it had not written. A whole
        # line is written at once, even where PYTHONUNBUFFERED asks for less: ranks' lines would run into each other.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(line_buffering=True, write_through=False)


def leave_together() -> None:
    """Ends this rank's part in the world; every rank calls it, whatever its exit status will be.

    For errors on which all ranks have agreed: no rank waits any more, so none needs to be ended by force.
    Raises `DivergenceError` if another rank is in the middle of something else.
    """
    global _left
    if not _left:
        _left = True
        _native.shut_down()


def note_exit(status: object) -> None:
    """Remembers the argument of a `SystemExit` that is about to end this process."""
    global _exit_status
    if status is None:
        _exit_status = 0
    else:
        _exit_status = status if isinstance(status, int) else 1


def exit_status() -> int:
    """The status with which this rank is about to leave, as far as it is known."""
    return _exit_status


def end_job(status: int) -> NoReturn:
    """Ends every rank of the job with this exit status, whether MPI has been started or not."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    time.sleep(_DRAIN_SECONDS)
    _native.abort(status)
    _abort_mpi4py(status)
    _abort_by_launcher(status)
    # Open MPI's launcher and srun end the job when one process leaves with a status other than zero.
    os._exit(status)


def _exit(status: Any = None, /) -> NoReturn:
    """`sys.exit` that remembers its argument, which Python does not show to functions run at exit."""
    note_exit(status)
    raise SystemExit(status)


def _leave() -> None:
    if os.getpid() != _process:
        return  # a forked child is no rank
    if _left or not _exit_status:
        # Before mpi4py's own end of MPI: that one runs after all functions of `atexit`.
        try:
            leave_together()
        except (DivergenceError, RankError) as error:
            _report(sys.__excepthook__, type(error), error, None)
            end_job(1)
    elif rank_and_size()[1] > 1:
        rank, size = rank_and_size()
        print(_headline(rank, size, f"left with status {_exit_status}"), file=sys.stderr, flush=True)
        end_job(_exit_status)


def _report(previous: Any, kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if _secondary(error):
        time.sleep(_ORIGIN_SECONDS)
    rank, size = rank_and_size()
    headline = _headline(rank, size, "failed")
    if previous is sys.__excepthook__:
        # One write, so that the lines of two ranks do not mix.
        text = "".join([headline, "\n", *traceback.format_exception(kind, error, where)])
        sys.stderr.write(text)
    else:
        print(headline, file=sys.stderr, flush=True)
        previous(kind, error, where)


def _headline(rank: int, size: int, what: str) -> str:
    return f"girih: rank {rank} of {size} on {socket.gethostname()} {what}; ending the job"


def _secondary(error: BaseException | None) -> bool:
    """True if the error, or one that led to it, says that another rank failed first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, RankError):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _abort_mpi4py(status: int) -> None:
    """Ends the job through an MPI that the program started by itself."""
    mpi = sys.modules.get("mpi4py.MPI")
    if mpi is not None and mpi.Is_initialized() and not mpi.Is_finalized():
        mpi.COMM_WORLD.Abort(status)


def _abort_by_launcher(status: int) -> None:
    """Ends the job through MPICH's launcher, for a rank that fails before MPI was started.

    That launcher ignores the status of such a rank and would wait for the others for ever; the line below is the
    abort request of PMI-1, the protocol that MPICH's own library speaks over this descriptor.
    """
    descriptor = os.environ.get("PMI_FD")
    if descriptor is None:
        return
    try:
        os.write(int(descriptor), f"cmd=abort exitcode={status}\n".encode())
    except (OSError, ValueError):
        return
    time.sleep(_LAUNCHER_SECONDS)
