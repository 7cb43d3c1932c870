"""K-Means: scikit-learn's labels from the same start, the same bits at every number of ranks and threads."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.cluster as sklearn_cluster
from conftest import FAMILIES, needs, same_bytes
from sklearn.datasets import load_sample_images

import girih as gr


def blobs(rows, columns, centres, seed, spread=1.0):
    rng = np.random.default_rng(seed)
    middles = 5 * rng.standard_normal((centres, columns))
    return middles[rng.integers(centres, size=rows)] + spread * rng.standard_normal((rows, columns))


def uniform(rows, columns, seed):
    return np.random.default_rng(seed).random((rows, columns))


def check_like_sklearn(x, k, labels_equal=1.0, tolerance=1e-9, **parameters):
    theirs = sklearn_cluster.KMeans(k, n_init=1, algorithm="lloyd", **parameters).fit(x)
    ours = gr.cluster.KMeans(k, n_init=1, **parameters).fit(x)
    assert np.mean(ours.labels_ == theirs.labels_) >= labels_equal
    assert ours.cluster_centers_.dtype == theirs.cluster_centers_.dtype
    if labels_equal == 1.0:
        assert ours.n_iter_ == theirs.n_iter_
        np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=tolerance, atol=tolerance)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=max(tolerance, 1 - labels_equal))


@pytest.mark.parametrize("tol", [1e-4, 0.0])
@pytest.mark.parametrize(
    ("x", "k"),
    [(blobs(5000, 5, 12, 0), 12), (uniform(10_007, 13, 1), 20), (uniform(2000, 2, 2), 64), (uniform(50, 1, 3), 3)],
    ids=["blobs", "10007×13", "many clusters", "one column"],
)
def test_the_same_start_gives_sklearns_labels(x, k, tol):
    check_like_sklearn(x, k, init=x[:k].copy(), tol=tol, max_iter=100)


def test_float32_stays_float32():
    x = blobs(5000, 5, 12, 4).astype(np.float32)
    check_like_sklearn(x, 12, init=x[:12].copy(), labels_equal=0.999, tolerance=1e-3)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_the_same_seed_draws_sklearns_start(init, seed):
    check_like_sklearn(blobs(3000, 4, 8, seed), 8, init=init, random_state=seed)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "x",
    [blobs(6007, 48, 60, 0), uniform(6007, 33, 1), np.random.default_rng(2).standard_t(1.5, (4001, 40))],
    ids=["blobs", "uniform", "outliers"],
)
def test_long_rows_are_drawn_as_sklearn_draws_them(x, weighted):
    """The rows that are not measured, by the triangle inequality or by their sketch, do not show."""
    weights = np.random.default_rng(3).random(len(x)) if weighted else None
    _, theirs = sklearn_cluster.kmeans_plusplus(x, 50, sample_weight=weights, random_state=0)
    _, ours = gr.cluster.kmeans_plusplus(gr.asarray(x), 50, sample_weight=weights, random_state=0)
    np.testing.assert_array_equal(ours, theirs)


def test_empty_clusters_are_relocated_as_sklearn_does():
    x = blobs(2000, 3, 6, 5)
    start = x[:6].copy()
    start[2:5] = 1e3 + np.arange(9).reshape(3, 3)
    check_like_sklearn(x, 6, init=start)


def test_equal_rows_warn_of_fewer_clusters():
    x = np.repeat([[0.0, 1.0], [5.0, 5.0]], 50, axis=0)
    with pytest.warns(gr.cluster.ConvergenceWarning):
        model = gr.cluster.KMeans(4, random_state=0, n_init=1).fit(x)
    assert model.inertia_ == 0.0 and len(set(model.labels_.tolist())) == 2


def test_photographs_pixels():
    images = load_sample_images().images
    x = images[1][::3, ::3].reshape(-1, 3) / 255.0
    # Between centres that are pixels themselves other pixels are tied, and rounding decides; not between means.
    pixels, _ = sklearn_cluster.kmeans_plusplus(x, 64, random_state=0)
    start = sklearn_cluster.KMeans(64, init=pixels, n_init=1, max_iter=1).fit(x).cluster_centers_
    check_like_sklearn(x, 64, init=start)


def test_predict_transform_and_score_are_sklearns():
    x, y = blobs(3000, 4, 6, 8), blobs(700, 4, 6, 9)
    theirs = sklearn_cluster.KMeans(6, init=x[:6], n_init=1).fit(x)
    ours = gr.cluster.KMeans(6, init=x[:6]).fit(x)
    np.testing.assert_array_equal(ours.predict(y), theirs.predict(y))
    np.testing.assert_allclose(ours.transform(y), theirs.transform(y), rtol=1e-9, atol=1e-9)
    assert ours.score(y) == pytest.approx(theirs.score(y))
    # One row is fewer than there are clusters.
    np.testing.assert_array_equal(ours.predict(y[:1]), theirs.predict(y[:1]))
    assert ours.score(y[:1]) == pytest.approx(theirs.score(y[:1]))
    assert ours.labels_.dtype == np.int32 and ours.n_features_in_ == 4


def test_scikit_learns_tools_take_it():
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = blobs(300, 4, 3, 11)
    model = gr.cluster.KMeans(3, init=x[:3], random_state=7)
    assert clone(model).get_params().keys() == sklearn_cluster.KMeans().get_params().keys()
    pipe = make_pipeline(StandardScaler(), gr.cluster.KMeans(3, random_state=0)).fit(x)
    theirs = make_pipeline(StandardScaler(), sklearn_cluster.KMeans(3, random_state=0)).fit(x)
    np.testing.assert_array_equal(pipe.predict(x), theirs.predict(x))
    assert pipe.transform(x).shape == (300, 3) and pipe.score(x) == pytest.approx(theirs.score(x))
    search = GridSearchCV(gr.cluster.KMeans(random_state=0), {"n_clusters": [2, 3]}, cv=2).fit(x)
    assert search.best_params_ == {"n_clusters": 3}


@pytest.mark.parametrize("method", ["fit", "fit_predict", "fit_transform"])
def test_warnings_point_at_the_callers_line(method):
    x = np.ones((9, 2))
    for parameters in ({"random_state": 0}, {"init": x[:3], "n_init": 4}):
        with pytest.warns((UserWarning, RuntimeWarning)) as caught:
            getattr(gr.cluster.KMeans(3, **parameters), method)(x)
        assert {each.filename for each in caught} == {__file__}


class Framed:
    """What is no NumPy array but says how to become one, as data frames do."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values


