"""What part of an all-reduce and of a halo exchange hides behind computation: girih beside MPI. `make bench-overlap`.

Two ranks with one core each, over shared memory and over a link of 1 Gbit/s. Every program measures in turns: the
computation alone, the communication alone, both together. What the pair takes beyond the computation is exposed; its
share is of the communication of the best of all. Of the exposed time a part is the processor's own, which moves bytes
on the core that computes; the rest is waiting. Medians of all rounds; each program starts several times, in turns.
"""

import argparse
import statistics

from peers.goals import Goals
from peers.programs import build, machine, on_girih, peer, run, shared_memory, slow_link
from rich.console import Console
from rich.table import Table

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--bytes", type=int, default=8 << 20, help="of the all-reduce (default 8 MiB)")
parser.add_argument("--planes", type=int, default=128, help="of the Jacobi box on each rank (default 128)")
parser.add_argument("--side", type=int, default=256, help="of a plane (default 256: a halo of 512 KiB)")
parser.add_argument("--sweeps", type=int, default=4, help="of the box, an even number (default 4)")
parser.add_argument("--rounds", type=int, default=5, help="within a start (default 5)")
parser.add_argument("--turns", type=int, default=5, help="starts of every program (default 5)")
parser.add_argument("--wires", default="memory,link", help="memory, link (default both)")
chosen = parser.parse_args()

STYLES = ("blocking", "non-blocking", "tested")
# Milliseconds of computation beside the all-reduce, in pieces of a hundredth.
BESIDE = {"memory": 20, "link": 250}


def programs(case, wire, rate):
    """What is measured, by name: the program with its arguments."""
    if case == "all-reduce":
        words = [chosen.bytes, 100, rate * BESIDE[wire] // 100, chosen.rounds]
    else:
        words = [chosen.planes, chosen.side, chosen.sweeps, chosen.rounds]
    mpi = {f"MPI {style}": [peer("openmpi"), case, style, *words] for style in STYLES}
    return {"girih": on_girih(case, *words), **mpi}


def measured(launcher, case, wire, rate):
    """By program and start, rounds of (computation, communication, both) in seconds, and of the processor's seconds."""
    rounds, sums = {}, {}
    for _ in range(chosen.turns):
        for name, program in programs(case, wire, rate).items():
            lines = run(launcher, program)
            times = [[float(word) for word in line.split()] for line in lines if line[0].isdigit()]
            rounds.setdefault(name, []).append(times)
            sums.setdefault(tuple(line for line in lines if line.startswith("checksum")), name)
    if len(sums) > 1:
        raise SystemExit(f"the fields differ: {sums}")
    return rounds


def spread(values):
    """Half the distance between the quartiles."""
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2


def beside(rounds, name, other):
    """The time of both together by another program's: the ratios within each turn."""
    both = {key: [statistics.median(each[2] for each in start) for start in rounds[key]] for key in (name, other)}
    return [mine / theirs for mine, theirs in zip(both[name], both[other], strict=True)]


def demand(goals, title, wire, share, waiting, ratios):
    """What of the communication may be exposed on a link, and how long all may take where cores are all there is."""
    if wire == "link":
        most = 10 if title.startswith("all-reduce") else 5
        goals.at_most(f"{title}: exposed, %", share, most)
        goals.at_most(f"{title}: waiting alone, %", waiting, most)
    else:
        within = f"of MPI blocking; spread {100 * spread(ratios):.1f} %"
        goals.at_most(f"{title}: both", statistics.median(ratios), 1.05, within)


def show(console, goals, title, wire, rounds):
    table = Table(title=f"{title}, 2 ranks", title_justify="left")
    for heading in ("", "compute, ms", "comm, ms", "both, ms", "exposed, ms", "spread", "share", "processor's, ms"):
        table.add_column(heading, justify="right" if heading else "left")
    flat = {name: [each for start in starts for each in start] for name, starts in rounds.items()}
    best = min(statistics.median(each[1] for each in of_one) for of_one in flat.values())
    shares = {}
    for name, of_one in flat.items():
        work, message, both, *used = (statistics.median(column) for column in zip(*of_one, strict=True))
        exposed = [each[2] - each[0] for each in of_one]
        middle, used = statistics.median(exposed), max(0, used[2] - used[0])
        shares[name] = 100 * middle / best, 100 * (middle - used) / best
        cells = [f"{1e3 * seconds:.2f}" for seconds in (work, message, both, middle, spread(exposed))]
        table.add_row(name, *cells, f"{shares[name][0]:.0f} %", f"{1e3 * used:.2f}")
    console.print(table)
    demand(goals, title, wire, *shares["girih"], beside(rounds, "girih", "MPI blocking"))


def main():
    console = Console()
    if "openmpi" not in build():
        raise SystemExit("needs Open MPI: sudo apt install openmpi-bin libopenmpi-dev, then make")
    rate = int(run(["taskset", "-c", "0"], on_girih("calibrate"))[0])
    titles = {"all-reduce": f"all-reduce of {chosen.bytes >> 10} KiB", "halo": f"Jacobi, {chosen.sweeps} sweeps"}
    goals = Goals()
    for wire in chosen.wires.split(","):
        with slow_link() as link:
            launcher = link if wire == "link" else shared_memory("openmpi", 2)
            if launcher is None:
                console.print("no link: needs root, ip and tc (sudo apt install iproute2)")
                continue
            for case, title in titles.items():
                where = "link of 1 Gbit/s" if wire == "link" else "shared memory"
                show(console, goals, f"{title}, {where}", wire, measured(launcher, case, wire, rate))
    goals.show(console)
    console.print(machine())


main()
