"""Calls over the whole numerical surface, each on rows that several ranks share, and the digest of what each gives.

`main()` runs them all; its digests must not depend on ranks, threads or tiles. `missing()` names functions of the
modules below that no call covers, so that a new one cannot be left out. Never here: whether results are right.
"""

from __future__ import annotations

import hashlib
import warnings

import numpy as np

import girih as gr

warnings.simplefilter("ignore")
# More than 64 KiB in odd numbers of rows, so that all arrays lie by rows and every last tile is ragged.
ROWS = 9001
UNARY_DOMAIN = {"arccosh": "above", "acosh": "above", "arctanh": "within", "atanh": "within"}
UNARY_DOMAIN |= dict.fromkeys(("arcsin", "arccos", "asin", "acos"), "within")
UNARY_DOMAIN |= dict.fromkeys(("log", "log2", "log10", "log1p", "sqrt"), "above")
BITWISE = ("bitwise", "shift", "invert", "gcd", "lcm")
# What gives no array of numbers, or runs a function of the user on the whole.
NOT_HERE = {
    "random": {"bit_generator", "bytes", "spawn"},
    "linalg": {"LinAlgError"},
}


def operands():
    """The same numbers on every rank, made by NumPy."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal(ROWS)
    square = rng.standard_normal((131, 131))
    holes = np.where(rng.random((ROWS, 3)) < 0.1, np.nan, rng.standard_normal((ROWS, 3)))
    given = {
        "x": x, "y": rng.standard_normal(ROWS), "above": 1 + rng.random(ROWS), "within": rng.uniform(-0.9, 0.9, ROWS),
        "tall": rng.standard_normal((ROWS, 3)), "x32": x.astype("f4"), "z": x + 1j * x[::-1], "holes": holes,
        "n": rng.integers(-99, 99, ROWS), "counts": rng.integers(0, 40, ROWS), "square": square,
        "definite": square @ square.T + 131 * np.eye(131), "boxes": rng.standard_normal((601, 4, 4)),
        "stack": rng.standard_normal((43, 7, 41)),
    }  # fmt: skip
    return {name: gr.asarray(each) for name, each in given.items()}


def ufunc_calls():
    """Every universal function; of those of two operands the reduction and the running result, too."""
    for name in gr.ufuncs.__all__:
        ufunc = getattr(gr, name)
        if name == "Ufunc":
            continue
        first = "n" if name.startswith(BITWISE) or name.endswith(BITWISE) else UNARY_DOMAIN.get(name, "x")
        if ufunc.nin == 1:
            yield f"ufuncs.{name}", lambda d, f=ufunc, a=first: f(d[a])
            continue
        second = "counts" if first == "n" or name == "ldexp" else "y"
        yield f"ufuncs.{name}", lambda d, f=ufunc, a=first, b=second: f(d[a], d[b])
    for name in ("add", "multiply", "maximum", "logaddexp", "hypot"):
        yield f"ufuncs.{name}.reduce", lambda d, f=name: getattr(gr, f).reduce(d["tall"], axis=0)
        yield f"ufuncs.{name}.accumulate", lambda d, f=name: getattr(gr, f).accumulate(d["x"])


def reduction_calls():
    """Every reduction along rows, along columns and over all elements; running ones along both axes."""
    for name in gr.reductions.__all__:
        function = getattr(gr, name)
        data = "holes" if name.startswith("nan") and "arg" not in name else "tall"
        axes = (0, 1) if name.startswith(("cum", "nancum")) else (None, 0, 1)
        for axis in axes:
            yield f"reductions.{name}/{axis}", lambda d, f=function, a=data, axis=axis: f(d[a], axis=axis)
    for name in ("sum", "mean", "var", "prod"):
        for data in ("x32", "z", "n"):
            yield f"reductions.{name}/{data}", lambda d, f=name, a=data: getattr(gr, f)(d[a])


ORDER = {
    "sorting.argpartition": lambda d: gr.sort(gr.argpartition(d["x"], 70)[:70]),
    "sorting.argsort": lambda d: (gr.argsort(d["counts"], stable=True), gr.argsort(d["tall"], axis=0)),
    "sorting.bincount": lambda d: gr.bincount(d["counts"], weights=d["x"]),
    "sorting.digitize": lambda d: gr.digitize(d["x"], [-1.0, 0.0, 1.0]),
    "sorting.intersect1d": lambda d: gr.intersect1d(d["n"], d["counts"]),
    "sorting.isin": lambda d: gr.isin(d["n"], d["counts"]),
    "sorting.lexsort": lambda d: gr.lexsort((d["x"], d["counts"])),
    "sorting.partition": lambda d: gr.partition(d["x"], 70)[70],
    "sorting.searchsorted": lambda d: gr.searchsorted(gr.sort(d["x"]), d["y"]),
    "sorting.setdiff1d": lambda d: gr.setdiff1d(d["n"], d["counts"]),
    "sorting.setxor1d": lambda d: gr.setxor1d(d["n"], d["counts"]),
    "sorting.sort": lambda d: (gr.sort(d["x"]), gr.sort(d["tall"], axis=0), gr.sort(d["tall"], axis=1)),
    "sorting.sort_complex": lambda d: gr.sort_complex(d["z"]),
    "sorting.union1d": lambda d: gr.union1d(d["n"], d["counts"]),
    "sorting.unique": lambda d: gr.unique(d["n"], return_index=True, return_inverse=True, return_counts=True),
    "sorting.unique_all": lambda d: gr.unique_all(d["n"]),
    "sorting.unique_counts": lambda d: gr.unique_counts(d["n"]),
    "sorting.unique_inverse": lambda d: gr.unique_inverse(d["n"]),
    "sorting.unique_values": lambda d: gr.unique_values(d["n"]),
    "quantiles.histogram": lambda d: gr.histogram(d["x"], bins=17, weights=d["y"]),
    "quantiles.histogram2d": lambda d: gr.histogram2d(d["x"], d["y"], bins=5),
    "quantiles.histogram_bin_edges": lambda d: gr.histogram_bin_edges(d["x"], bins=9),
    "quantiles.histogramdd": lambda d: gr.histogramdd(d["tall"], bins=4),
    "quantiles.median": lambda d: (gr.median(d["x"]), gr.median(d["tall"], axis=0)),
    "quantiles.nanmedian": lambda d: gr.nanmedian(d["holes"], axis=0),
    "quantiles.nanpercentile": lambda d: gr.nanpercentile(d["holes"], [5, 95], axis=0),
    "quantiles.nanquantile": lambda d: gr.nanquantile(d["holes"], 0.3, axis=1),
    "quantiles.percentile": lambda d: gr.percentile(d["tall"], [5, 95], axis=0),
    "quantiles.quantile": lambda d: gr.quantile(d["x"], [0.1, 0.77]),
}
PRODUCTS = {
    "products.dot": lambda d: (d["x"] @ d["y"], d["tall"].T @ d["tall"], d["square"] @ d["square"]),
    "products.dot/narrow": lambda d: (d["x32"] @ d["x32"], d["z"] @ d["z"], d["n"] @ d["counts"]),
    "products.vdot": lambda d: gr.vdot(d["z"], d["z"]),
    "products.inner": lambda d: gr.inner(d["square"], d["square"]),
    "products.outer": lambda d: gr.outer(d["x"], d["tall"][:3, 0]),
    "products.tensordot": lambda d: gr.tensordot(d["boxes"], d["boxes"], axes=([0, 1], [0, 1])),
    "products.matvec": lambda d: gr.matvec(d["square"], d["square"][0]),
    "products.vecmat": lambda d: gr.vecmat(d["square"][0], d["square"]),
    "products.vecdot": lambda d: gr.vecdot(d["tall"], d["tall"]),
    "products.kron": lambda d: gr.kron(d["tall"], d["tall"][:2]),
    "products.trace": lambda d: gr.trace(d["square"]),
    "products.cross": lambda d: gr.cross(d["tall"], d["tall"][::-1]),
    "products.cov": lambda d: gr.cov(d["tall"], rowvar=False),
    "products.corrcoef": lambda d: gr.corrcoef(d["tall"], rowvar=False),
    "products.convolve": lambda d: gr.convolve(d["x"], d["y"][:31]),
    "products.correlate": lambda d: gr.correlate(d["x"], d["y"][:31], mode="full"),
    "products.vander": lambda d: gr.vander(d["within"], 5),
    "products.matmul": lambda d: d["boxes"] @ d["boxes"],
    "products.einsum": lambda d: gr.einsum("nij,njk->ik", d["boxes"], d["boxes"]),
}
LINALG = {
    "cholesky": lambda d: gr.linalg.cholesky(d["definite"]),
    "cond": lambda d: gr.linalg.cond(d["tall"]),
    "cross": lambda d: gr.linalg.cross(d["tall"], d["tall"][::-1]),
    "det": lambda d: gr.linalg.det(d["boxes"]),
    "diagonal": lambda d: gr.linalg.diagonal(d["boxes"]),
    "eig": lambda d: gr.linalg.eig(d["boxes"][:40]),
    "eigh": lambda d: gr.linalg.eigh(d["definite"]),
    "eigvals": lambda d: gr.linalg.eigvals(d["boxes"][:40]),
    "eigvalsh": lambda d: gr.linalg.eigvalsh(d["definite"]),
    "inv": lambda d: (gr.linalg.inv(d["square"]), gr.linalg.inv(d["boxes"])),
    "lstsq": lambda d: gr.linalg.lstsq(d["tall"], d["x"])[0],
    "matmul": lambda d: gr.linalg.matmul(d["tall"], d["tall"].T[:, :9]),
    "matrix_norm": lambda d: gr.linalg.matrix_norm(d["tall"]),
    "matrix_power": lambda d: gr.linalg.matrix_power(d["square"], 5),
    "matrix_rank": lambda d: gr.linalg.matrix_rank(d["tall"]),
    "matrix_transpose": lambda d: gr.linalg.matrix_transpose(d["tall"]),
    "multi_dot": lambda d: gr.linalg.multi_dot([d["tall"].T, d["tall"], d["tall"].T]),
    "norm": lambda d: (gr.linalg.norm(d["x"]), gr.linalg.norm(d["tall"], axis=0), gr.linalg.norm(d["tall"], 2)),
    "outer": lambda d: gr.linalg.outer(d["x"], d["x"][:5]),
    "pinv": lambda d: gr.linalg.pinv(d["tall"]),
    "qr": lambda d: (*gr.linalg.qr(d["tall"]), *gr.linalg.qr(d["square"])),
    "slogdet": lambda d: gr.linalg.slogdet(d["square"]),
    "solve": lambda d: gr.linalg.solve(d["square"], d["square"][:, :3]),
    "svd": lambda d: (*gr.linalg.svd(d["tall"], full_matrices=False), gr.linalg.svd(d["square"])[1]),
    "svd_lowrank": lambda d: gr.linalg.svd_lowrank(d["square"], 4, seed=0),
    "svdvals": lambda d: gr.linalg.svdvals(d["tall"]),
    "tensordot": lambda d: gr.linalg.tensordot(d["tall"].T, d["tall"], axes=1),
    "tensorinv": lambda d: gr.linalg.tensorinv(d["boxes"][:24].reshape(24, 16)[:16].reshape(4, 4, 16), ind=2),
    "tensorsolve": lambda d: gr.linalg.tensorsolve(d["square"], d["square"][0]),
    "trace": lambda d: gr.linalg.trace(d["boxes"]),
    "vecdot": lambda d: gr.linalg.vecdot(d["tall"], d["tall"]),
    "vector_norm": lambda d: gr.linalg.vector_norm(d["tall"], axis=0),
}
# Arguments of the methods of a generator that need any before their size.
DRAWS = {
    "beta": (2.0, 3.0), "binomial": (40, 0.3), "chisquare": (3.0,), "f": (3.0, 9.0), "gamma": (2.5,),
    "geometric": (0.2,), "hypergeometric": (15, 15, 15), "integers": (0, 1000), "logseries": (0.6,),
    "negative_binomial": (9, 0.4), "noncentral_chisquare": (3.0, 2.0), "noncentral_f": (3.0, 9.0, 1.0),
    "pareto": (3.0,), "poisson": (7.5,), "power": (3.0,), "standard_gamma": (0.7,), "standard_t": (5.0,),
    "triangular": (-1.0, 0.0, 2.0), "vonmises": (0.0, 4.0), "wald": (1.0, 2.0), "weibull": (1.5,), "zipf": (3.0,),
}  # fmt: skip


def draw(name):
    """A call of a generator's method; those that take no size are spelt out."""
    rng = gr.random.default_rng(11)
    if name in ("permutation", "permuted", "shuffle"):
        numbers = gr.arange(float(ROWS))
        return rng.shuffle(numbers) or numbers if name == "shuffle" else getattr(rng, name)(numbers)
    special = {
        "choice": lambda: (rng.choice(ROWS, 9999), rng.choice(500, 200, replace=False)),
        "dirichlet": lambda: rng.dirichlet([1.0, 2.0, 3.0], ROWS),
        "multinomial": lambda: rng.multinomial(20, [0.2, 0.3, 0.5], ROWS),
        "multivariate_hypergeometric": lambda: rng.multivariate_hypergeometric([9, 8, 7], 6, ROWS),
        "multivariate_normal": lambda: rng.multivariate_normal([0.0, 1.0], [[2.0, 0.3], [0.3, 1.0]], ROWS),
    }
    return special[name]() if name in special else getattr(rng, name)(*DRAWS.get(name, ()), size=ROWS)


