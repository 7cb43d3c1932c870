"""The command `girih`: reads the command line and hands over to one module for each subcommand.

A user's mistake ends with one line on stderr and status 2, on every rank. Subcommands are imported when they are
called, so that `girih run` loads neither the drawing libraries nor NumPy for itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module, metadata

from girih import failure
from girih.cli.mistake import Mistake
from girih.launched import rank_and_size


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand and returns its exit status.

    >>> main(["run", "-n", "1", "-m", "this_module_does_not_exist"])  # doctest: +SKIP
    1
    """
    chosen = _parser().parse_args(arguments)
    try:
        status: int = chosen.call(chosen)
    except Mistake as mistake:
        # All ranks are here with the same text, so one of them says it and they leave without ending a job by force.
        if rank_and_size()[0] == 0:
            print(f"girih {chosen.command}: {mistake}", file=sys.stderr, flush=True)
        failure.leave_together()
        return 2
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="girih", description="NumPy, K-Means and parallel Python for clusters.")
    parser.add_argument("--version", action="version", version=f"girih {metadata.version('girih')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_info(commands)
    _add_run(commands)
    _add_kmeans(commands)
    _add_trace(commands)
    return parser


def _later(module: str, function: str) -> Callable[[argparse.Namespace], int]:
    """A function of a module beside this one, which is imported at the first call."""

    def call(chosen: argparse.Namespace) -> int:
        status: int = getattr(import_module(f"girih.cli.{module}"), function)(chosen)
        return status

    return call


def _add_info(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    info = commands.add_parser("info", help="what hwloc and MPI see, and where the threads of every rank run")
    _add_launch_options(info)
    info.add_argument("--picture", metavar="FILE", help="also draw ranks, NUMA domains and cores into this file")
    info.set_defaults(call=_later("info", "show"))


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser(
        "run",
        help="run a Python script on several ranks",
        usage="girih run [-n RANKS] [options] script.py [argument ...]\n"
        "       girih run [-n RANKS] [options] -m module [argument ...]",
        epilog="The exit status is the script's. A rank that fails ends all, and its traceback is shown.",
    )
    _add_launch_options(run, ranks=1)
    run.add_argument("-m", dest="module", action="store_true", help="the target is a module, as in python -m")
    run.add_argument("target", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)

    command = _later("run", "run")

    def call(chosen: argparse.Namespace) -> int:
        if not chosen.target:
            run.error("which script? girih run -n 2 script.py")
        return command(chosen)

    run.set_defaults(call=call)


def _add_kmeans(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    kmeans = commands.add_parser(
        "kmeans",
        help="cluster the rows of a file, or the colours of an image",
        description="Clusters the rows of a .npy or .csv file, or the pixels of an image, into K clusters by K-Means.",
    )
    kmeans.add_argument("file", metavar="FILE", help=".npy, .csv, .txt, .tsv, .png or .jpg")
    kmeans.add_argument("-k", type=positive, required=True, metavar="K", help="number of clusters")
    kmeans.add_argument("--out", required=True, metavar="DIR", help="folder for centers.npy, labels.npy, the picture")
    kmeans.add_argument("--init", choices=("k-means++", "random"), default="k-means++", help="how to seed")
    kmeans.add_argument("--seed", type=int, default=0, help="of the random numbers (default 0)")
    kmeans.add_argument("--max-iter", type=positive, default=300, metavar="N", help="iterations at most (default 300)")
    kmeans.add_argument("--tol", type=float, default=1e-4, help="relative shift at which to stop (default 1e-4)")
    kmeans.add_argument("--dtype", choices=("float32", "float64"), default="float64", help="of the points")
    kmeans.add_argument("--picture", action=argparse.BooleanOptionalAction, default=True, help="draw the result")
    _add_launch_options(kmeans)
    kmeans.set_defaults(call=_later("kmeans", "cluster_file"))


def _add_trace(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    trace = commands.add_parser(
        "trace",
        help="sum up a trace that gr.trace or GIRIH_TRACE wrote, and draw it",
        description="Sums up a trace by rank, worker and label, with its critical path, and draws it.",
        epilog="Perfetto (https://ui.perfetto.dev) shows the same file event by event.",
    )
    trace.add_argument("file", metavar="FILE", help="what gr.trace(FILE) or GIRIH_TRACE=FILE wrote")
    trace.add_argument("--output", metavar="PICTURE", help="draw workers, messages and utilisation: .png, .svg or .pdf")
    trace.add_argument("--top", type=positive, default=10, metavar="N", help="lines of a table at most (default 10)")
    trace.add_argument("--json", action="store_true", help="print all numbers as JSON instead of tables")
    trace.set_defaults(call=_later("trace", "summarise_file"))


def _add_launch_options(parser: argparse.ArgumentParser, ranks: int | None = None) -> None:
    parser.add_argument("-n", dest="ranks", type=positive, default=ranks, metavar="RANKS", help="number of ranks")
    parser.add_argument("--threads", type=positive, metavar="T", help="threads of each rank (default: its cores)")
    parser.add_argument("--launcher", metavar="NAME", help="mpirun, srun or the path of a launcher")
    parser.add_argument("--timeout", type=float, metavar="S", help="end the job after so many seconds; status 124")


def positive(text: str) -> int:
    """A whole number of at least 1, for argparse.

    >>> positive("3")
    3
    """
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return number
