"""What girih raises beside NumPy's and Python's own exceptions.

A mistake that every rank can see raises the same exception on every rank. Trouble of one rank raises its own
exception there and `RankError` everywhere else, so that no rank waits for another that has given up.
"""

from __future__ import annotations


class RankError(RuntimeError):
    """Another rank failed; this rank was stopped so that it does not wait for it.

    `rank` is the rank that failed first and `traceback` its error as text.

    >>> import girih as gr
    >>> error = gr.RankError(2, "ZeroDivisionError: division by zero")
    >>> error.rank, str(error)
    (2, 'rank 2 failed: ZeroDivisionError: division by zero')
    """

    rank: int
    traceback: str

    def __init__(self, rank: int, traceback: str = "") -> None:
        super().__init__(rank, traceback)
        self.rank = rank
        self.traceback = traceback

    def __str__(self) -> str:
        if not self.traceback:
            return f"rank {self.rank} failed"
        separator = "\n" if "\n" in self.traceback.rstrip() else " "
        return f"rank {self.rank} failed:{separator}{self.traceback.rstrip()}"


class DivergenceError(RuntimeError):
    """The ranks no longer run the same program: their operations, shapes or dtypes differ, or the lines that call them.

    Raised on every rank, before anything is sent; the text names the two calls that should have been one. An operation
    that talks to other ranks belongs outside of `if gr.rank() == 0`. The world stays usable.

    >>> import girih as gr
    >>> issubclass(gr.DivergenceError, RuntimeError)
    True
    """
