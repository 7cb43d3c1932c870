"""MiniBatchKMeans, BisectingKMeans and vq: scikit-learn's and SciPy's results from the same seeds, on any ranks."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.cluster.vq as scipy_vq
import sklearn.cluster as sklearn_cluster
from conftest import FAMILIES, needs, same_bytes

import girih as gr


def blobs(rows, columns, centres, seed):
    rng = np.random.default_rng(seed)
    middles = 5 * rng.standard_normal((centres, columns))
    return middles[rng.integers(centres, size=rows)] + rng.standard_normal((rows, columns))


@pytest.mark.parametrize("name", ["MiniBatchKMeans", "BisectingKMeans"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_same_seed_gives_scikit_learns_model(name, weighted):
    x = blobs(5000, 4, 8, 0)
    weights = np.random.default_rng(1).integers(1, 4, len(x)).astype(float) if weighted else None
    theirs = getattr(sklearn_cluster, name)(8, random_state=0, n_init=1).fit(x, sample_weight=weights)
    ours = getattr(gr.cluster, name)(8, random_state=0, n_init=1).fit(x, sample_weight=weights)
    np.testing.assert_array_equal(ours.labels_, theirs.labels_)
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-8, atol=1e-8)
    assert ours.inertia_ == pytest.approx(theirs.inertia_)
    np.testing.assert_array_equal(ours.predict(x[:99]), theirs.predict(x[:99]))


@pytest.mark.parametrize("strategy", ["biggest_inertia", "largest_cluster"])
def test_bisecting_divides_as_it_was_told(strategy):
    x = blobs(3000, 3, 5, 2)
    parameters = {"n_clusters": 6, "random_state": 3, "bisecting_strategy": strategy}
    theirs = sklearn_cluster.BisectingKMeans(**parameters).fit(x)
    ours = gr.cluster.BisectingKMeans(**parameters).fit(gr.asarray(x))
    np.testing.assert_array_equal(np.asarray(ours.labels_), theirs.labels_)
    np.testing.assert_array_equal(np.asarray(ours.predict(gr.asarray(x))), theirs.labels_)


@pytest.mark.parametrize("seed", [{"rng": 5}, {"seed": 5}], ids=["rng", "seed"])
@pytest.mark.parametrize("minit", ["points", "++", "random"])
def test_kmeans2_draws_scipys_start(minit, seed):
    x = blobs(2000, 4, 6, 3)
    theirs = scipy_vq.kmeans2(x, 6, minit=minit, **seed)
    for data in (x, gr.asarray(x)):
        ours = gr.cluster.vq.kmeans2(data, 6, minit=minit, **seed)
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10, atol=1e-10)
        np.testing.assert_array_equal(np.asarray(ours[1]), theirs[1])


def test_kmeans_and_vq_are_scipys():
    x = blobs(2000, 3, 6, 4)
    for k in (6, x[:6], gr.asarray(x[:6])):
        given = np.asarray(k) if isinstance(k, gr.Array) else k
        book, distortion = gr.cluster.vq.kmeans(gr.asarray(x), k, rng=1, iter=3)
        expected, theirs = scipy_vq.kmeans(x, given, rng=1, iter=3)
        np.testing.assert_allclose(book, expected, rtol=1e-10)
        assert distortion == pytest.approx(theirs)
    # Whole numbers far apart, for rounding decides between codes that are equally near.
    for dtype, x, book in ((np.float32, x, book), (np.float64, x, book), (np.int64, 1e6 * x, 1e6 * book)):
        ours = gr.cluster.vq.vq(x.astype(dtype), book.astype(dtype))
        theirs = scipy_vq.vq(x.astype(dtype), book.astype(dtype))
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_allclose(mine, other, rtol=1e-4 if dtype == np.float32 else 1e-9)
    np.testing.assert_allclose(gr.cluster.vq.whiten(x), scipy_vq.whiten(x))


def test_an_empty_code_book_leaves_defined_codes():
    codes, distances = gr.cluster.vq.vq(np.ones((3, 2)), np.empty((0, 2)))
    assert codes.tolist() == [-1, -1, -1] and np.isinf(distances).all()


RANKS = """
import girih as gr

rng = np.random.default_rng(0)
x = rng.standard_normal((9001, 5)) + 6 * rng.integers(0, 4, (9001, 1))
weights = rng.random(len(x))
found = {}
for name in ("KMeans", "MiniBatchKMeans", "BisectingKMeans"):
    for kind, data in (("numpy", x), ("girih", gr.asarray(x))):
        for how, own in (("plain", None), ("weighted", weights)):
            model = getattr(gr.cluster, name)(5, random_state=0, n_init=1).fit(data, sample_weight=own)
            found[f"{name} {kind} {how} centres"] = model.cluster_centers_
            found[f"{name} {kind} {how} labels"] = np.asarray(model.labels_)
            found[f"{name} {kind} {how} transform"] = np.asarray(model.transform(data))
            found[f"{name} {kind} {how} score"] = np.asarray(model.score(data, sample_weight=own))
book, distortion = gr.cluster.vq.kmeans(gr.asarray(x), 4, rng=0, iter=2)
codes, distances = gr.cluster.vq.vq(gr.asarray(x), book)
found |= {"book": book, "distortion": np.asarray(distortion), "codes": np.asarray(codes), "far": np.asarray(distances)}
give(**found)
"""


@pytest.fixture(scope="module")
def reference(bits_on_one_rank):
    return bits_on_one_rank(RANKS)


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
def test_the_bits_do_not_depend_on_ranks(on_ranks, reference, family, ranks):
    for given in on_ranks(RANKS, ranks, family, timeout=180).succeeded().given(ranks):
        same_bytes(reference, given, f"{ranks} ranks")
