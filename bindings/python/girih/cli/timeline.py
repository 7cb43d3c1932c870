"""A trace as `girih.trace` writes it, read back: who ran what when, and what waited for what.

Times are seconds since rank 0 began. Spans of a trace that is no trace of ours are a user's mistake.
Never here: tables and pictures.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih.cli.mistake import Mistake, describe

_MAIN, _COMM, _WORKERS, _LANES = 0, 1, 2, 1000
Name = tuple[int, int, int]


@dataclass(frozen=True)
class Span:
    """Something with a begin and an end."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True)
class Node:
    """A node of a graph that was run once: a task, or a message from when it could be posted to its end."""

    key: Name  # rank, launch, node
    kind: str  # task, send, receive or collective
    label: str
    begin: float
    end: float
    after: Name | None  # the node whose end let this one begin
    flow: str | None  # what the two ends of a message share
    collective: int | None  # its number on all ranks
    bytes: int


@dataclass
class Worker:
    """One worker's tasks and states."""

    tasks: list[Span] = field(default_factory=list)
    searching: list[Span] = field(default_factory=list)
    parked: list[Span] = field(default_factory=list)
    steals: int = 0


@dataclass
class RankPart:
    """What one rank recorded."""

    rank: int
    host: str
    begin: float
    end: float
    dropped: int
    clock_error: float
    workers: list[Worker]
    messages: list[Node] = field(default_factory=list)
    main: list[Span] = field(default_factory=list)
    comm: list[Span] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """A stretch of the critical path."""

    kind: str  # task, message, collective, ready (a task that no worker has taken yet) or outside (of graphs)
    label: str
    rank: int
    begin: float
    end: float


@dataclass
class Timeline:
    """All ranks' parts, and the nodes that they ran."""

    ranks: list[RankPart]
    nodes: dict[Name, Node]

    @property
    def begin(self) -> float:
        """When the first rank began to record."""
        return min(part.begin for part in self.ranks)

    @property
    def end(self) -> float:
        """When the last rank ended."""
        return max(part.end for part in self.ranks)


