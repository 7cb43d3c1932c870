"""Random arrays with NumPy's names: the same numbers at every number of ranks, threads and tiles.

Every rank gives the same seed and makes the same calls; no message is needed. The numbers of a seed are not NumPy's.

Below the `Generator` stand the older names on one generator of the module, which `seed` starts anew: `rand`, `randn`,
`randint`, `random_sample` and the distributions. Absent are `RandomState`, `get_state`, `set_state` and
`random_integers`: use `default_rng` and its `bit_generator.state`.

>>> import girih as gr
>>> rng = gr.random.default_rng(42)
>>> rng.integers(0, 10, size=3).shape
(3,)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from girih.names import missing
from girih.random.arguments import Parameter, Size
from girih.random.bits import Philox, Seed, SeedSequence
from girih.random.generator import Generator, default_rng

_generator = Generator(Philox())

beta = _generator.beta
binomial = _generator.binomial
bytes = _generator.bytes
chisquare = _generator.chisquare
choice = _generator.choice
dirichlet = _generator.dirichlet
exponential = _generator.exponential
f = _generator.f
gamma = _generator.gamma
geometric = _generator.geometric
gumbel = _generator.gumbel
hypergeometric = _generator.hypergeometric
laplace = _generator.laplace
logistic = _generator.logistic
lognormal = _generator.lognormal
logseries = _generator.logseries
multinomial = _generator.multinomial
multivariate_normal = _generator.multivariate_normal
negative_binomial = _generator.negative_binomial
noncentral_chisquare = _generator.noncentral_chisquare
noncentral_f = _generator.noncentral_f
normal = _generator.normal
pareto = _generator.pareto
permutation = _generator.permutation
poisson = _generator.poisson
power = _generator.power
rayleigh = _generator.rayleigh
shuffle = _generator.shuffle
standard_cauchy = _generator.standard_cauchy
standard_exponential = _generator.standard_exponential
standard_gamma = _generator.standard_gamma
standard_normal = _generator.standard_normal
standard_t = _generator.standard_t
triangular = _generator.triangular
uniform = _generator.uniform
vonmises = _generator.vonmises
wald = _generator.wald
weibull = _generator.weibull
zipf = _generator.zipf


def seed(seed: Seed = None) -> None:
    """Starts the module's generator anew; the same seed on every rank.

    >>> import girih as gr
    >>> gr.random.seed(3)
    >>> first = gr.random.rand()
    >>> gr.random.seed(3)
    >>> gr.random.rand() == first
    True
    """
    _generator.bit_generator.reseed(seed)


def random_sample(size: Size = None) -> Any:
    """Numbers in [0, 1).

    >>> import girih as gr
    >>> gr.random.random_sample((2, 2)).shape
    (2, 2)
    """
    return _generator.random(size)


random = ranf = sample = random_sample


def rand(*lengths: int) -> Any:
    """Numbers in [0, 1), in an array with these lengths.

    >>> import girih as gr
    >>> gr.random.rand(3, 2).shape
    (3, 2)
    """
    return _generator.random(lengths or None)


def randn(*lengths: int) -> Any:
    """Standard normal numbers, in an array with these lengths.

    >>> import girih as gr
    >>> gr.random.randn(3, 2).shape
    (3, 2)
    """
    return _generator.standard_normal(lengths or None)


def randint(low: Parameter, high: Parameter | None = None, size: Size = None, dtype: DTypeLike = np.int64) -> Any:
    """Whole numbers from `low` to before `high`, or from 0 to before `low`.

    >>> import girih as gr
    >>> bool((gr.random.randint(3, size=100) < 3).all())
    True
    """
    return _generator.integers(low, high, size, dtype)


__all__ = [
    "Generator", "Philox", "SeedSequence", "beta", "binomial", "bytes", "chisquare", "choice", "default_rng",
    "dirichlet", "exponential", "f", "gamma", "geometric", "gumbel", "hypergeometric", "laplace", "logistic",
    "lognormal", "logseries", "multinomial", "multivariate_normal", "negative_binomial", "noncentral_chisquare",
    "noncentral_f", "normal", "pareto", "permutation", "poisson", "power", "rand", "randint", "randn", "random",
    "random_sample", "ranf", "rayleigh", "sample", "seed", "shuffle", "standard_cauchy", "standard_exponential",
    "standard_gamma", "standard_normal", "standard_t", "triangular", "uniform", "vonmises", "wald", "weibull", "zipf",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    raise missing("girih.random", name)
