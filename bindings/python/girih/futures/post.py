"""Messages between the executors of different ranks: one mailbox a process, one thread that reads it.

Rank 0 has a mailbox to all other ranks, they have one to rank 0. Executors are numbered alike on all ranks, because all
ranks make the same ones in the same order.
Small messages to the same rank travel together: a thread that has more to do gathers what it sends, and sends it when
it is about to wait.
Invariant: a message for an executor that this rank has not made yet waits for it; messages of one thread to one rank
arrive in their order.
Never here: what messages mean.
"""

from __future__ import annotations

import marshal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LEADER = 0
# Hears the sender's rank, a kind and the content.
Listener = Callable[[int, int, Any], None]
# So many messages travel together at most.
TOGETHER_MAX = 64


class Post:
    """This process's mailbox, shared by its executors."""

    def __init__(self) -> None:
        from girih import _native

        self.rank: int = _native.rank()
        self.size: int = _native.size()
        peers = [rank for rank in range(self.size) if rank != LEADER] if self.rank == LEADER else [LEADER]
        self._mailbox = _native.Mailbox(peers)
        self._peers = peers
        self._outbox: dict[int, list[tuple[int, int, Any]]] = {peer: [] for peer in peers}
        self._sending = threading.Lock()
        self._this_thread = threading.local()
        self._lock = threading.Lock()
        self._listeners: dict[int, Listener] = {}
        self._early: dict[int, list[tuple[int, int, Any]]] = {}
        self._made = 0
        self._joining: set[int] = set()  # numbers that do not listen yet
        self._closed = False
        self._reader = threading.Thread(target=self._read, name="girih-post", daemon=True)
        self._reader.start()

    def join(self) -> int:
        """A number for one more executor, which is to `listen`; what is said to it until then is kept."""
        with self._lock:
            self._joining.add(self._made)
            self._made += 1
            return self._made - 1

    def listen(self, number: int, listener: Listener) -> None:
        """Hands what is said to a number to a listener, what was said before first, in this thread.

        Numbers below 0 are no executors'; everybody listens to one of these before the first word to it.
        """
        while True:
            with self._lock:
                early = self._early.pop(number, [])
                if not early:
                    # An executor may have heard of its end.
                    if number < 0 or number in self._joining:
                        self._joining.discard(number)
                        self._listeners[number] = listener
                    return
            for message in early:
                listener(*message)

    def leave(self, number: int) -> None:
        """Takes an executor away, which hears nothing more."""
        with self._lock:
            self._listeners.pop(number, None)
            self._joining.discard(number)

    def send(self, to: int, executor: int, kind: int, content: Any) -> None:
        """Sends what `marshal` knows; nothing after the end."""
        if self._closed:
            return
        with self._sending:
            self._outbox[to].append((executor, kind, content))
            if len(self._outbox[to]) >= TOGETHER_MAX or not getattr(self._this_thread, "gathers", False):
                self._empty(to)

    def send_to_all(self, executor: int, kind: int, content: Any, *, large: bool = False) -> None:
        """Sends the same to all peers; what is large is made a message once."""
        if not large:
            for peer in self._peers:
                self.send(peer, executor, kind, content)
        elif not self._closed:
            data = marshal.dumps((executor, kind, content))
            with self._sending:
                for peer in self._peers:
                    self._empty(peer)
                    self._mailbox.send(peer, data)

    def _empty(self, to: int) -> None:
        """Sends what waits for a peer. Under the lock."""
        waiting = self._outbox[to]
        if waiting:
            self._mailbox.send(to, marshal.dumps(waiting if len(waiting) > 1 else waiting[0]))
            self._outbox[to] = []

    def flush(self) -> None:
        """Sends what was gathered."""
        with self._sending:
            for peer in self._peers:
                self._empty(peer)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What this thread sends meanwhile travels together."""
        outer = getattr(self._this_thread, "gathers", False)
        self._this_thread.gathers = True
        try:
            yield
        finally:
            self._this_thread.gathers = outer
            if not outer:
                self.flush()

    def flushing(self, receive: Callable[..., list[bytes]]) -> Callable[[int | None], list[bytes]]:
        """A port's `receive` for a thread that gathers: what it has gathered is sent before it waits."""
        self._this_thread.gathers = True

        def flush_and_receive(spin_us: int | None) -> list[bytes]:
            found = receive()
            if not found:
                self.flush()
                found = receive(spin_us)
            return found

        return flush_and_receive

    def close(self) -> None:
        """Says goodbye; the last thing before the world ends."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.flush()
        self._mailbox.close()

    def _read(self) -> None:
        while (message := self._mailbox.receive()) is not None:
            sender, data = message
            content = marshal.loads(data)
            with self.gathering():
                for one in content if isinstance(content, list) else [content]:
                    self._hand_over(sender, *one)

    def _hand_over(self, sender: int, executor: int, kind: int, content: Any) -> None:
        with self._lock:
            listener = self._listeners.get(executor)
            if listener is None and (executor < 0 or executor >= self._made or executor in self._joining):
                self._early.setdefault(executor, []).append((sender, kind, content))
        if listener is not None:
            listener(sender, kind, content)


_post: Post | None = None
_making = threading.Lock()


def post() -> Post:
    """This process's mailbox, opened at its first use. The first use is collective."""
    global _post
    with _making:
        if _post is None:
            _post = Post()
        return _post


def close() -> None:
    """Closes the mailbox if there is one."""
    if _post is not None:
        _post.close()
