"""A fit whose job ends goes on from its checkpoint, on another number of ranks, to the bits of an undisturbed one."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FAMILIES, needs

import girih as gr

FIT = """
import signal
import girih as gr

folder = Path(os.environ["TEST_OUTPUT"]).parent
rng = np.random.default_rng(1)
x = gr.asarray(rng.random((20_011, 6)))
killed = os.environ.get("TEST_KILL")

def callback(iteration, *_):
    if killed and iteration == 7 and gr.rank() == gr.size() - 1:
        os.kill(os.getpid(), signal.SIGKILL)

parameters = {} if killed else {"resume": folder / "fit"} if os.environ.get("TEST_RESUME") else {}
km = gr.cluster.KMeans(40, init=np.asarray(x[:40]), tol=0, max_iter=60)
km.fit(x, callback=callback, checkpoint=folder / ("fit" if killed else "other"), every=3, **parameters)
give(centres=km.cluster_centers_, labels=np.asarray(km.labels_), inertia=km.inertia_, iterations=km.n_iter_)
"""


@pytest.mark.parametrize(("before", "after"), [(2, 3), (3, 1)])
@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
def test_a_rank_killed_in_iteration_7_costs_one_iteration(on_ranks, family, before, after):
    expected = on_ranks(FIT, 1).succeeded().given(1)[0]
    assert on_ranks(FIT, before, family, extra={"TEST_KILL": "1"}).status != 0
    given = on_ranks(FIT, after, family, extra={"TEST_RESUME": "1"}).succeeded().given(after)
    for found in given:
        assert [name for name, value in expected.items() if value.tobytes() != found[name].tobytes()] == []


def test_mistakes_about_checkpoints_are_named(tmp_path):
    x = np.random.default_rng(0).random((50, 2))
    km = gr.cluster.KMeans(3, random_state=0)
    km.fit(x, checkpoint=tmp_path / "fit", every=1)
    assert km.fit(x, resume=tmp_path / "fit").inertia_ == km.fit(x).inertia_
    for data, parameters, clusters, text in [
        (x, {"resume": tmp_path / "none"}, 3, "cannot be read"),
        (x[:40], {"resume": tmp_path / "fit"}, 3, "other data"),
        (x, {"resume": tmp_path / "fit"}, 4, "3 clusters, not 4"),
        (x, {"checkpoint": tmp_path / "fit", "every": 0}, 3, "every"),
    ]:
        with pytest.raises(ValueError, match=text):
            gr.cluster.KMeans(clusters, random_state=0).fit(data, **parameters)
    with pytest.raises(ValueError, match="n_init"):
        gr.cluster.KMeans(3, n_init=2).fit(x, checkpoint=tmp_path / "fit")