def transform(name, d):
    """A transform along rows and, of several axes, over a stack."""
    function = getattr(gr.fft, name)
    if name.endswith("freq"):
        return function(ROWS)
    if name.endswith(("2", "n")):
        return function(d["stack"])
    data = d["z"] if name in ("fft", "ifft", "irfft", "hfft", "fftshift", "ifftshift") else d["x"]
    return function(data), function(d["tall"], axes=1) if "shift" in name else function(d["tall"], axis=1)


def calls():
    """Name and function of every call; the name begins with its module's."""
    yield from ufunc_calls()
    yield from reduction_calls()
    yield from ORDER.items()
    yield from PRODUCTS.items()
    yield from ((f"linalg.{name}", call) for name, call in LINALG.items())
    for name in gr.fft.__all__:
        yield f"fft.{name}", lambda d, name=name: transform(name, d)
    for name in methods_of_a_generator():
        yield f"random.{name}", lambda d, name=name: draw(name)
    yield "spatial.cdist", lambda d: gr.spatial.distance.cdist(d["tall"], d["tall"][:5])
    yield "spatial.pdist", lambda d: gr.spatial.distance.pdist(d["tall"][:300])
    for name in ("gradient", "diff", "ediff1d", "trapezoid", "unwrap", "i0", "sinc"):
        yield f"mathematics.{name}", lambda d, f=name: getattr(gr, f)(d["x"])


def methods_of_a_generator():
    """Those that draw numbers."""
    names = {name for name in dir(gr.random.Generator) if not name.startswith("_")}
    return sorted(names - NOT_HERE["random"])


def missing():
    """Functions that no call names."""
    named = {name.split("/")[0] for name, _ in calls()}
    wanted = {f"{module.__name__.split('.')[1]}.{name}" for module in (
        gr.reductions, gr.sorting, gr.quantiles, gr.fft, gr.linalg, gr.products, gr.ufuncs,
    ) for name in module.__all__}  # fmt: skip
    wanted -= {f"{module}.{name}" for module, names in NOT_HERE.items() for name in names} | {"ufuncs.Ufunc"}
    return sorted(wanted - named)


def digest(result):
    """Of shape, dtype and bytes of one array or several."""
    found = hashlib.blake2b(digest_size=16)
    for each in result if isinstance(result, tuple | list) else (result,):
        array = np.asarray(each)
        found.update(f"{array.shape} {array.dtype}".encode() + array.tobytes())
    return found.hexdigest()


def main():
    """Names and digests of all calls."""
    d = operands()
    return {name: digest(call(d)) for name, call in calls()}
