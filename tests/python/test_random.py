"""Random arrays follow their distributions, and are the same at every number of ranks, threads and tiles."""

from __future__ import annotations

import girih as gr
import numpy as np
import pytest
from scipy import stats

ROWS = 40_000

# Every method with parameters, and the distribution that SciPy knows by another name; None where it is no such one.
CONTINUOUS = {
    "random": ((), stats.uniform()),
    "uniform": ((-2.0, 3.0), stats.uniform(-2, 5)),
    "standard_normal": ((), stats.norm()),
    "normal": ((3.0, 0.5), stats.norm(3, 0.5)),
    "lognormal": ((0.5, 0.7), stats.lognorm(0.7, scale=np.exp(0.5))),
    "standard_exponential": ((), stats.expon()),
    "exponential": ((2.5,), stats.expon(scale=2.5)),
    "standard_gamma": ((0.4,), stats.gamma(0.4)),
    "gamma": ((3.0, 2.0), stats.gamma(3, scale=2)),
    "beta": ((0.5, 2.0), stats.beta(0.5, 2)),
    "chisquare": ((3.0,), stats.chi2(3)),
    "noncentral_chisquare": ((3.0, 2.0), stats.ncx2(3, 2)),
    "f": ((5.0, 9.0), stats.f(5, 9)),
    "noncentral_f": ((5.0, 9.0, 1.5), stats.ncf(5, 9, 1.5)),
    "standard_cauchy": ((), stats.cauchy()),
    "standard_t": ((4.0,), stats.t(4)),
    "vonmises": ((0.5, 4.0), stats.vonmises(4, loc=0.5)),
    "pareto": ((3.0,), stats.lomax(3)),
    "weibull": ((1.5,), stats.weibull_min(1.5)),
    "power": ((2.5,), stats.powerlaw(2.5)),
    "laplace": ((1.0, 2.0), stats.laplace(1, 2)),
    "gumbel": ((1.0, 2.0), stats.gumbel_r(1, 2)),
    "logistic": ((1.0, 2.0), stats.logistic(1, 2)),
    "rayleigh": ((2.0,), stats.rayleigh(scale=2)),
    "wald": ((3.0, 2.0), stats.invgauss(3 / 2, scale=2)),
    "triangular": ((-1.0, 0.5, 2.0), stats.triang(0.5, -1, 3)),
}
DISCRETE = {
    "binomial": ((20, 0.3), stats.binom(20, 0.3)),
    "negative_binomial": ((3, 0.4), stats.nbinom(3, 0.4)),
    "poisson": ((4.5,), stats.poisson(4.5)),
    "zipf": ((3.0,), stats.zipf(3)),
    "geometric": ((0.3,), stats.geom(0.3)),
    "hypergeometric": ((15, 10, 8), stats.hypergeom(25, 15, 8)),
    "logseries": ((0.7,), stats.logser(0.7)),
}
LARGE = {
    "binomial": ((1000, 0.4), stats.binom(1000, 0.4)),
    "poisson": ((900.0,), stats.poisson(900)),
    "hypergeometric": ((4000, 3000, 900), stats.hypergeom(7000, 4000, 900)),
}


def check_counts(values, distribution):
    """Chi-squared over the values that are expected five times or more, the rest together."""
    low, high = int(values.min()), int(values.max())
    places = np.arange(low, high + 1)
    expected = len(values) * distribution.pmf(places)
    counts = np.bincount(values - low, minlength=len(places))
    often = expected >= 5
    rest = len(values) - expected[often].sum()
    found = np.append(counts[often], counts[~often].sum())
    hoped = np.append(expected[often], rest)
    found, hoped = (found, hoped) if rest > 5 else (found[:-1], hoped[:-1])
    square = ((found - hoped) ** 2 / hoped).sum()
    assert stats.chi2(len(hoped) - 1).sf(square) > 1e-4, (square, len(hoped))


