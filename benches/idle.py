"""What waiting costs: an open, idle world, and more ranks than cores. `make bench-idle`.

The share of a core that each rank of an idle world uses, and the time of a small all-reduce in a loop, on girih and on
MPI alone, under every MPI found here; the shortest round of each start, since load only adds.
"""

import argparse
import os

from peers.goals import Goals
from peers.programs import build, machine, on_girih, peer, run, shared_memory
from rich.console import Console
from rich.table import Table

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--seconds", type=float, default=10, help="of idleness (default 10)")
parser.add_argument("--ranks", default="2,8", help="in loops, separated by commas (default 2,8)")
parser.add_argument("--words", type=int, default=4, help="of the all-reduce (default 4)")
parser.add_argument("--turns", type=int, default=3, help="starts of every program (default 3)")
chosen = parser.parse_args()


def idleness(console, goals, families):
    table = Table(title=f"an open world of 2 ranks, idle for {chosen.seconds:g} s", title_justify="left")
    table.add_column("")
    table.add_column("share of a core, by rank", justify="right")
    for family in families:
        shares = [float(line) for line in run(shared_memory(family, 2), on_girih("idle", chosen.seconds))]
        table.add_row(family, ", ".join(f"{100 * share:.3f} %" for share in shares))
        goals.at_most(f"{family}: share of a core that an idle rank uses, %", 100 * max(shares), 1)
    console.print(table)


def loops(console, goals, families):
    table = Table(title=f"an all-reduce of {chosen.words} words in a loop", title_justify="left")
    for heading in ("", "ranks", "girih, us", "MPI alone, us", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for family in families:
        for ranks in (int(word) for word in chosen.ranks.split(",")):
            # MPICH alone, with more ranks than cores, takes tens of milliseconds each.
            words = ["loop", chosen.words, 200 if family == "openmpi" else 50, 3]
            shortest = {}
            for _ in range(chosen.turns):
                for name, program in (("girih", on_girih(*words)), ("mpi", [peer(family), *words])):
                    rounds = [float(line) for line in run(shared_memory(family, ranks), program)]
                    shortest[name] = min([shortest.get(name, rounds[0]), *rounds])
            ratio = shortest["girih"] / shortest["mpi"]
            table.add_row(family, str(ranks), f"{shortest['girih']:.1f}", f"{shortest['mpi']:.1f}", f"{ratio:.2f}")
            if ranks > os.cpu_count():
                goals.at_most(f"{family}: a loop of {ranks} ranks on {os.cpu_count()} cores", ratio, 3, "of MPI alone")
    console.print(table)


def main():
    console = Console()
    families = build()
    if not families:
        raise SystemExit("needs an MPI: sudo apt install openmpi-bin libopenmpi-dev, then make")
    goals = Goals()
    idleness(console, goals, families)
    loops(console, goals, families)
    goals.show(console)
    console.print(machine())


main()
