"""Importing starts nothing, and one rank needs neither a launcher nor an MPI."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest
from conftest import both_families, run_command


def test_a_program_of_one_rank(on_ranks):
    run = on_ranks("import girih as gr; print(gr.size(), gr.arange(10).sum())", 1).succeeded()
    assert run.output.split() == ["1", "45"]


def test_without_a_plugin_and_without_a_library_of_mpi(on_ranks):
    code = """
    import girih as gr
    from girih import _native
    _native.set_plugin_dir("/nowhere")
    print(gr.size(), gr.arange(10).sum())
    assert "libmpi" not in Path("/proc/self/maps").read_text()
    """
    assert on_ranks(code, 1).succeeded().output.split() == ["1", "45"]


@both_families
def test_the_same_numbers_on_three_ranks(on_ranks, family):
    run = on_ranks("import girih as gr; print(f'{gr.size()} {gr.arange(10).sum()}\\n', end='')", 3, family).succeeded()
    assert sorted(run.output.split()) == ["3", "3", "3", "45", "45", "45"]


def test_importing_starts_neither_threads_nor_mpi(on_ranks):
    code = """
    import threading
    threads = len(os.listdir("/proc/self/task"))
    import girih
    assert len(os.listdir("/proc/self/task")) == threads
    assert "libmpi" not in Path("/proc/self/maps").read_text()
    """
    # NumPy starts the threads of its BLAS when it is imported, which PRELUDE has done by then.
    on_ranks(code, 1).succeeded()


@pytest.mark.parametrize("rest", ["", "girih.barrier()", "girih.arange(5).sum().item()", "sys.exit(0)"])
def test_a_program_ends_with_its_threads(tmp_path, rest):
    run = run_command([sys.executable, "-c", f"import sys, girih; {rest}"], tmp_path, timeout=20)
    assert (run.status, run.errors) == (0, "")


def test_an_exception_of_one_rank_alone_is_pythons_own_affair(on_ranks):
    run = on_ranks("import girih\n1 / 0", 1)
    assert run.status == 1
    assert "ZeroDivisionError" in run.errors
    assert "girih: rank" not in run.errors


def test_a_program_in_which_the_world_never_starts(on_ranks):
    on_ranks("import girih", 2).succeeded()


def test_public_names_are_there():
    girih = importlib.import_module("girih")
    missing = [name for name in girih.__all__ if not hasattr(girih, name)]
    assert not missing
    assert issubclass(girih.RankError, RuntimeError)


def test_a_bad_number_of_threads_is_an_error_that_names_the_variable(on_ranks):
    code = """
    import girih as gr
    try:
        gr.size()
    except ValueError as error:
        print(error)
    """
    run = on_ranks(textwrap.dedent(code), 1, extra={"GIRIH_NUM_THREADS": "many"}).succeeded()
    assert "GIRIH_NUM_THREADS" in run.output
