"""Every pair of dtypes and every operation gives NumPy's dtype, values and errors; weak numbers, too."""

from __future__ import annotations

import warnings

import girih as gr
import numpy as np
import pytest

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip
UFUNCS = [name for name in dir(np) if isinstance(getattr(np, name), np.ufunc) and hasattr(gr, name)]
UNARY = [name for name in UFUNCS if getattr(np, name).nin == 1 and getattr(np, name).nout == 1]
BINARY = [name for name in UFUNCS if getattr(np, name).nin == 2 and getattr(np, name).nout == 1]
NUMBERS = (True, 3, -2, 300, 2**40, 2**63, 2**64, 2.5, 1e300, 1 + 2j)


def values(rng, dtype, count=40):
    """Elements with everything awkward in them that casts and functions define."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.random(count) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        found = rng.integers(max(info.min, -9), 10, count).astype(dtype)
        odd = rng.choice(np.array([info.min, info.max, 0, 1, info.max // 2], dtype), count)
        return np.where(rng.random(count) < 0.2, odd, found)
    if dtype.kind == "f":
        found = (3 * rng.standard_normal(count)).astype(dtype)
        odd = rng.choice(np.array([np.nan, np.inf, -np.inf, 0, -0.0, 1, -2], dtype), count)
        return np.where(rng.random(count) < 0.3, odd, found)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(dtype)


def outcome(run, *operands):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return run(*operands), None
        except Exception as error:
            return None, error


def check(case, run, *operands):
    theirs, refusal = outcome(run, np, *operands)
    ours, error = outcome(run, gr, *(gr.asarray(x) if isinstance(x, np.ndarray) else x for x in operands))
    if refusal is not None or error is not None:
        alike = refusal is not None and (isinstance(error, type(refusal)) or isinstance(refusal, type(error)))
        assert alike, f"{case}: {error!r}, NumPy {refusal!r}"
        return
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape), case
    if theirs.dtype.kind in "fc":
        info = np.finfo(theirs.dtype)
        same = np.isclose(ours, theirs, rtol=16 * info.eps, atol=16 * info.smallest_normal, equal_nan=True)
    else:
        same = ours == theirs
    assert np.all(same), f"{case}: {ours[~same][:3]}, NumPy {theirs[~same][:3]}, of {operands}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_operations_take_each_pair_of_dtypes_as_numpys_do(dtype):
    rng = np.random.default_rng(11)
    for name in UNARY:
        check(f"{name} of {dtype}", lambda m, x: getattr(m, name)(x), values(rng, dtype))
    for other in DTYPES:
        check(f"{dtype} as {other}", lambda m, x: x.astype(other), rng.integers(0, 100, 30).astype(dtype))
        for name in BINARY:
            if name not in ("matmul", "vecdot", "matvec", "vecmat"):
                x, y = values(rng, dtype), values(rng, other)
                check(f"{name} of {dtype} and {other}", lambda m, x, y: getattr(m, name)(x, y), x, y)


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_take_the_dtype_of_the_array_as_numpys_do(dtype):
    rng = np.random.default_rng(12)
    for number in NUMBERS:
        for name in "add subtract multiply divide floor_divide power less equal bitwise_and maximum".split():
            x = values(rng, dtype)
            check(f"{name} of {dtype} and {number!r}", lambda m, x: getattr(m, name)(x, number), x)
            check(f"{name} of {number!r} and {dtype}", lambda m, x: getattr(m, name)(number, x), x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_reductions_and_products_have_numpys_dtypes(dtype):
    rng = np.random.default_rng(13)
    for name in "sum prod min max mean any all var std count_nonzero".split():
        for axis in (None, 0, 1):
            x = (rng.integers(0, 3, (6, 7)) if name != "prod" else np.full((6, 7), 2) // 2).astype(dtype)
            check(f"{name} of {dtype} along {axis}", lambda m, x: getattr(m, name)(x, axis=axis), x)
    x, y = rng.integers(0, 3, (4, 5)).astype(dtype), rng.integers(0, 3, (5, 3)).astype(dtype)
    check(f"product of {dtype}", lambda m, x, y: x @ y, x, y)


def test_casting_rules_are_numpys():
    for name in DTYPES:
        x = gr.ones(3, dtype=name)
        for other in DTYPES:
            for casting in ("no", "equiv", "safe", "same_kind", "unsafe"):
                allowed = outcome(lambda: x.astype(other, casting=casting))[1] is None
                assert allowed == np.can_cast(name, other, casting), (name, other, casting)
                assert allowed == gr.can_cast(x, other, casting)
            assert gr.result_type(x, gr.dtype(other)) == np.promote_types(name, other)


def test_arrays_of_a_foreign_byte_order_become_native():
    for name in DTYPES[2:]:
        foreign = np.arange(5).astype(np.dtype(name).newbyteorder("S"))
        ours = gr.asarray(foreign)
        assert ours.dtype == np.dtype(name)
        assert np.array_equal(np.asarray(ours), np.arange(5))


def test_local_views_and_numbers_have_the_dtype():
    for name in DTYPES:
        x = gr.ones(4, dtype=name)
        assert x.dtype == np.dtype(name) == x.local.dtype
        assert type(x[0].item()) is type(np.ones(1, name)[0].item())
        assert x.itemsize == np.dtype(name).itemsize
