"""A fit that is interrupted ends with the best model so far; while it goes on it can be watched."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest
from conftest import FAMILIES, needs
from sklearn.exceptions import ConvergenceWarning

import girih as gr

X = np.random.default_rng(3).random((60_000, 8))
LONG = np.random.default_rng(4).random((250_000, 8))


def test_ctrl_c_leaves_the_best_model_so_far(tmp_path):
    def callback(iteration, *_):
        if iteration == 4:
            os.kill(os.getpid(), signal.SIGINT)

    km = gr.cluster.KMeans(50, init=X[:50], tol=0, max_iter=40)
    with pytest.warns(ConvergenceWarning, match="interrupted after 5 iterations"):
        km.fit(X, callback=callback, checkpoint=tmp_path / "fit", every=100)
    expected = gr.cluster.KMeans(50, init=X[:50], tol=0, max_iter=5).fit(X)
    assert km.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    assert np.array_equal(km.labels_, expected.labels_) and km.inertia_ == expected.inertia_
    resumed = gr.cluster.KMeans(50, init=X[:50], tol=0, max_iter=40).fit(X, resume=tmp_path / "fit")
    assert resumed.inertia_ == gr.cluster.KMeans(50, init=X[:50], tol=0, max_iter=40).fit(X).inertia_


def test_a_fit_without_callback_hears_ctrl_c():
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    km = gr.cluster.KMeans(300, init=LONG[:300], n_init=1, tol=0, max_iter=100_000)
    timer.start()
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        km.fit(LONG)
    assert 0 < km.n_iter_ < 100_000 and km.cluster_centers_.shape == (300, 8)


def test_other_signals_raise_what_their_handler_raises():
    def handler(*_):
        raise TimeoutError("too long")

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TimeoutError, match="too long"):
            gr.cluster.KMeans(300, init=LONG[:300], n_init=1, tol=0, max_iter=100_000).fit(LONG)
    finally:
        signal.signal(signal.SIGALRM, before)


INTERRUPT = """
import signal, warnings
import girih as gr

warnings.simplefilter("ignore")
x = gr.asarray(np.random.default_rng(3).random((20_011, 6)))

def callback(iteration, *_):
    if iteration == 3 and gr.rank() == gr.size() - 1:
        os.kill(os.getpid(), signal.SIGINT)

km = gr.cluster.KMeans(40, init="random", n_init=4, random_state=0, tol=0, max_iter=60).fit(x, callback=callback)
give(centres=km.cluster_centers_, iterations=km.n_iter_)
"""


@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
def test_an_interrupt_of_one_rank_ends_all_alike(on_ranks, family):
    given = on_ranks(INTERRUPT, 2, family).succeeded().given(2)
    assert [int(each["iterations"]) for each in given] == [4, 4]
    assert given[0]["centres"].tobytes() == given[1]["centres"].tobytes()


def test_verbose_2_shows_a_bar(capfd):
    gr.cluster.KMeans(3, init=X[:3], verbose=2, max_iter=7, tol=0).fit(X[:500])
    assert "7/7" in capfd.readouterr().err