@pytest.mark.parametrize(
    "made",
    [
        np.asfortranarray, np.ndarray.tolist, lambda x: x.astype(object), lambda x: x.astype(">f8"), Framed, gr.asarray,
        lambda x: np.repeat(x, 2, axis=0)[::2], lambda x: x[:, ::-1].copy()[:, ::-1],
    ],
    ids=["Fortran", "lists", "objects", "big-endian", "__array__", "girih", "every other row", "columns backwards"],
)  # fmt: skip
def test_whatever_becomes_an_array_gives_the_same_bits(made):
    x = blobs(3001, 5, 6, 12)
    expected = gr.cluster.KMeans(6, random_state=0).fit(x)
    found = gr.cluster.KMeans(6, random_state=0).fit(made(x))
    assert found.inertia_ == expected.inertia_
    assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
    np.testing.assert_array_equal(np.asarray(found.labels_), expected.labels_)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "float16", "bool"])
def test_other_numbers_are_taken_as_float64(dtype):
    x = (40 + 3 * blobs(500, 3, 4, 13)).clip(0, 250).astype(dtype)
    found = gr.cluster.KMeans(2, random_state=0).fit(x)
    assert found.cluster_centers_.dtype == np.float64
    assert found.inertia_ == gr.cluster.KMeans(2, random_state=0).fit(x.astype("float64")).inertia_


def test_the_callback_sees_every_iteration_and_may_end_the_fit():
    seen = []

    def callback(iteration, inertia, shift, changed):
        seen.append((iteration, inertia, shift, changed))
        return iteration == 4

    x = uniform(5000, 3, 10)
    model = gr.cluster.KMeans(16, init=x[:16], tol=0).fit(x, callback=callback)
    assert [each[0] for each in seen] == [1, 2, 3, 4] and model.n_iter_ == 4
    inertias = [each[1] for each in seen]
    assert inertias == sorted(inertias, reverse=True)
    assert seen[0][3] == 5000 and all(each[2] > 0 for each in seen)


@pytest.mark.parametrize(
    ("x", "parameters", "text"),
    [
        (uniform(5, 2, 0), {"n_clusters": 6}, "n_samples=5 should be >= n_clusters=6"),
        (np.array([[0.0, np.nan], [1.0, 2.0]]), {"n_clusters": 1}, "NaN"),
        (np.array([[0.0, np.inf], [1.0, 2.0]]), {"n_clusters": 1}, "infinity"),
        (uniform(5, 2, 0), {"n_clusters": 2, "init": np.zeros((2, 3))}, "(2, 3)"),
        (uniform(5, 2, 0)[:, 0], {"n_clusters": 2}, "2D"),
        (uniform(5, 2, 0), {"n_clusters": 0}, "n_clusters"),
        (uniform(5, 2, 0), {"max_iter": 0}, "max_iter"),
        (uniform(5, 2, 0), {"tol": -1.0}, "tol"),
        (uniform(5, 2, 0), {"init": "best"}, "init"),
        (uniform(5, 2, 0), {"init": 5}, "'init' parameter"),
        (np.array([[None, 1.0]]), {"n_clusters": 1}, "NaN"),
        (uniform(0, 2, 0), {"n_clusters": 1}, "0 sample"),
        (np.array([["a", "b"]]), {"n_clusters": 1}, "numeric"),
    ],
)
def test_mistakes_name_the_argument(x, parameters, text):
    with pytest.raises(ValueError, match=r"(?s).*") as caught:
        gr.cluster.KMeans(**parameters).fit(x)
    assert text in str(caught.value)


