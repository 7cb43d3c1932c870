"""Which rank has which value, and how it gets there: across nodes once for each node, and once in the memory of each.

Of ranks that share a node the first one that needs a large value is sent it and puts it on a sheet; the others, and the
workers of all of them, read it there.
Invariant: a rank that was promised a value gets it or, if it cannot open what another one has, asks for it.
Never here: tasks, and values that lie where workers have left them.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

from girih.futures import wire
from girih.futures.arena import Arena
from girih.futures.held import Held
from girih.futures.loose import count_bytes
from girih.futures.placement import Site
from girih.futures.post import Post

# To other ranks.
KEEP = 5  # a value that tasks will name
FORGET = 6
KEEP_TOLD = 9  # a value that the rank was told as an outcome
KEEP_SHEET = 10  # a value for all ranks of the node; to be answered with its place
KEEP_THERE = 11  # a value that another rank of the node has
# From them.
WANT = 21  # a value that it was promised, and has not got
PLACED = 22  # where a sheet is


class Values:
    """The values of one executor of several ranks, as rank 0 knows them."""

    def __init__(self, post: Post, arena: Arena, nodes: list[int]) -> None:
        self._post = post
        self._arena = arena
        self.nodes = nodes
        self.executor = 0
        self._known: weakref.WeakValueDictionary[int, Held] = weakref.WeakValueDictionary()
        # By value and node: the parcel, or who waits for it.
        self._places: dict[tuple[int, int], Any] = {}
        self._lock = threading.RLock()
        Held.node_is_shared = self._shares(post.rank)

    def keep(self, held: Held, site: Site) -> None:
        """Lets a rank have a value, if it has not got it."""
        if held.number in site.held or held.number < 0:
            return
        own = site.rank == self._post.rank
        if own:
            held.parcel(self._arena)
            self._keep_named(held, site)
        elif held.sheeted or (self._shares(site.rank) and held.source is None and held.is_large()):
            self._keep_on_node(held, site)
        else:
            self.send(held, site)
        site.held.add(held.number)

    def keep_told(self, held: Held, site: Site, key: Any) -> None:
        """Lets a rank have a result that it was told already."""
        self._known[held.number] = held
        self._post.send(site.rank, self.executor, KEEP_TOLD, (held.number, key))
        site.held.add(held.number)

    def send(self, held: Held, site: Site) -> None:
        """Sends a rank a value for itself alone."""
        self._send(KEEP_SHEET if held.sheeted else KEEP, held, site)
        self._keep_named(held, site)

    def forget(self, number: int, sites: list[Site]) -> None:
        """Lets all ranks forget a value."""
        with self._lock:
            for node in set(self.nodes):
                self._places.pop((number, node), None)
        for site in sites:
            site.held.discard(number)
        self._post.send_to_all(self.executor, FORGET, number)

    def hear_want(self, number: int, site: Site) -> None:
        """Sends a value that a rank has not got, if anybody still needs it."""
        held = self._known.get(number)
        if held is not None:
            self.send(held, site)

    def hear_placed(self, number: int, site: Site, plain: Any) -> None:
        """Tells those who wait for a value on a node where it is."""
        with self._lock:
            waiting = self._places.get((number, self.nodes[site.rank]))
            if not isinstance(waiting, list):
                return  # it is forgotten
            self._places[number, self.nodes[site.rank]] = plain
            for rank in waiting:
                self._post.send(rank, self.executor, KEEP_THERE, (number, plain))

    def _shares(self, rank: int) -> bool:
        return self.nodes.count(self.nodes[rank]) > 1

    def _keep_on_node(self, held: Held, site: Site) -> None:
        self._known[held.number] = held
        place = (held.number, self.nodes[site.rank])
        with self._lock:
            known = self._places.get(place)
            if place[1] == self.nodes[self._post.rank]:
                known = wire.flat(held.sheet())
            if known is None:
                self._places[place] = []
                self._send(KEEP_SHEET, held, site)
            elif isinstance(known, list):
                known.append(site.rank)
            else:
                self._post.send(site.rank, self.executor, KEEP_THERE, (held.number, known))
        self._keep_named(held, site)

    def _send(self, kind: int, held: Held, site: Site) -> None:
        loose = held.loose()
        site.bytes_sent += count_bytes(loose)
        self._post.send(site.rank, self.executor, kind, (held.number, loose))

    def _keep_named(self, held: Held, site: Site) -> None:
        for inner in held.named:
            self.keep(inner, site)
