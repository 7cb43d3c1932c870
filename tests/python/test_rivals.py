"""scikit-learn's and SciPy's own tests of clustering, run against girih; see `rivals.py`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from conftest import run_command

# scikit-learn lists these for its own KMeans, too: its seeds depend on how often a row is there.
EQUIVALENCE = {
    "check_sample_weight_equivalence_on_dense_data": "k-means++ draws rows, and a repeated row changes the draws",
    "check_sample_weight_equivalence_on_sparse_data": "k-means++ draws rows, and a repeated row changes the draws",
}


def check_module(tmp_path, module, least):
    """Passes if every test of the module that is not left out passes, and at least so many do."""
    folder = Path(__file__).parent
    paths = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    line = [sys.executable, "-m", "pytest", "-q", "-p", "rivals", "-p", "no:cacheprovider", "--pyargs", module]
    run = run_command(line, tmp_path, timeout=300, extra={"PYTHONPATH": paths}).succeeded()
    assert int(re.search(r"(\d+) passed", run.output)[1]) >= least


@pytest.mark.parametrize(
    ("module", "least"),
    [
        ("sklearn.cluster.tests.test_k_means", 260),
        ("sklearn.cluster.tests.test_bisect_k_means", 22),
        ("scipy.cluster.tests.test_vq", 33),
    ],
)
def test_the_rivals_own_tests(tmp_path, module, least):
    check_module(tmp_path, module, least)


@pytest.mark.parametrize("name", ["KMeans", "MiniBatchKMeans", "BisectingKMeans"])
def test_scikit_learns_checks_of_an_estimator(name):
    from sklearn.utils.estimator_checks import check_estimator

    import girih as gr

    outcomes = check_estimator(getattr(gr.cluster, name)(), expected_failed_checks=EQUIVALENCE, on_skip=None)
    assert sum(outcome["status"] == "passed" for outcome in outcomes) >= 50
