"""Ranks that are killed, stopped, starved or interrupted: the job goes on, or all of it ends in time and says why.

Exceptions of one rank are in `test_failure.py`, programs that diverge in `test_divergence.py`.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

from conftest import PRELUDE, both_families, launch_line, run_command

# From the start of the launcher to the end of a job that must end.
SECONDS = 15


@both_families
def test_a_killed_rank_is_named_and_the_job_ends(command, tmp_path, family):
    script = tmp_path / "killed.py"
    script.write_text("""
import os, signal, time, girih as gr
gr.barrier()
if gr.rank() == 1:
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)
gr.barrier()
""")
    run = command("run", "-n", "3", "--launcher", f"mpirun.{family}", script, timeout=30)
    assert run.status not in (0, None) and run.seconds < SECONDS, run.errors
    assert re.search(r"rank 1\b", run.errors), run.errors


@both_families
def test_a_rank_that_was_stopped_goes_on_and_the_others_say_what_they_wait_for(on_ranks, family):
    code = """
    import subprocess, time
    from girih.launched import rank_and_size
    if rank_and_size()[0] == 1:
        me = os.getpid()
        subprocess.Popen(["sh", "-c", f"sleep 3; kill -STOP {me}; sleep 20; kill -CONT {me}"])
    import girih as gr
    x = gr.ones((60_000, 2))
    totals, begin = [], time.monotonic()
    for step in range(50):
        totals.append(float((x * step).sum()))
        time.sleep(0.1)
    give(totals=totals, seconds=time.monotonic() - begin)
    """
    run = on_ranks(code, 2, family, timeout=90, extra={"GIRIH_WATCHDOG": "2"}).succeeded()
    for given in run.given(2):
        assert given["totals"].tolist() == [120_000.0 * step for step in range(50)]
        assert float(given["seconds"]) > 20, "the rank was not stopped"
    words = [line for line in run.errors.splitlines() if "girih: rank 0 has waited" in line]
    # After 2, 4, 8 and 16 seconds.
    assert len(words) == 4, run.errors
    assert "sum over axes" in words[0] and "program.py:" in words[0] and "last completed" in words[0]
    assert "some rank has not come" in words[0]


@both_families
def test_a_rank_that_does_not_come_is_named(on_ranks, family):
    code = """
    import time, girih as gr
    total = float(gr.ones((60_000, 2)).sum())
    if gr.rank() == 1:
        time.sleep(4)
    gr.barrier()
    """
    run = on_ranks(code, 3, family, extra={"GIRIH_WATCHDOG": "1"}).succeeded()
    words = [line for line in run.errors.splitlines() if "girih: rank 0 has waited" in line]
    assert words, run.errors
    assert re.search(r"; rank 1 has been outside of girih for \d+ s, since step \d+, `[^`]*sum over axes", words[0])
    assert re.search(r"; rank 2 has been in step \d+, `barrier at .*program.py:\d+`, for \d+ s", words[0]), words[0]


@both_families
def test_a_slow_rank_is_waited_for_in_silence(on_ranks, family):
    code = """
    import time, girih as gr
    gr.barrier()
    time.sleep(gr.rank())
    gr.barrier()
    """
    run = on_ranks(code, 2, family, extra={"GIRIH_WATCHDOG": "5"}).succeeded()
    assert "has waited" not in run.errors


@both_families
def test_two_ranks_with_all_their_threads_on_one_core(on_ranks, family):
    code = """
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import girih as gr
    x = gr.arange(200_000.0).reshape(100_000, 2)
    centers = gr.cluster.KMeans(3, init=np.arange(6.0).reshape(3, 2), n_init=1, max_iter=20).fit(x).cluster_centers_
    give(totals=[float((x + step).sum()) for step in range(20)], centers=centers)
    """
    alone = on_ranks(code, 1).succeeded().given(1)[0]
    for given in on_ranks(code, 2, family, timeout=60).succeeded().given(2):
        assert np_equal(given, alone)


@both_families
def test_eight_ranks_on_the_cores_there_are(on_ranks, family):
    code = """
    import girih as gr
    x = gr.arange(200_000.0).reshape(100_000, 2)
    for _ in range(20):
        gr.barrier()
    give(totals=[float((x * step).sum()) for step in range(10)])
    """
    alone = on_ranks(code, 1).succeeded().given(1)[0]
    for given in on_ranks(code, 8, family, timeout=120).succeeded().given(8):
        assert np_equal(given, alone)


def np_equal(given, expected):
    return given.keys() == expected.keys() and all((given[name] == expected[name]).all() for name in expected)


def test_two_interrupts_leave_the_world_usable(on_ranks):
    code = """
    import signal, threading, girih as gr
    x = gr.asarray(np.random.default_rng(0).standard_normal((200_000, 3)))
    interrupts = 0
    for _ in range(2):
        threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            while True:
                float(gr.hypot(x, x + 1).sum())
        except KeyboardInterrupt:
            interrupts += 1
        assert float(gr.ones(100_000).sum()) == 100_000
    give(interrupts=interrupts)
    """
    assert int(on_ranks(code, 1, timeout=40).succeeded().given(1)[0]["interrupts"]) == 2


@both_families
def test_an_interrupt_of_the_launcher_ends_all_ranks(tmp_path, family):
    script = tmp_path / "forever.py"
    script.write_text(PRELUDE + """
import girih as gr
x = gr.ones((100_000, 2))
while True:
    float(x.sum())
    x = x + 1
""")
    interrupt = ["timeout", "--signal=INT", "--kill-after=30", "5"]
    run = run_command([*interrupt, *launch_line(family, 2), sys.executable, script], tmp_path, timeout=50)
    assert run.status != 0 and run.seconds < 5 + SECONDS
    deadline = time.monotonic() + 5
    while left := [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(script) in text_of(path)]:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.1)


def text_of(path):
    """A file of /proc, which may be gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
