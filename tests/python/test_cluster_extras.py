"""Seeds from few passes, restarts and sweeps in shared passes, silhouettes, spherical K-Means: alike on any ranks."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster as sklearn_cluster
import sklearn.metrics as sklearn_metrics
from scipy import sparse

import girih as gr


def blobs(rows, columns, centres, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    middles = 6 * rng.standard_normal((centres, columns))
    return (middles[rng.integers(centres, size=rows)] + rng.standard_normal((rows, columns))).astype(dtype)


@pytest.mark.parametrize("init", ["k-means||", "afk-mc2"])
@pytest.mark.parametrize("form", ["dense", "sparse", "weighted", "float32"])
def test_seeds_from_few_passes_are_near_those_of_k_means_plus_plus(init, form):
    x = blobs(4000, 6, 20, 1, np.float32 if form == "float32" else np.float64)
    weights = np.random.default_rng(1).integers(0, 4, len(x)).astype(float) if form == "weighted" else None
    data = sparse.csr_matrix(x) if form == "sparse" else x

    def inertias(init, **parameters):
        fits = (gr.cluster.KMeans(20, init=init, random_state=seed, n_init=1, **parameters) for seed in range(8))
        return np.mean([fit.fit(data, sample_weight=weights).inertia_ for fit in fits])

    def one_trial(values, clusters, random_state):
        return sklearn_cluster.kmeans_plusplus(values, clusters, random_state=random_state, n_local_trials=1)[0]

    # Chains come near k-means++ of one candidate; the weighted candidates of k-means|| near the greedy form.
    assert inertias(init) < 1.25 * inertias("k-means++" if init == "k-means||" else one_trial)
    assert inertias(init, max_iter=1) < 0.6 * inertias("random", max_iter=1)


@pytest.mark.parametrize("init", ["k-means||", "afk-mc2"])
def test_seeds_are_distinct_rows_or_means_even_of_hardly_any_rows(init):
    x = np.repeat(np.arange(5.0), 3)[:, None]
    assert gr.cluster.KMeans(5, init=init, random_state=0, n_init=10).fit(x).inertia_ == 0
    line = np.arange(15.0)[:, None]
    assert gr.cluster.KMeans(15, init=init, random_state=0).fit(line).cluster_centers_.shape == (15, 1)
    assert gr.cluster.KMeans(1, init=init, random_state=0).fit(x).cluster_centers_.tolist() == [[2.0]]


@pytest.mark.parametrize("data", ["dense", "sparse"])
def test_restarts_that_share_passes_are_those_one_by_one(data):
    x = blobs(3000, 9, 12, 2)
    x = sparse.csr_matrix(x) if data == "sparse" else x
    together = gr.cluster.KMeans(12, init="random", n_init=11, random_state=4).fit(x)
    alone = gr.cluster.KMeans(12, init="random", n_init=11, random_state=4).fit(x, callback=lambda *_: False)
    assert together.cluster_centers_.tobytes() == alone.cluster_centers_.tobytes()
    assert (together.inertia_, together.n_iter_) == (alone.inertia_, alone.n_iter_)
    assert np.array_equal(together.labels_, alone.labels_)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_silhouettes_are_scikit_learns(metric, dtype):
    x = blobs(700, 5, 4, 3, dtype)
    four = gr.cluster.KMeans(4, random_state=0).fit(x[1:]).labels_
    labels = np.array(["a", "b", "c", "d", "alone"])[np.append(four, 4)]
    expected = sklearn_metrics.silhouette_samples(x.astype(np.float64), labels, metric=metric)
    for given in (x, gr.asarray(x), x.tolist()):
        found = gr.cluster.silhouette_samples(given, labels, metric=metric)
        assert isinstance(found, gr.Array) == isinstance(given, gr.Array)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=2e-6 if dtype == np.float32 else 1e-9, atol=1e-9)
    theirs = sklearn_metrics.silhouette_score(x, labels, metric=metric, sample_size=300, random_state=1)
    ours = gr.cluster.silhouette_score(x, labels, metric=metric, sample_size=300, random_state=1)
    assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x, f: f(x, np.zeros(50)), ValueError, "Number of labels is 1"),
        (lambda x, f: f(x, np.arange(50)), ValueError, "Number of labels is 50"),
        (lambda x, f: f(x, np.zeros(49)), ValueError, "labels"),
        (lambda x, f: f(x, np.zeros(50), metric="manhattan"), ValueError, "metric"),
        (lambda x, f: f(sparse.csr_matrix(x), np.arange(50) % 3), TypeError, "toarray"),
    ],
)
@pytest.mark.parametrize("name", ["silhouette_samples", "silhouette_score"])
def test_mistakes_about_silhouettes_are_named(call, error, text, name):
    with pytest.raises(error, match=text):
        call(np.random.default_rng(0).random((50, 2)), getattr(gr.cluster, name))


def test_a_sweep_has_the_models_of_single_fits(tmp_path):
    x = blobs(2000, 3, 5, 8)
    sweep = gr.cluster.k_sweep(x, [7, 2, 3, 4, 5, 6], n_init=3, random_state=2)
    assert sweep.ks.tolist() == [2, 3, 4, 5, 6, 7] and sweep.elbow in (4, 5)
    assert sweep.best == sweep.ks[np.argmax(sweep.silhouette)]
    for k, inertia, steps, score in zip(sweep.ks, sweep.inertia, sweep.n_iter, sweep.silhouette, strict=True):
        alone = gr.cluster.KMeans(k, n_init=3, random_state=2).fit(x)
        assert (inertia, steps) == (alone.inertia_, alone.n_iter_)
        assert sweep.centers[k].tobytes() == alone.cluster_centers_.tobytes()
        assert np.array_equal(sweep.labels[k], alone.labels_)
        assert score == pytest.approx(sklearn_metrics.silhouette_score(x, alone.labels_))
    sweep.plot(tmp_path / "sweep.svg")
    picture = (tmp_path / "sweep.svg").read_text()
    assert picture.count("</svg>") == 1 and sweep._repr_png_()[1:4] == b"PNG"
    bare = gr.cluster.k_sweep(x, range(1, 4), silhouette=False, random_state=2)
    assert np.isnan(bare.silhouette).all() and bare.best == bare.elbow


@pytest.mark.parametrize(
    ("ks", "options", "text"),
    [
        ([], {}, "ks is empty"),
        ([2, 0], {}, "ks must hold"),
        ([2, 51], {}, "n_clusters=51"),
        ([2], {"silhouette": 1}, "silhouette"),
        ([2], {"init": "nearest"}, "init"),
    ],
)
def test_mistakes_about_sweeps_are_named(ks, options, text):
    with pytest.raises(ValueError, match=text):
        gr.cluster.k_sweep(np.random.default_rng(0).random((50, 2)), ks, **options)


@pytest.mark.parametrize("form", ["numpy", "girih", "sparse"])
def test_spherical_k_means_is_lloyd_by_cosines(form):
    x = np.abs(blobs(900, 7, 6, 5))
    x[17] = 0
    lengths = np.linalg.norm(x, axis=1, keepdims=True)
    rows = x / np.where(lengths == 0, 1, lengths)
    start = rows[[3, 50, 99, 200]]
    centres = start
    for _ in range(100):
        labels = np.argmax(rows @ centres.T, axis=1)
        means = np.stack([rows[labels == cluster].sum(axis=0) for cluster in range(4)])
        centres = means / np.linalg.norm(means, axis=1, keepdims=True)
    data = {"numpy": x, "girih": gr.asarray(x), "sparse": sparse.csr_matrix(x)}[form]
    km = gr.cluster.SphericalKMeans(4, init=5 * start, tol=0).fit(data)
    np.testing.assert_allclose(km.cluster_centers_, centres, atol=1e-12)
    others = np.arange(len(x)) != 17
    assert np.array_equal(np.asarray(km.labels_)[others], labels[others])
    assert np.array_equal(np.asarray(km.predict(data)), np.asarray(km.labels_))
    cosines = 1 - rows @ centres.T
    assert km.inertia_ == pytest.approx(cosines[np.arange(len(x)), np.asarray(km.labels_)].sum() - 0.5)
    assert km.score(data) == pytest.approx(-km.inertia_)
    np.testing.assert_allclose(np.asarray(km.transform(data))[others], cosines[others], atol=1e-12)


EXTRAS = """
import girih as gr

