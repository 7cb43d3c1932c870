"""`girih trace`: sums a trace up by rank, worker and label, and draws it.

Runs in one process, whatever the number of ranks in the trace.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from typing import Any

from rich.console import Console
from rich.table import Table

from girih.cli import timeline
from girih.cli.mistake import Mistake, describe
from girih.cli.timeline import RankPart, Span, Timeline, covered, length
from girih.cli.units import bytes_text

PICTURES = (".png", ".svg", ".pdf")


def summarise_file(chosen: argparse.Namespace) -> int:
    """Prints the summary, as tables or as JSON, and draws the picture that was asked for."""
    if chosen.output and not chosen.output.lower().endswith(PICTURES):
        raise Mistake(f"--output {chosen.output}: the name must end in one of {', '.join(PICTURES)}")
    trace = timeline.read(chosen.file)
    summary = summarise(trace)
    if chosen.json:
        json.dump(summary, sys.stdout, indent=2)
        print()
    else:
        _print(summary, chosen.top, Console())
    if chosen.output:
        from girih.cli.gantt import draw

        try:
            draw(trace, chosen.output)
        except OSError as error:
            raise Mistake(describe(error)) from error
        if not chosen.json:
            Console().print(f"picture: {chosen.output}", highlight=False)
    return 0


def summarise(trace: Timeline) -> dict[str, Any]:
    """All numbers of the summary; times in seconds, shares between 0 and 1."""
    labels: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for part in trace.ranks:
        for task in (task for worker in part.workers for task in worker.tasks):
            row = labels[task.name]
            seconds = task.end - task.begin
            row[:] = [row[0] + 1, row[1] + seconds, max(row[2], seconds)]
    path = timeline.critical_path(trace)
    by_step: dict[tuple[str, str], float] = defaultdict(float)
    for step in path:
        by_step[step.kind, step.label] += step.end - step.begin
    return {
        "seconds": trace.end - trace.begin,
        "dropped": sum(part.dropped for part in trace.ranks),
        "clock_error": max(part.clock_error for part in trace.ranks),
        "ranks": [_rank_summary(part) for part in trace.ranks],
        "labels": [
            {"label": label, "tasks": int(count), "seconds": seconds, "longest": longest}
            for label, (count, seconds, longest) in sorted(labels.items(), key=lambda item: -item[1][1])
        ],
        "critical_path": {
            "seconds": sum(by_step.values()),
            "steps": len(path),
            "parts": [
                {"kind": kind, "label": label, "seconds": seconds}
                for (kind, label), seconds in sorted(by_step.items(), key=lambda item: -item[1])
            ],
        },
    }


def _rank_summary(part: RankPart) -> dict[str, Any]:
    seconds = part.end - part.begin
    tasks = covered(task for worker in part.workers for task in worker.tasks)
    messages = covered(part.messages)
    hidden = length(timeline.common(messages, tasks))
    in_flight = length(messages)
    return {
        "rank": part.rank,
        "host": part.host,
        "seconds": seconds,
        "main_waiting": length(covered(part.main)),
        "comm_active": _seconds(span for span in part.comm if span.name != "asleep"),
        "messages": sum(message.kind == "send" for message in part.messages),
        "collectives": sum(message.kind == "collective" for message in part.messages),
        "bytes": sum(message.bytes for message in part.messages if message.kind != "receive"),
        "in_flight": in_flight,
        # The share of the time with messages under way in which this rank also computed.
        "overlap": hidden / in_flight if in_flight > 0 else None,
        "workers": [
            {
                "tasks": len(worker.tasks),
                "busy": (busy := _seconds(worker.tasks)),
                "idle": max(0.0, seconds - busy),
                "searching": _seconds(worker.searching),
                "parked": _seconds(worker.parked),
                "steals": worker.steals,
            }
            for worker in part.workers
        ],
    }


def _seconds(spans: Any) -> float:
    return float(sum(span.end - span.begin for span in spans))


def _print(summary: dict[str, Any], top: int, console: Console) -> None:
    console.print(_rank_table(summary))
    console.print(_label_table(summary, top))
    console.print(_path_table(summary, top))
    if summary["dropped"]:
        console.print(f"[yellow]warning:[/yellow] {summary['dropped']} events found no room and are missing")
    if summary["clock_error"]:
        console.print(f"clocks of ranks agree to within {_time(summary['clock_error'])}", highlight=False)


def _rank_table(summary: dict[str, Any]) -> Table:
    table = Table(title=f"{_time(summary['seconds'])} on {len(summary['ranks'])} rank(s)", title_justify="left")
    for name in ("rank", "worker", "tasks", "busy", "idle", "searching", "parked", "steals"):
        table.add_column(name, justify="right")
    for name in ("main waits", "comm active", "messages, collectives", "sent", "hidden"):
        table.add_column(name, justify="right")
    for rank in summary["ranks"]:
        seconds = rank["seconds"]
        overlap = "-" if rank["overlap"] is None else f"{rank['overlap']:.0%}"
        rest = [
            _share(rank["main_waiting"], seconds),
            _share(rank["comm_active"], seconds),
            f"{rank['messages']}, {rank['collectives']}",
            bytes_text(rank["bytes"]) if rank["bytes"] else "0 B",
            f"{overlap} of {_time(rank['in_flight'])}" if rank["overlap"] is not None else "-",
        ]
        for number, worker in enumerate(rank["workers"]):
            shares = [_share(worker[key], seconds) for key in ("busy", "idle", "searching", "parked")]
            head = [str(rank["rank"]) if number == 0 else "", str(number), str(worker["tasks"])]
            table.add_row(*head, *shares, str(worker["steals"]), *(rest if number == 0 else []))
    table.caption = "hidden: time with messages under way in which this rank also ran tasks"
    table.caption_justify = "left"
    return table


def _label_table(summary: dict[str, Any], top: int) -> Table:
    table = Table(title="Tasks by label", title_justify="left")
    table.add_column("label")
    for name in ("tasks", "time of workers", "share", "mean", "longest"):
        table.add_column(name, justify="right")
    total = sum(label["seconds"] for label in summary["labels"])
    for label in summary["labels"][:top]:
        mean = label["seconds"] / label["tasks"]
        share = _share(label["seconds"], total)
        table.add_row(
            label["label"], str(label["tasks"]), _time(label["seconds"]), share, _time(mean), _time(label["longest"])
        )
    return table


def _path_table(summary: dict[str, Any], top: int) -> Table:
    path = summary["critical_path"]
    table = Table(title=f"Critical path, {_time(path['seconds'])} in {path['steps']} steps", title_justify="left")
    table.add_column("what the end waited for")
    table.add_column("time", justify="right")
    table.add_column("share", justify="right")
    for part in path["parts"][:top]:
        name = {"task": f"task {part['label']}"}.get(part["kind"], part["label"])
        table.add_row(name, _time(part["seconds"]), _share(part["seconds"], path["seconds"]))
    return table


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "-"


def _time(seconds: float) -> str:
    """Seconds with a unit that leaves three digits.

    >>> _time(1.5), _time(0.00123), _time(4.2e-6), _time(0)
    ('1.5 s', '1.23 ms', '4.2 us', '0 us')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"
