"""The worker processes of one rank: started clean, pinned, watched, replaced.

Workers are started by `posix_spawn` or `vfork`, never by a fork that goes on in Python, so it does not matter what
threads and what MPI this process has. All of them read one queue of tasks, a socket from which the kernel gives each
message to exactly one reader: the next task starts on whichever worker is free first, and a worker that is killed takes
nothing with it but what it had begun.
Invariant: a member's death is told to the receiver after everything that the member had sent.
Never here: futures, pickles of tasks.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from girih.futures import cores, wire
from girih.futures.arena import Arena, Layout, new_file
from girih.futures.setup import Setup

# More workers than cores appear only in place of those that wait for tasks of their own.
SLOTS = 512
# Room for the messages of workers and rank; the system may allow less.
SOCKET_BYTES = 4 << 20
# Beside two for each worker: for results that outlive theirs, and for workers in place of those that wait.
SLICES_MORE = 126
# Shared memory is made ready this gently: what the system does for it should not be felt.
WARM_NICENESS = 10
WARM_PAUSE_SECONDS = 0.02
# How long a worker may take to leave by itself at the end.
LEAVE_SECONDS = 5.0
# What a worker runs: this package's folder without the package itself, whose start would cost ten times as much.
_PROGRAM = """
import sys, types
from importlib.util import spec_from_file_location
folder = sys.argv[1]
package = types.ModuleType("girih")
package.__path__ = [folder]
package.__spec__ = spec_from_file_location("girih", folder + "/__init__.py", submodule_search_locations=[folder])
package.__file__ = folder + "/__init__.py"
def load(name):
    if name.startswith("__"):
        raise AttributeError(name)
    del package.__getattr__
    package.__spec__.loader.exec_module(package)
    return getattr(package, name)
package.__getattr__ = load
futures = types.ModuleType("girih.futures")
futures.__path__ = [folder + "/futures"]
futures.__spec__ = spec_from_file_location("girih.futures", folder + "/futures/__init__.py",
    submodule_search_locations=[folder + "/futures"])
futures.__file__ = folder + "/futures/__init__.py"
def load_futures(name):
    if name.startswith("__") and name != "__all__":
        raise AttributeError(name)
    del futures.__getattr__
    futures.__spec__.loader.exec_module(futures)
    return getattr(futures, name)
