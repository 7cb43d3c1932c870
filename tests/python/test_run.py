"""`girih run`: finds the launcher, passes everything through, leaves nothing behind."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from conftest import both_families, environment, on_openmpi


def script(folder, text):
    path = folder / "program.py"
    path.write_text(text)
    return str(path)


@both_families
def test_output_arguments_and_threads_pass_through(command, tmp_path, family):
    show = "print(gr.rank(), sys.argv[1:], os.environ['GIRIH_NUM_THREADS'])"
    path = script(tmp_path, f"import os, sys, girih as gr\n{show}")
    run = command("run", "-n", "2", "--threads", "1", "--launcher", f"mpirun.{family}", path, "-n", "9").succeeded()
    assert sorted(run.output.splitlines()) == ["0 ['-n', '9'] 1", "1 ['-n', '9'] 1"]


@both_families
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_exit_status_passes_through(command, tmp_path, family, ranks):
    path = script(tmp_path, "import sys\nsys.exit(5)")
    run = command("run", "-n", str(ranks), "--launcher", f"mpirun.{family}", path)
    assert run.status == 5


@both_families
@pytest.mark.parametrize("beginning", ["", "import girih as gr\ngr.barrier()\n"], ids=["before girih", "in girih"])
def test_a_failing_rank_ends_the_job_and_shows_its_traceback(command, tmp_path, family, beginning):
    text = f"""{beginning}
import time
from girih.launched import rank_and_size
def inner():
    raise LookupError("not where it was")
if rank_and_size()[0] == 1:
    inner()
time.sleep(60)
"""
    run = command("run", "-n", "2", "--launcher", f"mpirun.{family}", script(tmp_path, text), timeout=40)
    assert run.status == 1 and run.seconds < 15
    assert "girih: rank 1 of 2 on" in run.errors
    assert "LookupError: not where it was" in run.errors and ", in inner" in run.errors
    assert "runpy" not in run.errors, "the traceback begins in the script"


@both_families
def test_the_time_limit_ends_the_job(command, tmp_path, family):
    path = script(tmp_path, "import time, girih as gr\ngr.barrier()\ntime.sleep(60)")
    run = command("run", "-n", "2", "--timeout", "4", "--launcher", f"mpirun.{family}", path, timeout=40)
    assert run.status == 124 and run.seconds < 25
    assert "did not end within 4 s" in run.errors


@both_families
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_signal_leaves_nothing_behind(tmp_path, family, number):
    text = """
import os, sys, time, girih as gr
gr.barrier()
open(f"{sys.argv[1]}/{os.getpid()}.pid", "w").close()
time.sleep(60)
"""
    line = [sys.executable, "-m", "girih", "run", "-n", "2", "--launcher", f"mpirun.{family}"]
    process = subprocess.Popen(
        [*line, script(tmp_path, text), str(tmp_path)], env=environment(1, {}),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pids = wait_until(lambda: pids if len(pids := [int(p.stem) for p in tmp_path.glob("*.pid")]) == 2 else None)
    process.send_signal(number)
    status = process.wait(timeout=20)
    assert status == (128 + number if number != signal.SIGKILL else -number)
    wait_until(lambda: not any(runs(pid) for pid in pids))


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_module_and_its_arguments(command, tmp_path):
    (tmp_path / "answer.py").write_text("import sys\nprint(__name__, sys.argv[1:])")
    assert command("run", "-m", "answer", "-x").succeeded().output == "__main__ ['-x']\n"


@on_openmpi
def test_a_module_on_two_ranks(command, tmp_path):
    (tmp_path / "answer.py").write_text("import sys\nprint(f'{__name__} {sys.argv[1:]}')")
    run = command("run", "-n", "2", "-m", "answer", "-x").succeeded()
    # The ranks' lines may run into each other.
    assert run.output.count("__main__ ['-x']") == 2


def check_mistake(run, *texts):
    assert run.status == 2
    assert len(run.errors.splitlines()) == 1 and "Traceback" not in run.errors
    for text in texts:
        assert text in run.errors


def test_a_missing_script_is_named(command):
    check_mistake(command("run", "-n", "2", "nothing.py"), "nothing.py: no such file")


def test_a_missing_launcher_is_said_with_what_to_install(command, tmp_path):
    path = script(tmp_path, "")
    run = command("run", "-n", "2", path, extra={"PATH": str(tmp_path)})
    check_mistake(run, "no mpirun and no srun found", "apt install")


def test_a_launcher_that_is_none_is_refused(command, tmp_path):
    path = tmp_path / "mpirun"
    path.write_text("#!/bin/sh\necho something else 1.0\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    check_mistake(command("run", "-n", "2", "--launcher", path, script(tmp_path, "")), str(path), "does not look like")
    check_mistake(command("run", "-n", "2", "--launcher", "mpirum", script(tmp_path, "")), "'mpirum'")


def test_inside_an_allocation_of_slurm_its_launcher_is_used(command, tmp_path):
    """A stand-in for srun that says how it was called: Slurm itself is not here."""
    path = tmp_path / "srun"
    path.write_text('#!/bin/sh\nif [ "$1" = --version ]; then echo slurm 23.02; else echo "$@"; fi\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    inside = {"SLURM_JOB_ID": "1", "PATH": os.pathsep.join([str(tmp_path), os.environ["PATH"]])}
    run = command("run", "-n", "4", "--threads", "3", script(tmp_path, ""), "a", extra=inside).succeeded()
    for option in ("--ntasks=4", "--cpus-per-task=3", "--kill-on-bad-exit=1", "--cpu-bind=none"):
        assert option in run.output.split()
    assert run.output.split()[-1] == "a"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["run"], ["run", "-n", "0", "x.py"], ["kmeans", "x.npy"]])
def test_a_wrong_command_line_ends_with_status_two(command, arguments):
    run = command(*arguments)
    assert run.status == 2 and "Traceback" not in run.errors
