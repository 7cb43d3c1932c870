"""Functions without an importable name, pickled once as long as nothing that their pickle holds has changed.

cloudpickle takes such a function by value, with the global names that it uses and the variables that it closes over:
twenty times the cost of a task. What was pickled before may be sent again if all of these are the same objects and none
of them can change inside.
Invariant: a pickle is used again only if pickling anew would give the same function.
Never here: functions that others can import, which are sent by name.
"""

from __future__ import annotations

import itertools
import sys
from collections import OrderedDict
from operator import is_
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import Any

from girih.futures import wire
from girih.futures.arena import Arena
from girih.futures.loose import Loose
from girih.futures.wire import Parcel

# Numbers of such functions, apart from those of `map`, which end with their call.
FIRST = 1 << 62
KEPT_MAX = 512
BYTES_MAX = 8 * 1024
# Objects that cannot change inside.
_FIXED = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), BuiltinFunctionType, ModuleType)
_ABSENT = object()

_numbers = itertools.count(FIRST)
_kept: OrderedDict[int, Recalled] = OrderedDict()  # by the identity of the code
_names: dict[CodeType, tuple[str, ...]] = {}


class Recalled:
    """A pickled function, with all that its pickle holds."""

    __slots__ = ("_alone", "_held", "_own", "data", "function", "number")

    def __init__(self, function: FunctionType, held: list[Any], data: bytes) -> None:
        self.function = function  # keeps the code, whose identity is the key
        self.number = next(_numbers)
        self.data = data
        self._held = held
        # What it holds is all its own if the functions that it calls have names: those hold nothing.
        self._own = not any(type(one) is CodeType for one in held[1:])
        # One that uses no global name and closes over nothing holds its defaults alone.
        code = function.__code__
        self._alone = self._own and not code.co_freevars and _names.get(code) == ()

    def still(self, held: list[Any]) -> bool:
        """True if a function that holds these is the same."""
        known = self._held
        return len(known) == len(held) and all(map(is_, known, held))

    def is_same(self, function: FunctionType) -> bool:
        """True if a function with the same code certainly holds the same; what cannot change is not asked again."""
        if function.__kwdefaults__ or function.__dict__:
            return False
        if self._alone:
            return function.__defaults__ is self._held[1]
        names = _names.get(function.__code__)
        if not self._own or names is None:
            return False
        everything, held = function.__globals__, [function.__code__, function.__defaults__]
        for name in names:
            held.append(everything.get(name, _ABSENT))
        if function.__closure__:
            try:
                held += [cell.cell_contents for cell in function.__closure__]
            except ValueError:  # a variable that has no value yet
                return False
        return self.still(held)

    def parcel(self, _: Arena) -> Parcel:
        """The pickled function."""
        return Parcel(self.data, None, ())

    def loose(self) -> Loose:
        """The pickled function for other ranks."""
        return self.data, []


def recall(function: Any) -> Recalled | None:
    """A function's pickle from before or made now; `None` for what is pickled with its task."""
    if type(function) is not FunctionType or _has_name(function):
        return None
    key = id(function.__code__)
    known = _kept.get(key)
    if known is not None and known.is_same(function):
        return known
    held: list[Any] = []
    if not _hold(function, held, 0):
        return None
    if known is not None and known.still(held):
        return known
    buffers: list[Any] = []
    data = wire.dumps(function, buffers)
    if buffers or len(data) > BYTES_MAX:
        return None
    known = _kept[key] = Recalled(function, held, data)
    _kept.move_to_end(key)
    while len(_kept) > KEPT_MAX:
        _kept.popitem(last=False)
    return known


def _has_name(function: FunctionType) -> bool:
    """True if a worker can import it."""
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        return False
    return function.__module__ in sys.modules


def _hold(function: FunctionType, held: list[Any], depth: int) -> bool:
    """Adds what a function's pickle holds; false if some of it may change inside."""
    if function.__kwdefaults__ or function.__dict__ or depth > 4:
        return False
    code = function.__code__
    held += (code, function.__defaults__)
    names = _names.get(code)
    if names is None:
        names = _names[code] = tuple(sorted(set(_global_names(code))))
        if len(_names) > 4 * KEPT_MAX:
            _names.clear()
    everything = function.__globals__
    values = [everything.get(name, _ABSENT) for name in names]
    if function.__closure__:
        try:
            values += [cell.cell_contents for cell in function.__closure__]
        except ValueError:  # a variable that has no value yet
            return False
    for value in values:
        held.append(value)
        if isinstance(value, FunctionType) and not _has_name(value):
            # A function that calls itself is held already.
            if not any(value.__code__ is one for one in held[:-1]) and not _hold(value, held, depth + 1):
                return False
        elif not _is_fixed(value):
            return False
    return all(map(_is_fixed, function.__defaults__ or ()))


def _is_fixed(value: Any) -> bool:
    if isinstance(value, tuple):
        return type(value) is tuple and all(map(_is_fixed, value))
    if isinstance(value, FunctionType):
        return _has_name(value)
    if isinstance(value, type):
        return value.__module__ != "__main__" and "<" not in value.__qualname__ and value.__module__ in sys.modules
    return value is _ABSENT or type(value) in _FIXED


def _global_names(code: CodeType) -> list[str]:
    """Names that code may look up among its globals, in functions within it too."""
    names = list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names += _global_names(constant)
    return names
