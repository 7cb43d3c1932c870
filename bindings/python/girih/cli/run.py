"""`girih run`: starts the ranks of a job, passes everything through, and leaves nothing behind.

The job runs in a session of its own, so that a Ctrl-C reaches it once and through us. Input, output and exit status
are the job's. Whatever ends the job (its end, a signal, the timeout), its last process is gone when we return.
Never here: what a rank does when it fails; `girih.failure` has that.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from girih.cli.launcher import find
from girih.cli.mistake import Mistake
from girih.cli.roll import Roll

_TIMED_OUT = 124
# After a first, polite signal: time until SIGTERM, and from there until SIGKILL.
_POLITE_SECONDS = 4.0
_TERM_SECONDS = 3.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# What ends a rank without a word of its own. Launchers report signal n as n or as 128 + n.
_DEADLY = (signal.SIGILL, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def run(chosen: argparse.Namespace) -> int:
    """Runs the script or module on the chosen number of ranks and returns the job's exit status."""
    target = list(chosen.target)
    if chosen.module:
        target.insert(0, "-m")
    elif not Path(target[0]).exists():
        raise Mistake(f"{target[0]}: no such file")
    environment = {**os.environ, **_terminal()}
    if chosen.threads:
        environment["GIRIH_NUM_THREADS"] = str(chosen.threads)
    if chosen.ranks == 1:
        return supervise([sys.executable, *target], environment, chosen.timeout)
    launcher = find(chosen.launcher)
    environment.update(launcher.environment())
    own = launcher.command(chosen.ranks, chosen.threads, environment)
    return supervise([*own, sys.executable, "-m", "girih.cli.rank", *target], environment, chosen.timeout)


def run_on_ranks(chosen: argparse.Namespace, arguments: Iterable[str]) -> int:
    """Runs another subcommand of `girih` on the chosen number of ranks."""
    chosen.module = True
    chosen.target = ["girih", *arguments]
    return run(chosen)


def supervise(command: list[str], environment: dict[str, str], timeout: float | None) -> int:
    """Runs the command to its end and returns its status: 128 + n for signal n, 124 for the timeout."""
    _control(_PR_SET_CHILD_SUBREAPER, 1)
    ending = _Ending(timeout)
    previous = {number: signal.signal(number, ending.received) for number in _SIGNALS}
    try:
        process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_end_with_parent())
        with Roll() as roll:
            status = ending.wait_for(process, roll)
        if ending.status is None and (status in _DEADLY or status - 128 in _DEADLY):
            roll.name_the_first()
    finally:
        _kill_all(_descendants())
        for number, handler in previous.items():
            signal.signal(number, handler)
    return status


class _Ending:
    """Who asked for the job's end, and how far that has got.

    Invariant: a job that was asked to end is gone after `_POLITE_SECONDS + _TERM_SECONDS`.
    """

    def __init__(self, timeout: float | None) -> None:
        self.process: subprocess.Popen[bytes] | None = None
        self.status: int | None = None
        self.waiting: list[int] = []
        self.deadline = None if timeout is None else time.monotonic() + timeout
        self.timeout = timeout
        self.steps: list[Callable[[], None]] = [self._time_out]

    def received(self, number: int, _frame: FrameType | None) -> None:
        """Notes a signal; the loop passes it on, since the job may not have started yet."""
        self.waiting.append(number)

    def wait_for(self, process: subprocess.Popen[bytes], roll: Roll) -> int:
        """The job's exit status, or that of what ended it."""
        self.process = process
        while True:
            while self.waiting:
                self._pass_on(self.waiting.pop(0))
            if self.deadline is not None and time.monotonic() >= self.deadline and self.steps:
                self.steps.pop(0)()
            roll.call(_descendants)
            try:
                status = process.wait(timeout=0.1)
            except subprocess.TimeoutExpired:
                continue
            if self.status is not None:
                return self.status
            return status if status >= 0 else 128 - status

    def _pass_on(self, number: int) -> None:
        first = self.status is None
        self.status = 128 + number if first else self.status
        self._send(number)
        if first:
            self._escalate()

    def _time_out(self) -> None:
        print(f"girih run: the job did not end within {self.timeout:g} s; ending it", file=sys.stderr, flush=True)
        self.status = _TIMED_OUT
        self._send(signal.SIGTERM)
        self._escalate()

    def _escalate(self) -> None:
        def terminate() -> None:
            self._send(signal.SIGTERM)
            self.deadline = time.monotonic() + _TERM_SECONDS

        def kill() -> None:
            self._send(signal.SIGKILL)
            _kill_all(_descendants())

        self.deadline = time.monotonic() + _POLITE_SECONDS
        self.steps = [terminate, kill]

    def _send(self, number: int) -> None:
        if self.process is not None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass


def _terminal() -> dict[str, str]:
    """Tells the ranks, which write into a pipe, whether their text ends on a terminal; rich reads these."""
    interactive = "1" if sys.stdout.isatty() else "0"
    settings = {"TTY_COMPATIBLE": interactive, "TTY_INTERACTIVE": interactive}
    if sys.stdout.isatty():
        settings["COLUMNS"] = str(shutil.get_terminal_size().columns)
    return {name: os.environ.get(name, value) for name, value in settings.items()}


def _descendants() -> list[int]:
    """All processes below this one, those first that are nearest; none where there is no /proc."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            # After the name, which may hold spaces and brackets: state, then the parent.
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.parent.name))
    found: list[int] = []
    open_ends = [os.getpid()]
    while open_ends:
        below = children.get(open_ends.pop(0), [])
        found += below
        open_ends += below
    return found


def _kill_all(processes: list[int]) -> None:
    for process in processes:
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _end_with_parent() -> Callable[[], None]:
    """For the child before it becomes the launcher: the system ends it when this process dies, even by SIGKILL."""
    parent = os.getpid()

    def prepare() -> None:
        _control(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(143)

    return prepare


def _control(option: int, value: int) -> None:
    """Linux's `prctl`; nothing elsewhere."""
    if _LIBC is not None:
        _LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0)


# Loaded here, not between fork and exec, where the loader's locks may be held.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
