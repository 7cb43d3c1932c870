"""girih and mpi4py in one program: whoever comes first starts MPI, and both work to the end."""

from __future__ import annotations

import pytest
from conftest import both_families

TALK = """
total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank + 1)
x = gr.arange(100_000)
assert x.sum().item() == 100_000 * 99_999 // 2
assert (gr.rank(), gr.size()) == (MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size)
assert MPI.COMM_WORLD.allreduce(1) == gr.size()
gr.barrier()
give(total=total)
"""


@both_families
@pytest.mark.parametrize(
    "beginning",
    [
        "from mpi4py import MPI\nimport girih as gr\ngr.barrier()",
        "import girih as gr\ngr.barrier()\nfrom mpi4py import MPI",
        "import girih as gr\nfrom mpi4py import MPI\nassert MPI.Is_initialized()\ngr.barrier()",
    ],
    ids=["mpi4py starts MPI", "girih starts MPI", "girih is imported, mpi4py starts MPI"],
)
def test_in_either_order(on_ranks, mpi4py_variables, family, beginning):
    run = on_ranks(f"{beginning}\n{TALK}", 2, family, extra=mpi4py_variables(family)).succeeded()
    assert [int(given["total"]) for given in run.given(2)] == [3, 3]


@both_families
@pytest.mark.parametrize("level", ["single", "funneled"])
def test_a_thread_level_too_low_is_refused_in_words(on_ranks, mpi4py_variables, family, level):
    code = f"""
    import mpi4py
    mpi4py.rc.thread_level = "{level}"
    from mpi4py import MPI
    import girih as gr
    granted = MPI.Query_thread()
    if granted >= MPI.THREAD_SERIALIZED:
        give(text="", size=gr.size())
    else:
        try:
            gr.size()
            give(text="no error")
        except RuntimeError as error:
            give(text=str(error))
    """
    run = on_ranks(code, 2, family, extra=mpi4py_variables(family)).succeeded()
    for given in run.given(2):
        text = str(given["text"])
        # An MPI may grant more than it was asked for, and then there is nothing to refuse.
        assert ("thread" in text.lower() and "MPI_THREAD_" in text) or given["size"] == 2


@both_families
def test_mpi4py_may_end_mpi_first(on_ranks, mpi4py_variables, family):
    code = """
    from mpi4py import MPI
    import girih as gr
    assert gr.ones(50_000).sum().item() == 50_000
    """
    on_ranks(code, 2, family, extra=mpi4py_variables(family)).succeeded()


@both_families
def test_a_failing_rank_ends_a_job_that_mpi4py_began(on_ranks, mpi4py_variables, family):
    code = """
    from mpi4py import MPI
    import girih as gr
    if MPI.COMM_WORLD.rank == 1:
        raise LookupError("the middle of nowhere")
    MPI.COMM_WORLD.Barrier()
    """
    run = on_ranks(code, 2, family, timeout=30, extra=mpi4py_variables(family))
    assert run.status != 0
    assert "LookupError: the middle of nowhere" in run.errors