@pytest.mark.parametrize("name", CONTINUOUS)
def test_real_numbers_follow_their_distribution(name):
    parameters, distribution = CONTINUOUS[name]
    values = np.asarray(getattr(gr.random.default_rng(11), name)(*parameters, size=ROWS))
    assert values.shape == (ROWS,)
    assert values.dtype == np.float64
    assert stats.kstest(values, distribution.cdf).pvalue > 1e-4
    assert stats.kstest(values[: ROWS // 2], values[ROWS // 2 :]).pvalue > 1e-4
    # Neighbours have nothing to do with each other.
    ranks = stats.rankdata(values)
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 4 / np.sqrt(ROWS)


@pytest.mark.parametrize(("name", "cases"), [*((n, DISCRETE) for n in DISCRETE), *((n, LARGE) for n in LARGE)])
def test_whole_numbers_follow_their_distribution(name, cases):
    parameters, distribution = cases[name]
    values = np.asarray(getattr(gr.random.default_rng(12), name)(*parameters, size=ROWS))
    assert values.dtype == np.int64
    check_counts(values, distribution)


def test_integers_are_equally_likely_within_their_bounds():
    rng = gr.random.default_rng(13)
    check_counts(np.asarray(rng.integers(-3, 7, size=ROWS)), stats.randint(-3, 7))
    check_counts(np.asarray(rng.integers(6, size=ROWS, endpoint=True)), stats.randint(0, 7))
    wide = np.asarray(rng.integers(-(2**63), 2**63 - 1, size=ROWS, endpoint=True)).astype(np.float64)
    assert stats.kstest(wide, stats.uniform(-(2.0**63), 2.0**64).cdf).pvalue > 1e-4
    low, high = np.array([0, 10, 20]), np.array([5, 11, 30])
    drawn = np.asarray(rng.integers(low, high, size=(1000, 3)))
    assert (drawn >= low).all()
    assert (drawn < high).all()
    assert set(np.unique(drawn[:, 0])) == set(range(5))


def test_vectors_follow_their_distribution():
    rng = gr.random.default_rng(14)
    alpha = np.array([0.5, 2.0, 3.0])
    shares = np.asarray(rng.dirichlet(alpha, size=ROWS))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-12)
    for column, parameter in enumerate(alpha):
        assert stats.kstest(shares[:, column], stats.beta(parameter, alpha.sum() - parameter).cdf).pvalue > 1e-4
    tiny = np.asarray(rng.dirichlet([0.01, 0.02, 0.03], size=ROWS))
    np.testing.assert_allclose(tiny.mean(axis=0), [1 / 6, 2 / 6, 3 / 6], atol=0.02)
    chances = [0.2, 0.5, 0.3]
    counts = np.asarray(rng.multinomial(30, chances, size=ROWS))
    assert (counts.sum(axis=1) == 30).all()
    for column, chance in enumerate(chances):
        check_counts(counts[:, column], stats.binom(30, chance))
    drawn = np.asarray(rng.multivariate_hypergeometric([16, 8, 4], 9, size=ROWS))
    assert (drawn.sum(axis=1) == 9).all()
    for column, colour in enumerate((16, 8, 4)):
        check_counts(drawn[:, column], stats.hypergeom(28, colour, 9))
    several = np.asarray(rng.multinomial([3, 7], [[0.5, 0.5], [0.1, 0.9]]))
    assert several.sum(axis=1).tolist() == [3, 7]


@pytest.mark.parametrize("method", ["svd", "eigh", "cholesky"])
def test_normal_vectors_have_their_mean_and_covariance(method):
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.8], [0.8, 1.0]])
    drawn = np.asarray(gr.random.default_rng(15).multivariate_normal(mean, cov, size=ROWS, method=method))
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=0.04)
    np.testing.assert_allclose(np.cov(drawn.T), cov, atol=0.06)


def test_orders_are_all_equally_likely():
    rng = gr.random.default_rng(16)
    orders = [tuple(np.asarray(rng.permutation(3))) for _ in range(1200)]
    counts = np.array([orders.count(order) for order in sorted(set(orders))])
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-4
    rows = np.asarray(rng.permuted(np.tile(np.arange(3), (6000, 1)), axis=1))
    assert (np.sort(rows, axis=1) == np.arange(3)).all()
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert stats.chisquare(counts).pvalue > 1e-4
    for count in (5000, 30_000):
        assert (np.sort(np.asarray(rng.permutation(count))) == np.arange(count)).all()


def test_choices_follow_their_probabilities():
    rng = gr.random.default_rng(17)
    p = np.array([0.1, 0.0, 0.4, 0.5])
    drawn = np.asarray(rng.choice(4, size=ROWS, p=p))
    counts = np.bincount(drawn, minlength=4)
    assert counts[1] == 0
    assert stats.chisquare(counts[p > 0], ROWS * p[p > 0]).pvalue > 1e-4
    assert sorted(np.asarray(rng.choice(50, size=50, replace=False)).tolist()) == list(range(50))
    without = np.array([np.asarray(rng.choice(4, size=2, replace=False, p=p)) for _ in range(2000)])
    assert (without[:, 0] != without[:, 1]).all()
    assert stats.chisquare(np.bincount(without[:, 0], minlength=4)[p > 0], 2000 * p[p > 0]).pvalue > 1e-4


def test_parameters_may_be_arrays():
    rng = gr.random.default_rng(18)
    means = np.arange(20_000.0) * 10
    drawn = np.asarray(rng.normal(gr.asarray(means), 0.1))
    assert drawn.shape == (20_000,)
    assert np.abs(drawn - means).max() < 1
    assert np.asarray(rng.poisson([[1.0], [100.0]], size=(2, 5))).shape == (2, 5)
    assert np.asarray(rng.uniform([0, 10], [1, 11], size=(3, 2))).shape == (3, 2)
    with pytest.raises(ValueError, match="not compatible"):
        rng.normal([0.0, 1.0], size=3)


