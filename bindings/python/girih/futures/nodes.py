"""Which ranks share a node, and with it memory.

Never here: cores, messages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# So many ranks that share a node count as a node of their own, as if they shared nothing with the others there: to see
# on one machine what goes between nodes.
RANKS_OF_NODE = "GIRIH_FUTURES_NODE_RANKS"


def own_node() -> str:
    """A name that processes have in common when one may open what another has in memory.

    They run on the same start of the same machine, see the same processes, and belong to the same user.
    """
    start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{start} {os.stat('/proc/self/ns/pid').st_ino} {os.getuid()} {os.environ.get(RANKS_OF_NODE, '')}"


def divide(names: Sequence[str]) -> list[int]:
    """The node of each rank, counted from 0, from what `own_node` says on each.

    Raises `ValueError` if the variable that divides nodes is no whole number.

    >>> from girih.futures.nodes import divide
    >>> divide(["a 1 0 ", "b 1 0 ", "a 1 0 "]), divide(["a 1 0 2"] * 5)
    ([0, 1, 0], [0, 0, 1, 1, 2])
    """
    seen: dict[str, int] = {}
    numbers: dict[tuple[str, int], int] = {}
    nodes = []
    for name in names:
        place = seen[name] = seen.get(name, -1) + 1
        text = name.rsplit(" ", 1)[1]
        if text and not (text.isdecimal() and int(text)):
            raise ValueError(f"{RANKS_OF_NODE} must be a whole number of at least 1, not {text!r}")
        part = (name, place // int(text) if text else 0)
        nodes.append(numbers.setdefault(part, len(numbers)))
    return nodes
