"""The tests of those whose place gr.futures takes, run against it: CPython's of executors, joblib's of `Parallel`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from conftest import run_command

FOLDER = Path(__file__).parent


def test_the_interpreters_own_tests_of_executors(tmp_path):
    run = run_command([sys.executable, FOLDER / "rivals_executors.py"], tmp_path, timeout=300)
    if run.status == 3:
        pytest.skip("CPython's tests of executors need 3.12 or newer: make test-executors PYTHON=/its/path runs them")
    assert re.search(r"\b30 passed of 30\b", run.succeeded().output)


def test_joblibs_own_tests_of_parallel(tmp_path):
    import rivals_joblib

    module = rivals_joblib.write_module(tmp_path)
    paths = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    options = ["-q", "-p", "rivals_joblib", "-p", "no:cacheprovider", "-k", "girih"]
    line = [sys.executable, "-m", "pytest", *options, module]
    run = run_command(line, tmp_path, timeout=400, extra={"PYTHONPATH": paths}).succeeded()
    passed = sum(int(count) for count in re.findall(r"(\d+) x?passed", run.output))
    assert passed == 150 - len(rivals_joblib.JOBLIB_LEFT_OUT), run.output
