"""Distributions of real numbers, with NumPy's names and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from girih.random.arguments import Parameter, Size, refuse, result_shape, size_of_output, weak
from girih.random.bits import Philox


class Continuous:
    """Methods of `Generator` that draw real numbers. Parameters are numbers, or arrays that are broadcast."""

    _bits: Philox

    def _draw(
        self, name: str, parameters: tuple[Parameter, ...], size: Size, dtype: DTypeLike = np.float64, out: Any = None
    ) -> Any:
        parameters = tuple(weak(parameter) for parameter in parameters)
        if out is not None:
            size = size_of_output(out, size, dtype)
        shape = result_shape(size, parameters)
        drawn = self._bits.next_call().draw(name, list(parameters), list(shape or ()), dtype)
        if out is not None:
            out[...] = drawn
            return out
        return drawn.item() if shape is None else drawn

    def random(self, size: Size = None, dtype: DTypeLike = np.float64, out: Any = None) -> Any:
        """Numbers in [0, 1), each equally likely; float64 (multiples of 2⁻⁵³) or float32 (of 2⁻²⁴).

        >>> import girih as gr
        >>> x = gr.random.default_rng(7).random((2, 3))
        >>> x.shape, bool((x < 1).all())
        ((2, 3), True)
        """
        return self._draw("random", (), size, dtype, out)

    def uniform(self, low: Parameter = 0.0, high: Parameter = 1.0, size: Size = None) -> Any:
        """Numbers in [low, high).

        >>> import girih as gr
        >>> gr.random.default_rng(7).uniform([0, 10], [1, 11]).astype("int64").tolist()
        [0, 10]
        """
        return self._draw("uniform", (low, high), size)

    def standard_normal(self, size: Size = None, dtype: DTypeLike = np.float64, out: Any = None) -> Any:
        """The normal distribution with mean 0 and standard deviation 1.

        >>> import girih as gr
        >>> bool(abs(gr.random.default_rng(7).standard_normal(100_000).mean()) < 0.02)
        True
        """
        return self._draw("standard_normal", (), size, dtype, out)

    def normal(self, loc: Parameter = 0.0, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The normal distribution with mean `loc` and standard deviation `scale`.

        >>> import girih as gr
        >>> gr.random.default_rng(7).normal(5, 2, size=(3, 2)).shape
        (3, 2)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("normal", (loc, scale), size)

    def lognormal(self, mean: Parameter = 0.0, sigma: Parameter = 1.0, size: Size = None) -> Any:
        """Numbers whose logarithm is normal with this mean and standard deviation.

        >>> import girih as gr
        >>> bool((gr.random.default_rng(7).lognormal(size=10) > 0).all())
        True
        """
        refuse(sigma, lambda sigma: sigma < 0, "sigma < 0")
        return self._draw("lognormal", (mean, sigma), size)

    def standard_exponential(
        self, size: Size = None, dtype: DTypeLike = np.float64, method: str = "zig", out: Any = None
    ) -> Any:
        """The exponential distribution with mean 1; `method` is accepted and has no effect.

        >>> import girih as gr
        >>> gr.random.default_rng(7).standard_exponential(4).shape
        (4,)
        """
        if method not in ("zig", "inv"):
            raise ValueError(f"method must be 'zig' or 'inv', not {method!r}")
        return self._draw("standard_exponential", (), size, dtype, out)

    def exponential(self, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The exponential distribution with mean `scale`.

        >>> import girih as gr
        >>> gr.random.default_rng(7).exponential(3.0, size=4).shape
        (4,)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("exponential", (scale,), size)

    def standard_gamma(
        self, shape: Parameter, size: Size = None, dtype: DTypeLike = np.float64, out: Any = None
    ) -> Any:
        """The gamma distribution with this shape and scale 1.

        >>> import girih as gr
        >>> gr.random.default_rng(7).standard_gamma([1.0, 2.0]).shape
        (2,)
        """
        refuse(shape, lambda shape: shape < 0, "shape < 0")
        return self._draw("standard_gamma", (shape,), size, dtype, out)

    def gamma(self, shape: Parameter, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The gamma distribution with this shape and scale; its mean is their product.

        >>> import girih as gr
        >>> gr.random.default_rng(7).gamma(2.0, 3.0, size=5).shape
        (5,)
        """
        refuse(shape, lambda shape: shape < 0, "shape < 0")
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("gamma", (shape, scale), size)

    def beta(self, a: Parameter, b: Parameter, size: Size = None) -> Any:
        """The beta distribution, on [0, 1].

        >>> import girih as gr
        >>> gr.random.default_rng(7).beta(2.0, 5.0, size=5).shape
        (5,)
        """
        refuse(a, lambda a: a <= 0, "a <= 0")
        refuse(b, lambda b: b <= 0, "b <= 0")
        return self._draw("beta", (a, b), size)

    def chisquare(self, df: Parameter, size: Size = None) -> Any:
        """The chi-squared distribution with `df` degrees of freedom.

        >>> import girih as gr
        >>> gr.random.default_rng(7).chisquare(3, size=5).shape
        (5,)
        """
        refuse(df, lambda df: df <= 0, "df <= 0")
        return self._draw("chisquare", (df,), size)

    def noncentral_chisquare(self, df: Parameter, nonc: Parameter, size: Size = None) -> Any:
        """The chi-squared distribution about another centre.

        >>> import girih as gr
        >>> gr.random.default_rng(7).noncentral_chisquare(3, 1.5, size=5).shape
        (5,)
        """
        refuse(df, lambda df: df <= 0, "df <= 0")
        refuse(nonc, lambda nonc: nonc < 0, "nonc < 0")
        return self._draw("noncentral_chisquare", (df, nonc), size)

    def f(self, dfnum: Parameter, dfden: Parameter, size: Size = None) -> Any:
        """The F distribution, of the ratio of two variances.

        >>> import girih as gr
        >>> gr.random.default_rng(7).f(3, 10, size=5).shape
        (5,)
        """
        refuse(dfnum, lambda df: df <= 0, "dfnum <= 0")
        refuse(dfden, lambda df: df <= 0, "dfden <= 0")
        return self._draw("f", (dfnum, dfden), size)

    def noncentral_f(self, dfnum: Parameter, dfden: Parameter, nonc: Parameter, size: Size = None) -> Any:
        """The F distribution about another centre.

        >>> import girih as gr
        >>> gr.random.default_rng(7).noncentral_f(3, 10, 1.0, size=5).shape
        (5,)
        """
        refuse(dfnum, lambda df: df <= 0, "dfnum <= 0")
        refuse(dfden, lambda df: df <= 0, "dfden <= 0")
        refuse(nonc, lambda nonc: nonc < 0, "nonc < 0")
        return self._draw("noncentral_f", (dfnum, dfden, nonc), size)

    def standard_cauchy(self, size: Size = None) -> Any:
        """The Cauchy distribution, which has no mean.

        >>> import girih as gr
        >>> gr.random.default_rng(7).standard_cauchy(5).shape
        (5,)
        """
        return self._draw("standard_cauchy", (), size)

    def standard_t(self, df: Parameter, size: Size = None) -> Any:
        """Student's t distribution with `df` degrees of freedom.

        >>> import girih as gr
        >>> gr.random.default_rng(7).standard_t(4, size=5).shape
        (5,)
        """
        refuse(df, lambda df: df <= 0, "df <= 0")
        return self._draw("standard_t", (df,), size)

    def vonmises(self, mu: Parameter, kappa: Parameter, size: Size = None) -> Any:
        """Angles about `mu`, in [-π, π].

        >>> import girih as gr
        >>> gr.random.default_rng(7).vonmises(0.0, 4.0, size=5).shape
        (5,)
        """
        refuse(kappa, lambda kappa: kappa < 0, "kappa < 0")
        return self._draw("vonmises", (mu, kappa), size)

    def pareto(self, a: Parameter, size: Size = None) -> Any:
        """The Pareto II or Lomax distribution; add 1 for the classical one.

        >>> import girih as gr
        >>> gr.random.default_rng(7).pareto(3.0, size=5).shape
        (5,)
        """
        refuse(a, lambda a: a <= 0, "a <= 0")
        return self._draw("pareto", (a,), size)

    def weibull(self, a: Parameter, size: Size = None) -> Any:
        """The Weibull distribution with scale 1.

        >>> import girih as gr
        >>> gr.random.default_rng(7).weibull(1.5, size=5).shape
        (5,)
        """
        refuse(a, lambda a: a < 0, "a < 0")
        return self._draw("weibull", (a,), size)

    def power(self, a: Parameter, size: Size = None) -> Any:
        """Numbers in [0, 1] with density a·x**(a - 1).

        >>> import girih as gr
        >>> gr.random.default_rng(7).power(2.0, size=5).shape
        (5,)
        """
        refuse(a, lambda a: a <= 0, "a <= 0")
        return self._draw("power", (a,), size)

    def laplace(self, loc: Parameter = 0.0, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The double exponential distribution.

        >>> import girih as gr
        >>> gr.random.default_rng(7).laplace(size=5).shape
        (5,)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("laplace", (loc, scale), size)

    def gumbel(self, loc: Parameter = 0.0, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The Gumbel distribution, of the largest of many.

        >>> import girih as gr
        >>> gr.random.default_rng(7).gumbel(size=5).shape
        (5,)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("gumbel", (loc, scale), size)

    def logistic(self, loc: Parameter = 0.0, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The logistic distribution.

        >>> import girih as gr
        >>> gr.random.default_rng(7).logistic(size=5).shape
        (5,)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("logistic", (loc, scale), size)

    def rayleigh(self, scale: Parameter = 1.0, size: Size = None) -> Any:
        """The Rayleigh distribution, of the length of a normal vector in the plane.

        >>> import girih as gr
        >>> gr.random.default_rng(7).rayleigh(2.0, size=5).shape
        (5,)
        """
        refuse(scale, lambda scale: scale < 0, "scale < 0")
        return self._draw("rayleigh", (scale,), size)

    def wald(self, mean: Parameter, scale: Parameter, size: Size = None) -> Any:
        """The inverse Gaussian distribution.

        >>> import girih as gr
        >>> gr.random.default_rng(7).wald(3.0, 2.0, size=5).shape
        (5,)
        """
        refuse(mean, lambda mean: mean <= 0, "mean <= 0")
        refuse(scale, lambda scale: scale <= 0, "scale <= 0")
        return self._draw("wald", (mean, scale), size)

    def triangular(self, left: Parameter, mode: Parameter, right: Parameter, size: Size = None) -> Any:
        """The triangular distribution from `left` over its peak at `mode` to `right`.

        >>> import girih as gr
        >>> gr.random.default_rng(7).triangular(-1, 0, 3, size=5).shape
        (5,)
        """
        if any(np.ndim(bound) for bound in (left, mode, right)):
            left, mode, right = (np.asarray(bound) for bound in (left, mode, right))
        if np.any(left > mode):  # type: ignore[operator]
            raise ValueError("left > mode")
        if np.any(mode > right):  # type: ignore[operator]
            raise ValueError("mode > right")
        if np.any(left == right):
            raise ValueError("left == right")
        return self._draw("triangular", (left, mode, right), size)
