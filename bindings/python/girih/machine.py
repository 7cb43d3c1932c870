"""What `girih._native.world_info` returns, as types: the machine and one rank's place on it."""

from __future__ import annotations

from typing import TypedDict


class DomainInfo(TypedDict):
    """A NUMA domain with at least one core this process may use."""

    os_index: int
    package: int
    bytes: int  # local memory; 0 where the system does not say
    cores: list[list[int]]  # per core its hardware threads, by the system's numbers


class CacheInfo(TypedDict):
    """Data caches of the first usable core, in bytes; 0 where the system does not say."""

    l1_bytes: int
    l2_bytes: int
    l3_bytes: int


class MachineInfo(TypedDict):
    """The part of this node that the ranks on it may use together."""

    domains: list[DomainInfo]
    caches: CacheInfo


class WorldInfo(TypedDict):
    """What this rank is and where its threads run; processor lists are as the kernel writes them: `0-3,8`."""

    rank: int
    size: int
    host: str
    local_rank: int  # among the ranks on this host
    local_size: int
    threads: int  # workers
    comm_seat: str  # where the comm thread sits: a core of its own, or beside a worker
    comm_cpus: str  # empty: not bound, or no comm thread
    worker_cpus: list[str]  # one list for each worker; empty: not bound
    worker_domains: list[int]  # for each worker an index into machine["domains"]
    mpi: str | None  # the MPI library's own name and version; None in a world of one rank without MPI
    warnings: list[str]  # what is slower or other than it should be, one sentence each
    machine: MachineInfo