# Distributed and replicated input, fewer rows than ranks (wide, so that it is distributed), ranks without rows,
# many equal rows, one column; float32.
BITS = """
import girih as gr

rng = np.random.default_rng(3)
shapes = {"ragged": (10_007, 13, 12), "few wide rows": (3, 5000, 2), "small": (40, 2, 5), "one row": (1, 9000, 1),
          "long": (30_011, 1, 7), "two tiles": (4097, 4, 9)}
found = {}
for name, (n, d, k) in shapes.items():
    x = rng.standard_normal((n, d))
    if name == "long":
        x = np.round(x, 1)
    for dtype in ("float64", "float32"):
        for init in ("k-means++", "random"):
            model = gr.cluster.KMeans(k, init=init, n_init=1, random_state=5, max_iter=12)
            model.fit(gr.asarray(x.astype(dtype)))
            labels = np.asarray(model.labels_)
            for what, value in {"centers": model.cluster_centers_, "labels": labels, "inertia": model.inertia_,
                                "iterations": model.n_iter_}.items():
                found[f"{name} {dtype} {init} {what}"] = np.asarray(value)
give(**found)
"""


@pytest.fixture(scope="module")
def reference(bits_on_one_rank):
    return bits_on_one_rank(BITS)


# One rank uses no MPI, so it is tried with none.
WORLDS = [(None, 1)] + [(family, ranks) for family in FAMILIES for ranks in (2, 3, 4)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("family", "ranks"), [pytest.param(*each, marks=needs(each[0]).marks if each[0] else ()) for each in WORLDS]
)
def test_the_bits_do_not_depend_on_ranks_threads_or_mpi(on_ranks, reference, family, ranks, threads):
    for given in on_ranks(BITS, ranks, family, threads=threads, timeout=180).succeeded().given(ranks):
        same_bytes(reference, given, f"{ranks} ranks of {threads} threads")


MISTAKES = """
import girih as gr

def mistake(x, k):
    try:
        gr.cluster.KMeans(k, random_state=0).fit(x)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"

x = np.random.default_rng(0).standard_normal((20_000, 3))
hole = x.copy()
hole[-1, 1] = np.nan
# Whole on every rank, or in parts: the same bits.
whole, parts = (gr.cluster.KMeans(5, random_state=1).fit(each) for each in (x, gr.asarray(x)))
assert np.array_equal(whole.labels_, np.asarray(parts.labels_)) and whole.inertia_ == parts.inertia_
assert whole.cluster_centers_.tobytes() == parts.cluster_centers_.tobytes()
assert np.array_equal(whole.predict(x[:99]), np.asarray(whole.predict(gr.asarray(x)))[:99])
give(nan=mistake(gr.asarray(hole), 3), few=mistake(x[:5], 6), total=gr.ones(50_000).sum().item())
"""


@pytest.mark.parametrize("ranks", [2, 3])
@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
def test_mistakes_are_raised_on_every_rank(on_ranks, family, ranks):
    given = on_ranks(MISTAKES, ranks, family, timeout=30).succeeded().given(ranks)
    assert {str(each["few"]) for each in given} == {"ValueError: n_samples=5 should be >= n_clusters=6."}
    (text,) = {str(each["nan"]) for each in given}
    assert text.startswith("ValueError") and "NaN" in text
    assert {float(each["total"]) for each in given} == {50_000.0}


DIVIDED = """
import girih as gr
x = np.random.default_rng(3).random((2_000, 121), dtype=np.float32)
fitted = gr.cluster.KMeans(1100, init=x[:1100], n_init=1, max_iter=3, tol=0).fit(x)
sent = gr.report().get("kmeans", {}).get("collectives", 0)
give(centres=fitted.cluster_centers_, labels=np.asarray(fitted.labels_), inertia=fitted.inertia_, sent=sent)
"""


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_many_long_centres_are_divided_over_ranks(on_ranks, bits_on_one_rank, ranks):
    alone = bits_on_one_rank(DIVIDED)
    for given in on_ranks(DIVIDED, ranks).succeeded().given(ranks):
        assert all(given[name].tobytes() == alone[name].tobytes() for name in ("centres", "labels", "inertia"))
        # Two panels, each an exchange and a gathering, and the rest.
        assert given["sent"] > 0 and given["sent"] % 5 == 0


def test_one_collective_an_iteration(on_ranks):
    code = """
    import girih as gr
    x = gr.asarray(np.random.default_rng(0).standard_normal((30_000, 4)))
    counts = []
    def callback(*_):
        counts.append(gr.report()["kmeans"]["collectives"])
    gr.cluster.KMeans(8, init=np.asarray(x[:8]), max_iter=8, tol=0).fit(x, callback=callback)
    give(steps=np.diff(counts))
    """
    for given in on_ranks(code, 2).succeeded().given(2):
        assert set(given["steps"].tolist()) == {1}
