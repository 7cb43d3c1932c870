"""Runs the tests of installed libraries against girih: a pytest plugin that puts our names in place of theirs.

    python -m pytest -p rivals --pyargs sklearn.cluster.tests.test_k_means

With `tests/python` on `PYTHONPATH`. It acts before a test module is imported, so the module takes our names. Tests that
cannot pass are listed in `rivals_left_out.py`, each with its reason; they are deselected, and a name there that no test
has is an error.
Never here: tests of our own.
"""

from __future__ import annotations

import pytest
from rivals_left_out import LEFT_OUT

import girih as gr


def pytest_configure(config):
    replace_scikit_learn()
    replace_scipy()


def replace_scikit_learn():
    from sklearn import cluster
    from sklearn.cluster import _bisect_k_means, _kmeans

    for name in ("KMeans", "MiniBatchKMeans", "BisectingKMeans", "k_means", "kmeans_plusplus"):
        ours = getattr(gr.cluster, name)
        for module in (cluster, _kmeans, _bisect_k_means):
            if hasattr(module, name):
                setattr(module, name, ours)


def replace_scipy():
    from scipy._lib._array_api import xp_capabilities_table
    from scipy.cluster import vq

    for name in ("kmeans", "kmeans2", "vq", "whiten", "ClusterError"):
        theirs, ours = getattr(vq, name), getattr(gr.cluster.vq, name)
        if theirs in xp_capabilities_table:
            # What SciPy's test decorators ask: with which array libraries a function works.
            xp_capabilities_table[ours] = xp_capabilities_table[theirs]
        setattr(vq, name, ours)


def pytest_collection_modifyitems(config, items):
    kept, left_out, known = [], [], set()
    for item in items:
        module = item.module.__name__.rpartition(".")[2]
        names = {f"{module}::{item.name}", f"{module}::{getattr(item, 'originalname', item.name)}"}
        hit = names & LEFT_OUT.keys()
        known |= hit
        (left_out if hit else kept).append(item)
    modules = {item.module.__name__.rpartition(".")[2] for item in items}
    missing = {name for name in LEFT_OUT if name.partition("::")[0] in modules} - known
    if missing and not config.getoption("keyword"):
        raise pytest.UsageError(f"rivals_left_out.py names tests that do not exist: {sorted(missing)}")
    items[:] = kept
    config.hook.pytest_deselected(items=left_out)
