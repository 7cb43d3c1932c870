"""`ufunc.at` and `ufunc.reduceat` are NumPy's on any number of ranks: values, dtypes and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
PROGRAM = f"""
import sys
sys.path.insert(0, {HERE!r})
from order_cases import Comparison
import girih as gr

c = Comparison(11)

def at(name, array, places, *values):
    values = [np.asarray(value) for value in values]
    def run(m, a, *values):
        copied = a.copy()
        getattr(m, name).at(copied, places, *values)
        return copied
    c.check(f"{{name}}.at", run, array, *values, near=1e-12)

alone = gr.size() == 1
for shape in [(1,), (20_011,), (9001, 3), (4, 50, 6)] if alone else [(20_011,), (9001, 3)]:
    for dtype in ("float64", "int64", "int8", "bool", "complex128") if alone else ("float64", "bool"):
        x = c.data(shape, dtype)
        length = shape[0]
        few = [0, length - 1, length // 2, length // 3]
        many = np.sort(c.rng.integers(0, length, 90))
        mixed = c.rng.integers(0, length, 60)
        for places in (few, many, mixed, [], [length]) if alone else (few, many, mixed):
            for name in ("add", "multiply", "maximum", "logical_or", "hypot", "subtract"):
                if name == "hypot" and dtype in ("int8", "bool"):
                    continue  # float16, whose sums round by their order
                run = lambda m, a, name=name, places=places: getattr(m, name).reduceat(a, places)
                c.check(f"{{name}}.reduceat", run, x, near=1e-9)
        if len(shape) > 1:
            c.check("axis", lambda m, a: m.add.reduceat(a, [0, 2, 1], axis=1), x, near=1e-12)
        values = c.data((60, *shape[1:]), dtype)
        for name in ("add", "multiply", "minimum", "subtract", "bitwise_xor"):
            at(name, x, mixed, values)
            at(name, x, mixed - length, values[0])
        if dtype in ("float64", "complex128"):
            at("divide", x, few, np.ones(len(few) if len(shape) == 1 else shape[1:]))
        at("negative", x, [0, 0, length - 1])
        at("add", x, [length], values[:1])
        at("add", x, [], values[:0])
        if len(shape) > 1:
            first = values.reshape(60, -1)[:, 0].reshape((60,) + (1,) * (len(shape) - 2))
            at("add", x, (mixed, mixed % shape[1]), first)
        if dtype != "complex128":
            at("add", x, x > 0, np.ones((), dtype))
line = c.data((30_011,), "float64")
knots, values = np.sort(c.rng.random(2000) * 20 - 10), c.rng.random(2000)
for x in (line, line[:5], np.float64(0.3), np.append(line[:9], [np.nan, np.inf, -np.inf]), np.array([], float)):
    c.check("interp", lambda m, a, k, v: m.interp(a, k, v), x, knots, values, near=1e-12)
    few = knots[:9], values[:9]
    c.check("interp sides", lambda m, a, k, v: m.interp(a, k, v, left=-1, right=7), x, *few, near=1e-12)
    c.check("interp of one", lambda m, a, k, v: m.interp(a, k, v), x, knots[:1], values[:1])
    c.check("interp around", lambda m, a, k, v: m.interp(a, k, v, period=3.5), x, knots, values, near=1e-11)
    c.check("interp complex", lambda m, a, k, v: m.interp(a, k, v * 2j), x, knots, values, near=1e-12)
    c.check("interp of unequal", lambda m, a, k, v: m.interp(a, k, v), x, knots, values[:3])
    c.check("interp of none", lambda m, a, k, v: m.interp(a, k, v), x, knots[:0], values[:0])
give(wrong=c.wrong)
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_functions_at_places_and_over_runs_are_numpys(on_ranks, ranks):
    for given in on_ranks(PROGRAM, ranks, timeout=200).succeeded().given(ranks):
        assert given["wrong"].tolist() == []
