"""One rank breaks; all return in time, and what is shown is the traceback of the one that broke."""

from __future__ import annotations

import pytest
from conftest import both_families, on_openmpi

# From the start of the launcher: imports and MPI's own start and end take about two of these.
SECONDS = 15


def check_ends(run, status, *texts):
    assert run.status == status, f"{run.output}\n{run.errors}"
    assert run.seconds < SECONDS
    for text in texts:
        assert text in run.errors


@both_families
@pytest.mark.parametrize("ranks", [2, 3])
def test_an_exception_while_the_others_wait(on_ranks, family, ranks):
    code = """
    import girih as gr
    gr.barrier()
    if gr.rank() == 1:
        raise OverflowError("too much of it")
    gr.barrier()
    """
    check_ends(on_ranks(code, ranks, family), 1, f"girih: rank 1 of {ranks} on ", "OverflowError: too much of it")


@both_families
def test_an_exception_before_the_world_has_started(on_ranks, family):
    code = """
    import girih as gr
    if rank_and_size()[0] == 0:
        raise KeyError("early")
    gr.barrier()
    """
    check_ends(on_ranks(code, 2, family), 1, "girih: rank 0 of 2 on ", "KeyError: 'early'")


@both_families
def test_exit_with_a_status_while_the_others_wait(on_ranks, family):
    code = """
    import sys, girih as gr
    gr.barrier()
    if gr.rank() == 1:
        sys.exit(7)
    gr.barrier()
    """
    check_ends(on_ranks(code, 2, family), 7, "girih: rank 1 of 2 on ", "left with status 7")


@both_families
def test_a_callback_that_raises_in_the_middle_of_a_fit(on_ranks, family):
    code = """
    import girih as gr
    x = np.random.default_rng(0).standard_normal((50_000, 3))
    def callback(iteration, inertia, shift, changed):
        if iteration == 3 and gr.rank() == 1:
            raise ArithmeticError("in the third iteration")
    gr.cluster.KMeans(8, init=x[:8], max_iter=100, tol=0).fit(x, callback=callback)
    """
    run = on_ranks(code, 2, family)
    check_ends(run, 1, "girih: rank 1 of 2 on ", "ArithmeticError: in the third iteration", "in callback")
    assert "girih: rank 0 of 2" not in run.errors, "the rank that only heard of the error spoke first"


@both_families
def test_a_rank_error_can_be_caught_and_the_world_goes_on(on_ranks, family):
    code = """
    import girih as gr
    x = np.random.default_rng(0).standard_normal((50_000, 3))
    def callback(iteration, inertia, shift, changed):
        if iteration == 2 and gr.rank() == 0:
            raise ArithmeticError("here")
    try:
        gr.cluster.KMeans(4, init=x[:4], tol=0).fit(x, callback=callback)
        text = "nothing"
    except gr.RankError as error:
        text = f"rank {error.rank}: {error.traceback}"
    except ArithmeticError as error:
        text = str(error)
    give(text=text, total=gr.ones(100_000).sum().item())
    """
    given = on_ranks(code, 2, family).succeeded().given(2)
    assert str(given[0]["text"]) == "here"
    assert str(given[1]["text"]).startswith("rank 0:") and "ArithmeticError" in str(given[1]["text"])
    assert [float(each["total"]) for each in given] == [100_000, 100_000]


@both_families
def test_a_rank_that_is_killed_ends_the_job(on_ranks, family):
    code = """
    import signal, girih as gr
    gr.barrier()
    if gr.rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    gr.barrier()
    """
    run = on_ranks(code, 2, family)
    assert run.status != 0 and run.seconds < SECONDS


@on_openmpi
def test_a_mistake_of_all_ranks_is_raised_on_all(on_ranks):
    code = """
    import girih as gr
    try:
        gr.ones((100_000, 2)) + gr.ones((100_000, 3))
    except ValueError as error:
        give(text=str(error))
    """
    texts = {str(given["text"]) for given in on_ranks(code, 3).succeeded().given(3)}
    assert len(texts) == 1


def test_an_interrupt_leaves_the_world_usable(on_ranks):
    code = """
    import signal, threading, girih as gr
    x = gr.asarray(np.random.default_rng(0).standard_normal((200_000, 3)))
    timer = threading.Timer(0.7, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    try:
        while True:
            float(gr.hypot(x, x + 1).sum())
    except KeyboardInterrupt:
        pass
    assert gr.ones(100_000).sum().item() == 100_000
    """
    assert on_ranks(code, 1, timeout=30).succeeded().seconds < SECONDS


def test_python_itself_is_untouched_on_one_rank(on_ranks):
    code = """
    import sys
    before = sys.excepthook, sys.exit
    import girih
    assert (sys.excepthook, sys.exit) == before
    """
    on_ranks(code, 1).succeeded()
