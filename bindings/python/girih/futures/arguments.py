"""What arguments of a task hold that has to be waited for or brought along: futures, handles, girih's arrays.

They are looked for among the arguments and three levels into lists, tuples and dictionaries. Handles may also be
anywhere else, for these are found by pickling.
Never here: where tasks run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from itertools import chain
from typing import Any

from girih.futures import wire
from girih.futures.held import Handle, Held, Rows

# What a type is to us.
PLAIN, CONTAINER, SPECIAL, ARRAY = range(4)
# So deep into lists, tuples and dictionaries is looked.
LEVELS = 3
_kinds: dict[type, int] = {list: CONTAINER, tuple: CONTAINER, dict: CONTAINER, Rows: SPECIAL}
_plain: set[type] = set()  # those of `_kinds` that are
_kinds_max = 1 << 12


def special(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> list[Any]:
    """Futures, handles, rows and girih's arrays among the arguments; most often there are none.

    Cost: O(arguments and elements of those that are lists, tuples or dictionaries), tens of nanoseconds each.
    """
    if not keywords:
        for one in arguments:
            if type(one) not in _plain:
                break
        else:
            return []
    level: Any = (*arguments, *keywords.values()) if keywords else arguments
    found: list[Any] = []
    for _ in range(LEVELS + 1):
        kinds = {_kind(one) for one in set(map(type, level))}
        if SPECIAL in kinds or ARRAY in kinds:
            found += [one for one in level if _kind(type(one)) in (SPECIAL, ARRAY)]
        if CONTAINER not in kinds:
            break
        level = list(chain.from_iterable([_elements(one) for one in level if _kind(type(one)) == CONTAINER]))
    return found


def is_array(value: Any) -> bool:
    """True for girih's arrays."""
    return _kind(type(value)) == ARRAY


def replace(given: tuple[tuple[Any, ...], dict[str, Any]], change: Callable[[Any], Any]) -> Any:
    """Arguments and keywords with what `special` finds in them changed; containers are copied."""
    arguments, keywords = given
    return tuple([_changed(one, change, LEVELS) for one in arguments]), {
        key: _changed(one, change, LEVELS) for key, one in keywords.items()
    }


def _changed(value: Any, change: Callable[[Any], Any], level: int) -> Any:
    kind = _kind(type(value))
    if kind in (SPECIAL, ARRAY):
        return change(value)
    if kind != CONTAINER or level == 0:
        return value
    if isinstance(value, dict):
        return {key: _changed(one, change, level - 1) for key, one in value.items()}
    return type(value)([_changed(one, change, level - 1) for one in value])


def by_name(future: Future[Any], known: Any) -> Any:
    """What a task gets for a future that is done: its value, or a handle of it if that is large.

    `known` keeps for each future what was made of it, so that many tasks share it. Raises the future's own error.
    """
    if isinstance(future, Handle):
        return future
    value = future.result()
    if isinstance(value, _SMALL):
        return value
    handle = known.get(future)
    if handle is None:
        if not _is_large(value):
            known[future] = value
            return value
        held = Held(value)
        held.source = weakref.ref(future)
        handle = known[future] = Handle(value, held)
    return handle


_SMALL = (int, float, complex, bool, type(None))


def _is_large(value: Any) -> bool:
    buffers: list[Any] = []
    try:
        return len(wire.dumps(value, buffers)) > wire.INLINE_BYTES or bool(buffers)
    except Exception:  # noqa: BLE001 - the task's own pickle says so better
        return False


def _elements(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _kind(kind: type) -> int:
    known = _kinds.get(kind)
    if known is None:
        if len(_kinds) > _kinds_max:
            return _judge(kind)  # types that are made by the thousand are not kept
        known = _kinds[kind] = _judge(kind)
        if known == PLAIN:
            _plain.add(kind)
    return known


def _judge(kind: type) -> int:
    if issubclass(kind, Future):
        return SPECIAL
    # The native module names its type so; it need not be imported to ask.
    return ARRAY if kind.__module__ == "girih" and kind.__name__ == "Array" else PLAIN
