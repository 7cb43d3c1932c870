"""The argument `out` of functions that make a new array: the result is written there, if type and shape allow it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

from girih.ufuncs import _place

_Function = TypeVar("_Function", bound=Callable[..., Any])


def written(function: _Function) -> _Function:
    """The function with `out`, its last argument, taken care of: by keyword, or fifth as in transforms."""

    @wraps(function)
    def run(*given: Any, out: Any = None, **named: Any) -> Any:
        if function.__code__.co_kwonlyargcount == 0 and len(given) == function.__code__.co_argcount:
            *given, out = given  # type: ignore[assignment]
        found = function(*given, **named)
        return found if out is None else _place(function.__name__, found, out, True, "same_kind")

    return cast(_Function, run)