def read(path: str) -> Timeline:
    """The trace in this file."""
    try:
        with open(path, encoding="utf-8") as file:
            events = json.load(file)["traceEvents"]
    except OSError as error:
        raise Mistake(describe(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Mistake(f"{path}: not a trace in the Chrome format, or not complete") from error
    abouts = [event["args"] for event in events if event.get("name") == "girih_rank"]
    if not abouts:
        raise Mistake(f"{path}: not a trace of girih; gr.trace(path) and GIRIH_TRACE write them")
    ranks = [_part(about) for about in sorted(abouts, key=lambda about: int(about["rank"]))]
    timeline = Timeline(ranks, {})
    for event in events:
        if event.get("ph") in ("X", "i"):
            _enter(timeline, event)
    return timeline


def _part(about: dict[str, Any]) -> RankPart:
    workers = [Worker() for _ in range(about["workers"])]
    begin, end, error = (about[key] * 1e-6 for key in ("begin", "end", "clock_error"))
    return RankPart(about["rank"], about["host"], begin, end, about["dropped"], error, workers)


def _enter(timeline: Timeline, event: dict[str, Any]) -> None:
    part, tid = timeline.ranks[event["pid"]], event["tid"]
    category, name = event.get("cat"), event["name"]
    begin = event["ts"] * 1e-6
    span = Span(name, begin, begin + event.get("dur", 0.0) * 1e-6)
    if category in ("task", "message", "collective"):
        arguments = event["args"]
        launch, after = arguments["launch"], arguments.get("after")
        node = Node(
            (part.rank, launch, arguments["node"]),
            name if category == "message" else category,
            name,
            span.begin,
            span.end,
            None if after is None else (part.rank, launch, after),
            arguments.get("flow"),
            arguments.get("collective"),
            arguments.get("bytes", 0),
        )
        timeline.nodes[node.key] = node
        if category == "task":
            part.workers[tid - _WORKERS].tasks.append(span)
        else:
            part.messages.append(node)
    elif name == "steal":
        part.workers[tid - _WORKERS].steals += 1
    elif category == "main":
        part.main.append(span)
    elif category == "state" and tid == _COMM:
        part.comm.append(span)
    elif category == "state" and _WORKERS <= tid < _LANES:
        worker = part.workers[tid - _WORKERS]
        (worker.parked if name == "parked" else worker.searching).append(span)


def covered(spans: Iterable[Span | Node]) -> list[tuple[float, float]]:
    """The times in which at least one of them lasts, as intervals that do not touch.

    >>> covered([Span("a", 0, 2), Span("b", 5, 6), Span("c", 1, 3)])
    [(0, 3), (5, 6)]
    """
    joined: list[tuple[float, float]] = []
    for begin, end in sorted((span.begin, span.end) for span in spans):
        if joined and begin <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


def length(intervals: Iterable[tuple[float, float]]) -> float:
    """Their sum.

    >>> length([(0, 3), (5, 6)])
    4
    """
    return sum(end - begin for begin, end in intervals)


def common(first: list[tuple[float, float]], second: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The times in both, each of them as `covered` gives it.

    >>> common([(0, 3), (5, 6)], [(2, 5.5)])
    [(2, 3), (5, 5.5)]
    """
    both = []
    i = j = 0
    while i < len(first) and j < len(second):
        begin, end = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if begin < end:
            both.append((begin, end))
        if first[i][1] <= second[j][1]:
            i += 1
        else:
            j += 1
    return both


def utilisation(part: RankPart, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share of the rank's workers that run tasks, in each stretch between two edges."""
    busy = np.zeros(len(edges))
    for worker in part.workers:
        # Busy time up to each edge: whole tasks before it, and a part of the one around it.
        tasks = sorted((span.begin, span.end) for span in worker.tasks)
        begins = np.array([begin for begin, _ in tasks])
        ends = np.array([end for _, end in tasks])
        total = np.concatenate([[0.0], np.cumsum(ends - begins)])
        begun = np.searchsorted(begins, edges, side="right")
        late = np.maximum(0.0, ends[np.maximum(begun, 1) - 1] - edges) if len(tasks) else 0.0
        busy += total[begun] - np.where(begun > 0, late, 0.0)
    share: NDArray[np.float64] = np.diff(busy) / (np.diff(edges) * max(len(part.workers), 1))
    return share


def critical_path(timeline: Timeline) -> list[Step]:
    """What the end waited for, backwards from the node that ended last to the begin: the latest step first.

    A receive follows its sender if that was the later of the two; a collective follows the rank that came last. Before
    the first node of a graph comes whatever its rank ran last.
    """
    if not timeline.nodes:
        return []
    order = _Order(timeline)
    steps: list[Step] = []
    seen: set[Name] = set()
    here: Node | None = max(timeline.nodes.values(), key=lambda node: node.end)
    while here is not None and here.key not in seen:
        origin = order.origin(here)
        seen |= {here.key, origin.key}
        kind = "message" if here.kind in ("send", "receive") else here.kind
        label = "message" if kind == "message" else here.label
        begin, rank = min(origin.begin, here.end), origin.key[0]
        steps.append(Step(kind, label, here.key[0], begin, here.end))
        before = timeline.nodes.get(origin.after) if origin.after is not None else None
        kind, label = ("ready", "no worker yet") if before is not None else ("outside", "outside of graphs")
        here = before if before is not None else order.last_before(rank, begin, seen)
        until = here.end if here is not None else timeline.ranks[rank].begin
        if until < begin:
            steps.append(Step(kind, label, rank, until, begin))
    return steps


class _Order:
    """What of a timeline the way backwards asks for."""

    def __init__(self, timeline: Timeline) -> None:
        nodes = timeline.nodes.values()
        self.sends = {node.flow: node for node in nodes if node.kind == "send"}
        self.last_of: dict[int, Node] = {}
        self.nodes = timeline.nodes
        self.ended: dict[int, list[tuple[float, Name]]] = {}
        for node in nodes:
            self.ended.setdefault(node.key[0], []).append((node.end, node.key))
            number = node.collective
            if number is not None and (number not in self.last_of or self.last_of[number].begin < node.begin):
                self.last_of[number] = node
        for ends in self.ended.values():
            ends.sort()

    def origin(self, node: Node) -> Node:
        """The node whose begin let this one go on: another rank's, if that came later."""
        if node.kind == "receive" and node.flow in self.sends and self.sends[node.flow].begin > node.begin:
            return self.sends[node.flow]
        return node if node.collective is None else self.last_of[node.collective]

    def last_before(self, rank: int, time: float, seen: set[Name]) -> Node | None:
        """The node of the rank that ended last before this time, without those that were seen."""
        ended = self.ended[rank]
        place = bisect.bisect_right(ended, (time, (rank, 1 << 32, 1 << 32)))
        while place > 0 and ended[place - 1][1] in seen:
            place -= 1
        return self.nodes[ended[place - 1][1]] if place else None
