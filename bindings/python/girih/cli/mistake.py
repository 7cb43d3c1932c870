"""A user's mistake, and how the ranks agree that one was made."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from girih import _native

T = TypeVar("T")


class Mistake(Exception):
    """One line for the user. Replicated: raised with the same text on every rank."""


def agree(work: Callable[[], T]) -> T:
    """The result of `work`, if it succeeded on every rank; the lowest failing rank's `Mistake` on every rank if not.

    For work that may fail on one rank alone, such as reading a file. Collective; `work` itself must talk to no rank.
    OSError counts as a mistake: its text names the file.
    """
    result: T | None = None
    text = ""
    try:
        result = work()
    except Mistake as mistake:
        text = str(mistake)
    except OSError as error:
        text = describe(error)
    first = next(filter(None, _native.all_gather_bytes(text.encode())), b"")
    if first:
        raise Mistake(first.decode())
    # `work` returned on every rank, this one included.
    return result  # type: ignore[return-value]


def describe(error: OSError) -> str:
    """An error of the system as `FILE: what is wrong`.

    >>> describe(FileNotFoundError(2, "No such file or directory", "a.csv"))
    'a.csv: no such file or directory'
    """
    reason = error.strerror or str(error)
    reason = reason[:1].lower() + reason[1:]
    return f"{error.filename}: {reason}" if error.filename is not None else reason
