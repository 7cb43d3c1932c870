"""Work on files that may fail on one rank alone, and how all ranks learn of it.

Invariant: every function here is called by all ranks, and either returns on all or raises the same error on all.
"""

from __future__ import annotations

import builtins
import importlib
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from girih import _native

T = TypeVar("T")


def everywhere(path: str, work: Callable[[], T]) -> T:
    """The result of `work`, which talks to no rank; the lowest failing rank's error on all ranks if one fails.

    The path is named by errors that do not name it themselves.
    """
    result: T | None = None
    said = b""
    try:
        result = work()
    except Exception as error:  # whatever it is, the other ranks must hear of it
        said = _encode(path, error)
    first = next(filter(None, _native.all_gather_bytes(said)), b"")
    if first:
        raise _decode(first)
    # `work` returned on every rank, this one included.
    return result  # type: ignore[return-value]


def from_rank_0(path: str, work: Callable[[], Any]) -> Any:
    """What `work` finds on rank 0, on all ranks: of what JSON can say, with lists for tuples."""
    said = b""
    if _native.rank() == 0:
        try:
            said = b"=" + json.dumps(work()).encode()
        except Exception as error:  # as above
            said = _encode(path, error)
    said = _native.broadcast_bytes(0, said)
    if said[:1] == b"=":
        return json.loads(said[1:])
    raise _decode(said)


def required(module: str, package: str) -> ModuleType:
    """A module of an optional package.

    Raises ImportError, which says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f"{package} is needed for this: pip install 'girih[files]' ({error})") from None


def _encode(path: str, error: Exception) -> bytes:
    # Another package's errors become the nearest built-in one, for every rank must be able to raise them.
    kind = next(each.__name__ for each in type(error).__mro__ if getattr(builtins, each.__name__, None) is each)
    if kind == "Exception":
        kind = "ValueError"
    if isinstance(error, OSError) and error.errno is not None:
        return json.dumps([kind, error.errno, error.strerror, str(error.filename or path)]).encode()
    text = str(error) or type(error).__name__
    return json.dumps([kind, text if path in text else f"{path}: {text}"]).encode()


def _decode(said: bytes) -> Exception:
    kind, *arguments = json.loads(said)
    error: Exception = getattr(builtins, kind)(*arguments)
    return error
