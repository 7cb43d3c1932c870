"""Which rank of a job on this node was the first to end, for jobs that end badly.

A launcher may say no more than a process number. A rank that is killed cannot speak, and the others are ended by the
launcher at once; so every rank is watched by a descriptor that tells of its end at the moment it comes.
Never here: ranks of other nodes, which the launcher alone can see.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from girih.launched import rank_and_size

# So often a job is searched for ranks that have started, in calls that come ten times a second.
_CALLS = 50
# The kernel's PF_EXITING.
_EXITING = 4


class Roll:
    """The ranks of a job on this node, and which ended first."""

    def __init__(self) -> None:
        self._ranks: dict[int, tuple[int, int]] = {}  # rank and process, by descriptor
        self._seen: set[int] = set()
        self._first: list[tuple[int, int]] = []
        self._calls = 0
        self._poll = select.poll()
        self._thread: threading.Thread | None = None
        self._wake = os.pipe() if hasattr(os, "pidfd_open") else None

    def __enter__(self) -> Roll:
        if self._wake:
            self._poll.register(self._wake[0], select.POLLIN)
            self._thread = threading.Thread(target=self._watch, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._wake and self._thread:
            os.write(self._wake[1], b"x")
            self._thread.join()
            for descriptor in [*self._ranks, *self._wake]:
                os.close(descriptor)

    def call(self, processes: Callable[[], list[int]]) -> None:
        """Looks for ranks among these processes, as long as a job may still be starting."""
        self._calls += 1
        if self._wake is None or self._calls > _CALLS:
            return
        for process in processes():
            rank = _rank_of(process) if process not in self._seen else None
            if rank is None:
                continue
            self._seen.add(process)
            try:
                descriptor = os.pidfd_open(process)
            except OSError:
                continue
            self._ranks[descriptor] = rank, process
            self._poll.register(descriptor, select.POLLIN)
            os.write(self._wake[1], b".")

    def name_the_first(self) -> None:
        """Says which rank ended first, if that was seen."""
        if self._first:
            names = " or ".join(f"rank {rank} (process {process})" for rank, process in sorted(self._first))
            print(f"girih run: {names} was the first to end", file=sys.stderr, flush=True)

    def _watch(self) -> None:
        assert self._wake is not None
        while not self._first:
            ready = [descriptor for descriptor, _ in self._poll.poll()]
            ended = [self._ranks[descriptor] for descriptor in ready if descriptor != self._wake[0]]
            if ended:
                # A rank whose threads wait for a core on their way out is told of later than those that the launcher
                # ended because of it.
                leaving = [one for one in list(self._ranks.values()) if one not in ended and _is_leaving(one[1])]
                self._first = ended + leaving
            if self._wake[0] in ready and b"x" in os.read(self._wake[0], 4096):
                return


def _is_leaving(process: int) -> bool:
    """Whether a process has begun to end."""
    try:
        state, flags = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:7:6]
    except OSError:
        return True
    return state in "ZX" or bool(int(flags) & _EXITING)


def _rank_of(process: int) -> int | None:
    """The rank that a process is; none if it is a launcher's own, or has not become Python yet."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if b"girih.cli.rank" not in words or words[0] != os.fsencode(sys.executable):
            return None
        lines = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    settings = (line.decode(errors="replace").partition("=") for line in lines)
    rank, size = rank_and_size({name: value for name, _, value in settings})
    return rank if size > 1 else None
