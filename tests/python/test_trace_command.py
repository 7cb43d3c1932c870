"""`girih trace` computes what a hand-made trace says, and reads what real ranks write."""

from __future__ import annotations

import json

import pytest
from conftest import needs
from PIL import Image


def span(name, category, rank, thread, begin, length, **arguments):
    return {
        "name": name, "cat": category, "ph": "X", "pid": rank, "tid": thread, "ts": begin, "dur": length,
        "args": arguments,
    }  # fmt: skip


def node(number, after=None, **more):
    return {"graph": "g", "launch": 1, "node": number, **({} if after is None else {"after": after}), **more}


def about(rank, workers, **more):
    known = {"rank": rank, "size": 2, "host": "h", "workers": workers, "begin": 0, "end": 100, "dropped": 0}
    return {"name": "girih_rank", "ph": "M", "pid": rank, "tid": 0, "args": {**known, "clock_error": 0, **more}}


# Microseconds. Rank 0 makes for 20, then folds for 30 while its message of 40 travels; rank 1 needs it, waits 5 for a
# worker and runs for 25; both then reduce for 5, rank 1 being the last to come.
EVENTS = [
    about(0, 2),
    about(1, 1),
    span("make", "task", 0, 2, 10, 20, **node(0)),
    span("fold", "task", 0, 3, 30, 30, **node(1, 0)),
    span("searching", "state", 0, 3, 0, 30),
    span("parked", "state", 0, 3, 60, 40),
    {"name": "steal", "ph": "i", "s": "t", "pid": 0, "tid": 3, "ts": 30, "args": {"victim": 0}},
    span("send", "message", 0, 1000, 30, 40, **node(2, 0, peer=1, bytes=4096, flow="0:0>1:0.0")),
    span("receive", "message", 1, 1000, 5, 45, **node(0, peer=0, bytes=4096, flow="0:0>1:0.0")),
    span("use", "task", 1, 2, 55, 25, **node(1, 0)),
    span("all-reduce", "collective", 0, 1000, 70, 15, **node(3, 1, collective=0, bytes=8)),
    span("all-reduce", "collective", 1, 1000, 80, 5, **node(2, 1, collective=0, bytes=8)),
    span("wait", "main", 0, 0, 0, 90),
    span("asleep", "state", 0, 1, 0, 30),
    span("polling", "state", 0, 1, 30, 70),
]


@pytest.fixture
def summary(command, tmp_path):
    def of(events):
        (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": events}))
        return json.loads(command("trace", "trace.json", "--json").succeeded().output)

    return of


def test_known_numbers_are_found(summary):
    found = summary(EVENTS)
    micro = 1e-6
    first, second = found["ranks"]
    assert found["seconds"] == pytest.approx(100 * micro)
    assert [worker["busy"] for worker in first["workers"]] == pytest.approx([20 * micro, 30 * micro])
    assert [worker["idle"] for worker in first["workers"]] == pytest.approx([80 * micro, 70 * micro])
    assert first["workers"][1]["searching"] == pytest.approx(30 * micro)
    assert first["workers"][1]["parked"] == pytest.approx(40 * micro)
    assert [worker["steals"] for worker in first["workers"]] == [0, 1]
    assert (first["main_waiting"], first["comm_active"]) == pytest.approx((90 * micro, 70 * micro))
    assert (first["messages"], first["collectives"], first["bytes"]) == (1, 1, 4104)
    assert (second["messages"], second["collectives"], second["bytes"]) == (0, 1, 8)
    # Rank 0 has messages under way from 30 to 85 and folds from 30 to 60; rank 1 from 5 to 50 and 80 to 85, and uses
    # from 55 to 80.
    assert (first["in_flight"], first["overlap"]) == pytest.approx((55 * micro, 30 / 55))
    assert (second["in_flight"], second["overlap"]) == pytest.approx((50 * micro, 0))
    assert [(label["label"], label["tasks"]) for label in found["labels"]] == [("fold", 1), ("use", 1), ("make", 1)]


def test_the_critical_path_crosses_ranks(summary):
    parts = summary(EVENTS)["critical_path"]
    found = {(part["kind"], part["label"]): part["seconds"] * 1e6 for part in parts["parts"]}
    assert found == pytest.approx({
        ("collective", "all-reduce"): 5, ("task", "use"): 25, ("ready", "no worker yet"): 5, ("message", "message"): 20,
        ("task", "make"): 20, ("outside", "outside of graphs"): 10,
    })  # fmt: skip
    assert parts["seconds"] == pytest.approx(85e-6)


def test_a_trace_without_tasks_has_no_path(summary):
    found = summary([about(0, 1)])
    assert found["labels"] == [] and found["critical_path"]["steps"] == 0
    assert found["ranks"][0]["overlap"] is None


def test_tables_and_pictures(command, tmp_path):
    (tmp_path / "trace.json").write_text(json.dumps({"traceEvents": EVENTS}))
    run = command("trace", "trace.json", "--output", "trace.png").succeeded()
    assert "Critical path, 85 us in" in run.output and "task use" in run.output
    with Image.open(tmp_path / "trace.png") as picture:
        assert picture.size[0] > 800 and len(picture.convert("RGB").getcolors(1 << 24)) > 4
    command("trace", "trace.json", "--output", "trace.svg").succeeded()
    assert "<svg" in (tmp_path / "trace.svg").read_text()


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        (None, [], "trace.json: no such file"),
        ("{", [], "not a trace in the Chrome format"),
        ('{"traceEvents": []}', [], "not a trace of girih"),
        ('{"traceEvents": []}', ["--output", "picture.gif"], "must end in one of .png, .svg, .pdf"),
    ],
)
def test_mistakes_are_told(command, tmp_path, content, arguments, words):
    if content is not None:
        (tmp_path / "trace.json").write_text(content)
    run = command("trace", "trace.json", *arguments)
    assert run.status == 2 and words in run.errors and "Traceback" not in run.errors


@pytest.mark.parametrize("family", [needs("openmpi")])
def test_a_trace_of_two_ranks_is_read(on_ranks, command, family, tmp_path):
    code = """
        import girih as gr
        x = gr.arange(400_000.0).reshape(100_000, 4)
        with gr.trace("fit.json"):
            gr.cluster.KMeans(n_clusters=3, random_state=0, max_iter=5).fit(x)
    """
    run = on_ranks(code, 2, family, threads=2).succeeded()
    found = json.loads(command("trace", run.folder / "fit.json", "--json", "--output", "fit.png").succeeded().output)
    assert [len(rank["workers"]) for rank in found["ranks"]] == [2, 2] and found["dropped"] == 0
    for rank in found["ranks"]:
        assert rank["collectives"] > 0 and 0 <= rank["overlap"] <= 1
        assert all(0 <= worker["busy"] <= rank["seconds"] for worker in rank["workers"])
    tasks = sum(label["tasks"] for label in found["labels"])
    assert tasks == sum(worker["tasks"] for rank in found["ranks"] for worker in rank["workers"]) > 0
    path = found["critical_path"]
    assert 0 < path["seconds"] <= found["seconds"] * 1.001
    assert any(part["kind"] == "task" for part in path["parts"])
    assert (tmp_path / "fit.png").stat().st_size > 0