futures.__getattr__ = load_futures
sys.modules.update({"girih": package, "girih.futures": futures})
package.futures = futures
from girih.futures import worker
worker.main(sys.argv[2:])
"""


class Settings(NamedTuple):
    """What every worker of a crew is started with."""

    workers: int
    threads: int | None  # for BLAS and OpenMP in each worker; `None`: from the cores it owns
    environment: dict[str, str]
    setup: Setup
    where: str  # what tracebacks call this rank

    def portable(self) -> tuple[int, int | None, dict[str, str], bytes | None, int | None]:
        """For another rank, which opens it by `opened`. Raises what pickling raises."""
        setup = self.setup
        return self.workers, self.threads, self.environment, setup.pickled(), setup.tasks_max

    @staticmethod
    def opened(portable: tuple[int, int | None, dict[str, str], bytes | None, int | None], where: str) -> Settings:
        """The settings that another rank made portable."""
        workers, threads, environment, pickled, tasks_max = portable
        return Settings(workers, threads, environment, Setup.given(pickled, tasks_max), where)


class Member:
    """One worker process."""

    def __init__(
        self, place: tuple[int, int], process: subprocess.Popen[bytes], gate: int, lifeline: int, replies: int
    ) -> None:
        self.slot, self.slice = place
        self.process = process
        self.watch = os.pidfd_open(process.pid)
        self.gate = gate
        self.lifeline = lifeline
        self.replies = socket.socket(fileno=replies)
        self.ready = False
        self.parked = False
        self.dead = False
        self.limits: list[tuple[str, int]] = []  # the thread pools that were loaded there, and their sizes
        self.excuse: BaseException | None = None  # why it was killed by us: a timeout or a cancellation

    def close(self) -> None:
        """Gives the files back."""
        for file in (self.watch, self.gate, self.lifeline):
            os.close(file)
        self.replies.close()


class Crew:
    """The workers of this rank, and the sockets and the arena that they share."""

    def __init__(self, settings: Settings) -> None:
        # Workers, which import this package too, have no need of the native module.
        from girih import _native

        self.settings = settings
        self._given = settings.setup.pickled()
        self.layout = Layout(2 * settings.workers + SLICES_MORE)
        self._file = new_file(self.layout)
        self.arena = Arena(self._file, self.layout.total_bytes, self.layout.start(0), self.layout.start(1), 0)
        self._tasks, self._tasks_there = _native.Port.pair(wire.MESSAGE_BYTES, SOCKET_BYTES)
        self.results, self._results_there = _native.Port.pair(wire.MESSAGE_BYTES, SOCKET_BYTES)
        self.members: dict[int, Member] = {}  # by slot
        self.arena.tell_wanted = self._wake_keeper  # type: ignore[method-assign]
        self._seats = cores.seats(settings.workers)
        self._slices = list(range(2 * settings.workers + SLICES_MORE - 1, 0, -1))  # that nobody owns
        self._estates: list[int] = []  # whose owners are gone
        self._wanted = 0  # workers still to be started
        self._leaving = False
        self.start_failure = ""
        self._lock = threading.Lock()
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._left = threading.Event()
        self._threads = [
            threading.Thread(target=self._keep, name="girih-keeper", daemon=True),
            threading.Thread(target=self._warm, name="girih-warm", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    # --- members ------------------------------------------------------------------------------------------------------

    def _hire(self) -> None:
        """Starts one more worker, in the lowest slot that is free."""
        slot = next((slot for slot in range(1, SLOTS) if slot not in self.members), None)
        if slot is None:
            raise OSError(f"{SLOTS - 1} workers wait for tasks of their own; no more are started")
        if not self._slices:
            self._clear_estates()
        if not self._slices:
            raise OSError("results of workers that are gone fill the shared memory: let go of some")
        member = self._start(slot, self._slices.pop(), self.seat(slot))
        self.members[slot] = member
        self._epoll.register(member.watch, select.EPOLLIN)

    def _start(self, slot: int, index: int, seat: list[int]) -> Member:
        gate_there, gate = os.pipe2(os.O_CLOEXEC)
        lifeline_there, lifeline = os.pipe2(os.O_CLOEXEC)
        replies, replies_there = _pair()
        setup = {
            "slot": slot, "arena": self._file, "arena_bytes": self.layout.total_bytes,
            "first": self.layout.start(index), "end": self.layout.start(index + 1), "home_end": self.layout.start(1),
            "where": self.settings.where, "path": list(sys.path), "argv": list(sys.argv), "cores": seat,
            "parent": os.getpid(), "replies": replies_there.fileno(), "given": self._given,
            "tasks_max": self.settings.setup.tasks_max, "key": bytes(multiprocessing.current_process().authkey),
        }  # fmt: skip
        setup_file = os.memfd_create("girih-setup", os.MFD_CLOEXEC)
        there = (self._tasks_there.fileno(), self._results_there.fileno(), gate_there, lifeline_there, setup_file)
        threads = self.settings.threads
        environment = cores.environment(
            threads or self._seats.threads, self.settings.environment, force=threads is not None
        )
        try:
            os.write(setup_file, pickle.dumps(setup))
            os.lseek(setup_file, 0, os.SEEK_SET)
            process = subprocess.Popen(
                [sys.executable, *_flags(), "-c", _PROGRAM, str(Path(__file__).parents[1]), *map(str, there)],
                stdin=subprocess.DEVNULL,
                pass_fds=(*there, self._file, replies_there.fileno()),
                env=environment,
            )
        except BaseException:
            os.close(gate)
            os.close(lifeline)
            replies.close()
            raise
        finally:
            for file in (gate_there, lifeline_there, setup_file):
                os.close(file)
            replies_there.close()
        return Member((slot, index), process, gate, lifeline, replies.detach())

    def grow(self, count: int) -> None:
        """Starts so many more workers, in the background."""
        with self._lock:
            self._wanted += count
        os.eventfd_write(self._wake, 1)

    def _wake_keeper(self) -> None:
        if not self._leaving:
            os.eventfd_write(self._wake, 1)

    def parked(self) -> int:
        """Workers that wait at their gates."""
        return sum(member.parked and not member.dead for member in list(self.members.values()))

    def unpark(self) -> bool:
        """Lets one parked worker go on; false if none is parked."""
        for member in list(self.members.values()):
            if member.parked and not member.dead:
                member.parked = False
                os.write(member.gate, b"g")
                return True
        return False

    def kill(self, member: Member, excuse: BaseException | None = None) -> None:
        """Ends a worker at once; what it ran will be found to be lost, and fails with the excuse."""
        member.excuse = excuse
        try:
            signal.pidfd_send_signal(member.watch, signal.SIGKILL)
        except (ProcessLookupError, OSError):
            pass  # it is gone already

    def bury(self, slot: int) -> Member:
        """Forgets a dead worker, whose death the receiver was told."""
        with self._lock:
            member = self.members.pop(slot)
            self.arena.forget_slot(slot)
            self._estates.append(member.slice)
            self._clear_estates()
        member.close()
        return member

    def _clear_estates(self) -> None:
        """Gives the slices of workers that are gone to others, once nobody looks at them."""
        layout = self.layout
        left: list[int] = []
        for index in self._estates:
            cleared = self.arena.clear_slice(layout.start(index), layout.start(index + 1))
            (self._slices if cleared else left).append(index)
        self._estates = left

    def seat(self, slot: int) -> list[int]:
        """The cores of a worker."""
        return self._seats.cores[(slot - 1) % self.settings.workers]

    def threads(self) -> int:
        """Threads of BLAS and OpenMP in each worker."""
        return self.settings.threads or self._seats.threads

    # --- messages -----------------------------------------------------------------------------------------------------

    def send(self, message: bytes) -> bool:
        """Puts a message into the queue of tasks; false if it is full."""
        return self._tasks.send(message)

    def take_back(self) -> bytes | None:
        """A message out of the queue of tasks that no worker has taken; `None` if there is none."""
        try:
            return self._tasks_there.take()
        except OSError:
            return None  # the crew was dismissed

    def tell_receiver(self, kind: int, slot: int = 0, number: int = 0) -> None:
        """Sends the receiver a message from within this process."""
        try:
            self._results_there.send(wire.RESULT_HEAD.pack(kind, slot, number, 0, 0), wait=True)
        except OSError:
            pass  # the receiver is gone with its socket

    def _keep(self) -> None:
        """Starts workers, and watches for their death."""
        while not self._leaving:
            for file, _ in self._epoll.poll():
                if file == self._wake:
                    os.eventfd_read(self._wake)
                    continue
                self._epoll.unregister(file)
                for member in list(self.members.values()):
                    if member.watch == file:
                        member.process.wait()
                        member.dead = True
                        self.tell_receiver(wire.WORKER_DIED, member.slot)
            self._start_wanted()
            self.arena.make_spares()

    def _warm(self) -> None:
        """Has pages of shared memory ready, once it is clear that this crew lives for longer than a few tasks."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), WARM_NICENESS)
        while not self._left.wait(WARM_PAUSE_SECONDS) and self.arena.warm():
            pass

    def _start_wanted(self) -> None:
        while True:
            with self._lock:
                if self._leaving or self._wanted == 0:
                    return
                self._wanted -= 1
                try:
                    self._hire()
                    continue
                except Exception as error:  # noqa: BLE001 - the receiver tells those who wait for a worker
                    self.start_failure = f"{type(error).__name__}: {error}"
            self.tell_receiver(wire.NO_WORKER)

    # --- the end ------------------------------------------------------------------------------------------------------

    def dismiss(self) -> None:
        """Tells all workers to leave once the queue is empty."""
        with self._lock:
            self._leaving = True
        self._left.set()
        os.eventfd_write(self._wake, 1)
        self._tasks.close()
        self._tasks_there.close()
        for member in list(self.members.values()):
            if member.parked:
                os.write(member.gate, b"g")

    def close(self, *, kill: bool = False) -> None:
        """Waits until all workers have left, and ends those that do not; gives all files back. After `dismiss`."""
        for thread in self._threads:
            thread.join()
        for member in list(self.members.values()):
            if kill:
                self.kill(member)
            try:
                member.process.wait(LEAVE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill(member)
                member.process.wait()
            member.close()
        self.members.clear()
        self.results.close()
        self._results_there.close()
        self._epoll.close()
        os.close(self._wake)
        os.close(self._file)
        self.arena.close()


def _pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a line that keeps messages whole and in order."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BYTES)
    return ends


def _flags() -> list[str]:
    """The interpreter's own options, such as -O and -W."""
    return subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
