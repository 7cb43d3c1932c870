"""What ranks say to executors that are still being made: kept, in order, and none of it lost."""

from __future__ import annotations

import marshal
import queue
import threading

import pytest

from girih import _native
from girih.futures.post import LEADER, Post


class Mailbox:
    """A mailbox whose messages the test makes."""

    def __init__(self, peers):
        self.messages = queue.SimpleQueue()
        self.seen = 0

    def arrive(self, *words):
        """One message of several words, as rank 0 sends them; returns when the reader asks for the next message."""
        seen = self.seen
        self.messages.put((LEADER, marshal.dumps(list(words))))
        while self.seen == seen:
            threading.Event().wait(0.001)

    def receive(self):
        self.seen += 1
        return self.messages.get()

    def send(self, to, data):
        raise AssertionError("nothing is sent here")

    def close(self):
        self.messages.put(None)


@pytest.fixture
def office(monkeypatch):
    """A rank's post, and its mailbox."""
    made = []
    monkeypatch.setattr(_native, "rank", lambda: 1)
    monkeypatch.setattr(_native, "size", lambda: 2)
    monkeypatch.setattr(_native, "Mailbox", lambda peers: made.append(Mailbox(peers)) or made[0])
    post = Post()
    while made[0].seen == 0:
        threading.Event().wait(0.001)
    yield post, made[0]
    post.close()


def test_nothing_is_lost_that_is_said_before_and_while_an_executor_is_made(office):
    post, mailbox = office
    mailbox.arrive((0, 1, "before"), (1, 1, "for the next"))
    heard = []

    def listener(sender, kind, content):
        heard.append((sender, kind, content))
        if content == "before":
            mailbox.arrive((number, 2, "meanwhile"), (number, 3, "too"))

    number = post.join()
    mailbox.arrive((number, 1, "and then"))
    post.listen(number, listener)
    mailbox.arrive((number, 4, "after"))
    assert number == 0
    assert heard == [(0, 1, "before"), (0, 1, "and then"), (0, 2, "meanwhile"), (0, 3, "too"), (0, 4, "after")]
    following = []
    post.listen(post.join(), lambda *word: following.append(word))
    assert following == [(0, 1, "for the next")]


def test_an_executor_may_hear_of_its_end_before_it_is_made(office):
    post, mailbox = office
    mailbox.arrive((0, 9, "end"))
    heard = []
    number = post.join()

    def listener(sender, kind, content):
        heard.append(content)
        post.leave(number)

    post.listen(number, listener)
    mailbox.arrive((number, 1, "too late"))
    assert heard == ["end"]


def test_what_is_said_to_no_executor_is_kept_too(office):
    post, mailbox = office
    mailbox.arrive((-7, 1, "first"))
    heard = []
    post.listen(-7, lambda *word: heard.append(word[2]))
    mailbox.arrive((-7, 1, "second"))
    assert heard == ["first", "second"]
