"""Distributions of whole numbers, with NumPy's names and parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from girih import _native, ufuncs
from girih.random.arguments import Parameter, Size, fits, is_array, refuse, result_shape, shape_of, weak
from girih.random.continuous import Continuous

_FIRST, _LAST = -(2**63), 2**63 - 1


class Discrete(Continuous):
    """Methods of `Generator` that draw whole numbers: int64."""

    def integers(
        self,
        low: Parameter,
        high: Parameter | None = None,
        size: Size = None,
        dtype: DTypeLike = np.int64,
        endpoint: bool = False,
    ) -> Any:
        """Whole numbers from `low` to before `high`, or from 0 to before `low`; `endpoint` includes the end.

        Bounds are those of int64; `dtype` is what the numbers are cast to.

        >>> import girih as gr
        >>> dice = gr.random.default_rng(7).integers(1, 6, size=1000, endpoint=True)
        >>> int(dice.min()), int(dice.max())
        (1, 6)
        """
        low, high = (0, low) if high is None else (low, high)
        low, high = weak(low), weak(high)
        first: Any = low.astype(np.int64) if isinstance(low, _native.Array) else np.asarray(low)
        last: Any = high.astype(np.int64) if isinstance(high, _native.Array) else np.asarray(high)
        kind = np.dtype(dtype)
        limits = (0, 1) if kind == np.bool_ else (_FIRST, _LAST)
        if kind.kind in "iu":
            limits = (max(np.iinfo(kind).min, _FIRST), min(np.iinfo(kind).max, _LAST))
        if isinstance(high, int | float) and isinstance(low, int | float):
            least, most = int(low), int(high) if endpoint else int(np.ceil(high)) - 1
            if most < least:
                raise ValueError("low > high" if endpoint else "low >= high")
            if least < limits[0]:
                raise ValueError(f"low is out of bounds for {kind}")
            if most > limits[1]:
                raise ValueError(f"high is out of bounds for {kind}")
            bounds: tuple[Any, Any] = (least, most)
        else:
            last = last if endpoint else last - 1
            if bool((first > last).any()):
                raise ValueError("low > high" if endpoint else "low >= high")
            bounds = (
                first if is_array(first) else np.asarray(first, np.int64),
                last if is_array(last) else np.asarray(last, np.int64),
            )
        shape = result_shape(size, (low, high))
        drawn = self._bits.next_call().integers(bounds[0], bounds[1], list(shape or ()))
        drawn = drawn if kind == np.int64 else drawn.astype(kind)
        return drawn.item() if shape is None else drawn

    def binomial(self, n: Parameter, p: Parameter, size: Size = None) -> Any:
        """How many of `n` trials succeed, each with probability `p`.

        >>> import girih as gr
        >>> gr.random.default_rng(7).binomial(10, 0.5, size=5).shape
        (5,)
        """
        refuse(n, lambda n: n < 0, "n < 0")
        refuse(p, lambda p: (p < 0) | (p > 1), "p < 0, p > 1 or p is NaN")
        return self._draw("binomial", (n, p), size)

    def negative_binomial(self, n: Parameter, p: Parameter, size: Size = None) -> Any:
        """How many trials fail before `n` succeed, each with probability `p`.

        >>> import girih as gr
        >>> gr.random.default_rng(7).negative_binomial(3, 0.5, size=5).shape
        (5,)
        """
        refuse(n, lambda n: n <= 0, "n <= 0")
        refuse(p, lambda p: (p <= 0) | (p > 1), "p <= 0, p > 1 or p is NaN")
        return self._draw("negative_binomial", (n, p), size)

    def poisson(self, lam: Parameter = 1.0, size: Size = None) -> Any:
        """How many events come while `lam` are expected.

        >>> import girih as gr
        >>> bool(abs(gr.random.default_rng(7).poisson(4.0, size=100_000).mean() - 4) < 0.05)
        True
        """
        refuse(lam, lambda lam: lam < 0, "lam < 0 or lam is NaN")
        refuse(lam, lambda lam: lam > 9.2e18, "lam value too large")
        return self._draw("poisson", (lam,), size)

    def zipf(self, a: Parameter, size: Size = None) -> Any:
        """Numbers from 1 on, with probabilities that fall as k**-a.

        >>> import girih as gr
        >>> bool((gr.random.default_rng(7).zipf(2.0, size=5) >= 1).all())
        True
        """
        refuse(a, lambda a: a <= 1, "a <= 1 or a is NaN")
        return self._draw("zipf", (a,), size)

    def geometric(self, p: Parameter, size: Size = None) -> Any:
        """The number of the first trial that succeeds, each with probability `p`.

        >>> import girih as gr
        >>> bool((gr.random.default_rng(7).geometric(0.3, size=5) >= 1).all())
        True
        """
        refuse(p, lambda p: (p <= 0) | (p > 1), "p <= 0, p > 1 or p contains NaNs")
        return self._draw("geometric", (p,), size)

    def logseries(self, p: Parameter, size: Size = None) -> Any:
        """Numbers from 1 on, with probabilities that fall as p**k / k.

        >>> import girih as gr
        >>> bool((gr.random.default_rng(7).logseries(0.6, size=5) >= 1).all())
        True
        """
        refuse(p, lambda p: (p < 0) | (p >= 1), "p < 0, p >= 1 or p is NaN")
        return self._draw("logseries", (p,), size)

    def hypergeometric(self, ngood: Parameter, nbad: Parameter, nsample: Parameter, size: Size = None) -> Any:
        """How many of `nsample` things, drawn without return, are among the `ngood` good ones.

        >>> import girih as gr
        >>> gr.random.default_rng(7).hypergeometric(10, 20, 6, size=5).shape
        (5,)
        """
        for name, value in (("ngood", ngood), ("nbad", nbad), ("nsample", nsample)):
            refuse(value, lambda value: value < 0, f"{name} < 0")
        if any(is_array(value) for value in (ngood, nbad, nsample)):
            short = bool((ufuncs.add(ngood, nbad) < nsample).any())
        else:
            short = bool(np.any(np.add(ngood, nbad) < np.asarray(nsample)))
        if short:
            raise ValueError("ngood + nbad < nsample")
        return self._draw("hypergeometric", (ngood, nbad, nsample), size)

    def multinomial(self, n: Parameter, pvals: Parameter, size: Size = None) -> Any:
        """How often each of several outcomes comes in `n` trials; their probabilities are along the last axis.

        >>> import girih as gr
        >>> gr.random.default_rng(7).multinomial(20, [0.2, 0.3, 0.5], size=4).sum(axis=1).tolist()
        [20, 20, 20, 20]
        """
        refuse(n, lambda n: n < 0, "n < 0")
        refuse(pvals, lambda p: (p < 0) | (p > 1), "pvals < 0, pvals > 1 or pvals contains NaNs")
        if np.ndim(pvals) == 0:
            raise ValueError("pvals must have at least one dimension")
        probabilities, trials = _native.asarray(pvals), _native.asarray(n)
        if bool((probabilities[..., :-1].sum(axis=-1) > 1.0 + 1e-12).any()):
            raise ValueError("sum(pvals[:-1]) > 1.0")
        common = np.broadcast_shapes(trials.shape, probabilities.shape[:-1])
        shape = common if size is None else shape_of(size)
        if not fits(common, shape):
            raise ValueError(f"Output size {shape} is not compatible with broadcast dimensions of inputs {common}.")
        whole = [*shape, probabilities.shape[-1]]
        return self._bits.next_call().multinomial(trials.reshape(*trials.shape, 1), probabilities, whole)

    def multivariate_hypergeometric(
        self, colors: ArrayLike, nsample: int, size: Size = None, method: str = "marginals"
    ) -> Any:
        """How many things of each colour are among `nsample` drawn without return.

        `method` is accepted and has no effect.

        >>> import girih as gr
        >>> gr.random.default_rng(7).multivariate_hypergeometric([16, 8, 4], 6, size=3).sum(axis=1).tolist()
        [6, 6, 6]
        """
        if method not in ("count", "marginals"):
            raise ValueError('method must be "count" or "marginals".')
        counts = np.asarray(colors)
        if counts.ndim != 1 or counts.dtype.kind not in "iu" or (counts < 0).any():
            raise ValueError("colors must be a one-dimensional sequence of nonnegative integers")
        if nsample < 0:
            raise ValueError("nsample must be nonnegative")
        if nsample > counts.sum():
            raise ValueError("nsample > sum(colors)")
        shape = () if size is None else shape_of(size)
        return self._bits.next_call().multivariate_hypergeometric(counts.tolist(), int(nsample), [*shape, len(counts)])
