"""`girih info`: what hwloc and MPI see, and the binding that follows, as tables and as a picture.

Every rank contributes what it knows of itself; rank 0 alone prints.
"""

from __future__ import annotations

import argparse
import json
from typing import cast

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from girih import _native, failure
from girih.cli import launcher
from girih.cli.mistake import Mistake, agree
from girih.cli.run import run_on_ranks
from girih.cli.seats import RANK_COLOURS, Host, Seat, hosts_of
from girih.cli.units import bytes_text
from girih.launched import rank_and_size
from girih.machine import WorldInfo

_CORES_PER_LINE = 8


def show(chosen: argparse.Namespace) -> int:
    """Prints the tables and the picture on rank 0; starts the ranks first if `-n` asks for several."""
    _, size = rank_and_size()
    if chosen.ranks is not None and size == 1:
        arguments = ["info"] + (["--picture", chosen.picture] if chosen.picture else [])
        return run_on_ranks(chosen, arguments)
    ranks = gather()
    if ranks[0]["size"] != len(ranks):
        raise Mistake("the ranks do not agree on their number")
    hosts = hosts_of(ranks)
    if _native.rank() == 0:
        console = Console()
        console.print(_machine_table(hosts))
        console.print(_mpi_table(ranks))
        console.print(_binding_table(ranks))
        console.print(Group(*(_host_picture(host) for host in hosts)))
        for text in _warnings(ranks):
            console.print(f"[yellow]warning:[/yellow] {text}")
    if chosen.picture:
        agree(lambda: _draw(hosts, chosen.picture))
    failure.leave_together()
    return 0


def gather() -> list[WorldInfo]:
    """Every rank's view of itself, by rank. Collective."""
    parts = _native.all_gather_bytes(json.dumps(_native.world_info()).encode())
    return [cast(WorldInfo, json.loads(part)) for part in parts]


def _draw(hosts: list[Host], path: str) -> None:
    if _native.rank() != 0:
        return
    from girih.cli.pictures import draw_hosts

    draw_hosts(hosts, path)
    Console().print(f"picture: {path}", highlight=False)


def _machine_table(hosts: list[Host]) -> Table:
    table = Table(title="Machine, as far as this job may use it", title_justify="left")
    for name in ("host", "packages", "NUMA", "cores", "threads", "memory", "L1d, L2, L3"):
        table.add_column(name, justify="left" if name == "host" else "right")
    for host in hosts:
        domains = host.machine["domains"]
        caches = host.machine["caches"]
        table.add_row(
            host.name,
            str(len({domain["package"] for domain in domains})),
            str(len(domains)),
            str(sum(len(domain["cores"]) for domain in domains)),
            str(sum(len(core) for domain in domains for core in domain["cores"])),
            bytes_text(sum(domain["bytes"] for domain in domains)),
            ", ".join(bytes_text(caches[level]) for level in ("l1_bytes", "l2_bytes", "l3_bytes")),
        )
    return table


def _mpi_table(ranks: list[WorldInfo]) -> Table:
    table = Table(title="MPI", title_justify="left", show_header=False)
    table.add_row("ranks", str(len(ranks)))
    table.add_row("library", ranks[0]["mpi"] or "none: a world of one rank needs no MPI")
    table.add_row("plug-ins", ", ".join(launcher.plugins()) or "none")
    found = [f"{each.path} ({each.family} {each.version})" for each in launcher.installed()]
    table.add_row("launchers", "\n".join(found) or "none")
    return table


def _binding_table(ranks: list[WorldInfo]) -> Table:
    table = Table(title="Binding", title_justify="left")
    table.add_column("rank", justify="right")
    table.add_column("host")
    table.add_column("workers", justify="right")
    table.add_column("their processors, by NUMA domain")
    table.add_column("comm thread")
    for rank in ranks:
        by_domain: dict[int, list[str]] = {}
        for domain, cpus in zip(rank["worker_domains"], rank["worker_cpus"], strict=True):
            by_domain.setdefault(rank["machine"]["domains"][domain]["os_index"], []).append(cpus or "any")
        workers = "   ".join(f"{domain}: {' '.join(cpus)}" for domain, cpus in sorted(by_domain.items()))
        seat = f"{rank['comm_seat']}: {rank['comm_cpus']}" if rank["comm_cpus"] else rank["comm_seat"]
        table.add_row(str(rank["rank"]), rank["host"], str(rank["threads"]), workers, seat)
    return table


def _host_picture(host: Host) -> RenderableType:
    domains = []
    for domain, cores in zip(host.machine["domains"], host.seats, strict=True):
        grid = Table.grid(padding=(0, 1))
        for start in range(0, len(cores), _CORES_PER_LINE):
            grid.add_row(*(_core(core) for core in cores[start : start + _CORES_PER_LINE]))
        title = f"package {domain['package']}, NUMA domain {domain['os_index']}, {bytes_text(domain['bytes'])}"
        domains.append(Panel(grid, title=title, title_align="left", expand=False))
    legend = Text("[ ]: core, r: rank, w: worker, c: comm thread, ·: free")
    return Panel(Group(*domains, legend), title=f"host {host.name}", title_align="left", expand=False)


def _core(seats: list[Seat]) -> RenderableType:
    """A core in brackets: who may run there, or a dot and its processors' numbers if nobody does."""
    text = Text("[", style="dim")
    occupants = list(dict.fromkeys(who for seat in seats for who in seat.occupants))
    for who in occupants:
        label = f"r{who.rank} w{who.worker}" if who.worker is not None else f"r{who.rank} c"
        text.append(f" {label} ", style=f"bold white on {RANK_COLOURS[who.rank % len(RANK_COLOURS)]}")
    if not occupants:
        text.append(f" · {','.join(str(seat.unit) for seat in seats)} ")
    text.append("]")
    return text


def _warnings(ranks: list[WorldInfo]) -> list[str]:
    """Each sentence once, with the ranks that say it unless all do."""
    speakers: dict[str, list[int]] = {}
    for rank in ranks:
        for text in rank["warnings"]:
            speakers.setdefault(text, []).append(rank["rank"])
    return [
        text if len(who) == len(ranks) else f"rank {', '.join(map(str, who))}: {text}" for text, who in speakers.items()
    ]
