"""The README's program prints what the README says, at every number of ranks."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from conftest import has, launch_line, run_command

README = (Path(__file__).parents[2] / "README.md").read_text()
PROGRAM = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
SHOWN = re.search(r"```text\n\$ python blobs.py\n(.*?)```", README, re.DOTALL)[1]


@pytest.mark.parametrize(("ranks", "threads"), [(1, 1), (1, 2), (2, 1), (3, 1), (4, 2)])
def test_the_program_prints_the_same_numbers(command, tmp_path, ranks, threads):
    (tmp_path / "blobs.py").write_text(PROGRAM)
    lines = [line for line in SHOWN.splitlines() if not line.startswith("$")]
    assert lines, "the README shows no output"
    expected = {line.partition(": ")[2] for line in lines}
    run = command("run", "-n", str(ranks), "--threads", str(threads), "blobs.py").succeeded()
    printed = run.output.strip().partition(": ")
    assert printed[0] == f"{ranks} rank(s)" and {printed[2]} == expected, sys.version


def test_the_executors_program_prints_what_is_shown(tmp_path):
    program = re.search(r"```python\n(# squares.py.*?)```", README, re.DOTALL)[1]
    shown = re.search(r"\$ python squares.py\n(.*?)\n", README)[1]
    (tmp_path / "squares.py").write_text(program)
    line = [sys.executable, "-m", "girih.futures", str(tmp_path / "squares.py")]
    for start in ([], launch_line("openmpi", 2)) if has("openmpi") else ([],):
        assert run_command([*start, *line], tmp_path).succeeded().output.split() == [shown]
