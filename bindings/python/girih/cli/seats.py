"""Who runs on which hardware thread, for all ranks of each host: the data behind both pictures of `girih info`."""

from __future__ import annotations

from dataclasses import dataclass, field

from girih.machine import MachineInfo, WorldInfo

# One for each rank, over and over.
RANK_COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#e15759", "#b07aa1", "#76b7b2", "#edc948", "#9c755f")


@dataclass(frozen=True)
class Occupant:
    """A thread of a rank: one of its workers, or its comm thread if `worker` is None."""

    rank: int
    worker: int | None


@dataclass
class Seat:
    """A hardware thread by the system's number, and who may run there."""

    unit: int
    occupants: list[Occupant] = field(default_factory=list)


@dataclass
class Host:
    """A node: its machine, and for each of its domains and each core the seats there."""

    name: str
    machine: MachineInfo
    seats: list[list[list[Seat]]]
    ranks: list[int]


def hosts_of(ranks: list[WorldInfo]) -> list[Host]:
    """The hosts of a job in the order of their lowest rank, with every bound thread on all its seats."""
    hosts: dict[str, Host] = {}
    for rank in ranks:
        machine = rank["machine"]
        if rank["host"] not in hosts:
            seats = [[[Seat(unit) for unit in core] for core in domain["cores"]] for domain in machine["domains"]]
            hosts[rank["host"]] = Host(rank["host"], machine, seats, [])
        host = hosts[rank["host"]]
        host.ranks.append(rank["rank"])
        for worker, cpus in enumerate(rank["worker_cpus"]):
            _take_seat(host, processors(cpus), Occupant(rank["rank"], worker))
        _take_seat(host, processors(rank["comm_cpus"]), Occupant(rank["rank"], None))
    return list(hosts.values())


def processors(text: str) -> list[int]:
    """The numbers in a list as the kernel writes it.

    >>> processors("0-2,8")
    [0, 1, 2, 8]
    >>> processors("")
    []
    """
    numbers: list[int] = []
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _take_seat(host: Host, allowed: list[int], who: Occupant) -> None:
    for domain in host.seats:
        for core in domain:
            for seat in core:
                if seat.unit in allowed:
                    seat.occupants.append(who)