def test_types_sizes_and_single_numbers():
    rng = gr.random.default_rng(19)
    assert isinstance(rng.random(), float)
    assert isinstance(rng.integers(3), int)
    assert rng.random(size=(), dtype=np.float32).dtype == np.float32
    assert rng.standard_normal((0, 3)).shape == (0, 3)
    values = np.asarray(rng.random(ROWS, dtype=np.float32))
    assert values.dtype == np.float32
    assert values.max() < 1
    assert stats.kstest(values, stats.uniform().cdf).pvalue > 1e-4
    assert np.asarray(rng.integers(0, 2, size=9, dtype=bool)).dtype == np.bool_
    assert len(rng.bytes(11)) == 11


def test_the_state_can_be_kept_and_children_are_independent():
    rng = gr.random.default_rng(20)
    rng.random(3)
    state = rng.bit_generator.state
    first = np.asarray(rng.normal(size=5))
    rng.bit_generator.state = state
    assert (np.asarray(rng.normal(size=5)) == first).all()
    other = np.asarray(gr.random.default_rng(21).normal(size=5))
    assert not (other == first).any()
    children = [np.asarray(child.random(ROWS)) for child in gr.random.default_rng(22).spawn(2)]
    assert abs(np.corrcoef(*children)[0, 1]) < 4 / np.sqrt(ROWS)
    same = [np.asarray(gr.random.default_rng(seed).random(4)) for seed in (5, np.random.SeedSequence(5))]
    assert (same[0] == same[1]).all()
    gr.random.seed(4)
    before = gr.random.rand()
    gr.random.seed(4)
    assert gr.random.rand() == before
    assert gr.random.randn(2, 3).shape == (2, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda rng: rng.normal(scale=-1), "scale < 0"),
        (lambda rng: rng.beta(0, 1), "a <= 0"),
        (lambda rng: rng.poisson(-1), "lam < 0"),
        (lambda rng: rng.binomial(3, [0.5, 1.5]), "p < 0, p > 1"),
        (lambda rng: rng.integers(3, 3), "low >= high"),
        (lambda rng: rng.integers(0, 300, dtype=bool), "high is out of bounds"),
        (lambda rng: rng.choice(3, size=4, replace=False), "larger sample"),
        (lambda rng: rng.choice(3, p=[0.5, 0.2, 0.2]), "do not sum to 1"),
        (lambda rng: rng.random(-1), "negative dimensions"),
        (lambda rng: rng.triangular(1, 0, 2), "left > mode"),
        (lambda rng: rng.multinomial(3, [0.9, 0.9, 0.1]), "pvals"),
    ],
)
def test_mistakes_are_numpys(call, text):
    with pytest.raises(ValueError, match=text):
        call(gr.random.default_rng(0))


def test_numpys_generators_are_refused():
    with pytest.raises(TypeError, match="cannot be divided"):
        gr.random.default_rng(np.random.default_rng(0))


def test_all_of_numpys_methods_are_there():
    theirs = {name for name in dir(np.random.Generator) if not name.startswith("_")}
    assert theirs - set(dir(gr.random.Generator)) == set()


EVERYWHERE = """
import girih as gr
CASES = {cases!r}
found = {{}}
rng = gr.random.default_rng(99)
for name, parameters in CASES.items():
    for size in (0, 5, (9001, 2), (3, 700, 7)):
        found[f"{{name}} {{size}}"] = np.asarray(getattr(rng, name)(*parameters, size=size))
found["float32"] = np.asarray(rng.random((20_000, 3), dtype="float32"))
found["integers"] = np.asarray(rng.integers(0, 1000, size=30_001))
found["dirichlet"] = np.asarray(rng.dirichlet([1.0, 2.0], size=9001))
found["multinomial"] = np.asarray(rng.multinomial(9, [0.3, 0.7], size=9001))
found["drawn"] = np.asarray(rng.multivariate_hypergeometric([5, 6], 4, size=9001))
found["permutation"] = np.asarray(rng.permutation(30_011))
found["few"] = np.asarray(rng.permutation(40))
found["permuted"] = np.asarray(rng.permuted(gr.arange(60_000).reshape(-1, 3), axis=1))
found["choice"] = np.asarray(rng.choice(7, size=20_001, p=[0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.4]))
found["vectors"] = np.asarray(rng.multivariate_normal([0, 1], [[2, 1], [1, 2]], size=9001))
found["arrays"] = np.asarray(rng.gamma(gr.arange(1.0, 20_001.0), 2.0))
found["bytes"] = np.frombuffer(rng.bytes(9), np.uint8)
gr.report(reset=True)
gr.wait(rng.normal(size=(100_000, 2)))
sent = sum(row["bytes"] for row in gr.report().values())
give(sent=sent, **digests(found))
"""


def test_numbers_are_the_same_at_every_number_of_ranks_threads_and_tiles(same_bits):
    cases = {name: parameters for name, (parameters, _) in {**CONTINUOUS, **DISCRETE}.items()}
    _, sent = same_bits(EVERYWHERE.format(cases=cases))
    assert max(bytes for _, bytes in sent) < 100, "ranks agree that all of them drew, no more"