rng = np.random.default_rng(0)
x = 5 * rng.integers(0, 9, (20_011, 1)) + rng.standard_normal((20_011, 5))
data, weights = gr.asarray(x), gr.asarray(rng.integers(1, 4, 20_011).astype(float))
found = {}
for init in ("k-means||", "afk-mc2"):
    km = gr.cluster.KMeans(23, init=init, random_state=1, n_init=2, max_iter=5).fit(data, sample_weight=weights)
    found |= {f"{init} centres": km.cluster_centers_, f"{init} inertia": km.inertia_}
sweep = gr.cluster.k_sweep(data, (2, 5, 9), random_state=0, silhouette=700)
found |= {"inertia": sweep.inertia, "silhouette": sweep.silhouette}
spherical = gr.cluster.SphericalKMeans(6, random_state=0).fit(data)
found |= {"spherical": spherical.cluster_centers_, "cosines": spherical.inertia_}
medians = gr.cluster.KMedians(5, random_state=0, max_iter=4).fit(data)
found |= {"medians": medians.cluster_centers_, "apart": medians.inertia_}
part = gr.asarray(x[:3001])
found["samples"] = np.asarray(gr.cluster.silhouette_samples(part, np.asarray(sweep.labels[5])[:3001]))
found["score"] = gr.cluster.silhouette_score(part, np.asarray(sweep.labels[5])[:3001])
give(**found)
"""


def test_the_bits_do_not_depend_on_ranks_or_threads(same_bits):
    same_bits(EXTRAS)


def plain_k_medians(x, centres, rounds):
    labels = None
    for _ in range(rounds):
        labels = np.abs(x[:, None] - centres).sum(axis=2).argmin(axis=1)
        centres = np.stack([np.median(x[labels == cluster], axis=0) for cluster in range(len(centres))])
    return centres, np.abs(x[:, None] - centres).sum(axis=2)


@pytest.mark.parametrize("form", ["numpy", "girih", "float32"])
def test_k_medians_is_lloyd_by_absolute_differences(form):
    x = blobs(1501, 4, 11, 6, np.float32 if form == "float32" else np.float64)
    start = x[:11]
    centres, distances = plain_k_medians(x, start, 60)
    data = gr.asarray(x) if form == "girih" else x
    km = gr.cluster.KMedians(11, init=start, tol=0).fit(data)
    assert km.cluster_centers_.dtype == x.dtype and isinstance(km.labels_, gr.Array) == (form == "girih")
    np.testing.assert_array_equal(km.cluster_centers_, centres)
    np.testing.assert_array_equal(np.asarray(km.labels_), distances.argmin(axis=1))
    assert km.inertia_ == pytest.approx(distances.min(axis=1).sum(), rel=1e-6) == -km.score(data)
    np.testing.assert_array_equal(np.asarray(km.predict(data)), np.asarray(km.labels_))
    np.testing.assert_allclose(np.asarray(km.transform(data)), distances, rtol=1e-5)


def test_a_centre_without_rows_takes_the_farthest_row():
    x = np.array([[0.0], [1.0], [2.0], [40.0], [90.0]])
    km = gr.cluster.KMedians(3, init=[[1.0], [1000.0], [2000.0]]).fit(x)
    assert sorted(km.cluster_centers_.ravel().tolist()) == [1.0, 40.0, 90.0]
    with pytest.warns(UserWarning, match="distinct clusters"):
        gr.cluster.KMedians(2, init=[[1.0], [1.0]]).fit(np.ones((5, 1)))
    with pytest.raises(TypeError, match="toarray"):
        gr.cluster.KMedians(2).fit(sparse.csr_matrix(x))
