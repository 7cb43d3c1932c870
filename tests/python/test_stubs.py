"""The stub says what the native module has, the package's own types hold, and the examples in the docs run."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import girih
import pytest

PACKAGE = Path(girih.__file__).parent
CONFIGURATION = Path(__file__).parents[2] / "bindings" / "pyproject.toml"
MODULES = ["girih"] + [
    module.name
    for module in pkgutil.walk_packages(girih.__path__, "girih.")
    if not module.name.endswith(("__main__", "._native"))
]


def check_tool(*line):
    run = subprocess.run([sys.executable, "-m", *line], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"


def test_the_package_is_typed():
    check_tool("mypy", "--config-file", str(CONFIGURATION), "-p", "girih", "--cache-dir", os.devnull)


def test_the_stub_is_the_native_module():
    check_tool("mypy.stubtest", "girih._native", "--ignore-positional-only", "--mypy-config-file", str(CONFIGURATION))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docs_run(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def test_examples_in_the_stub_run():
    """They are a user's first look at each function."""
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    runner = doctest.DocTestRunner()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
            name = getattr(node, "name", "girih._native")
            runner.run(doctest.DocTestParser().get_doctest(text, {}, name, "_native.pyi", None))
    assert runner.tries > 0
    assert runner.failures == 0
