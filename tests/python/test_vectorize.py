"""Python functions of each element, beside NumPy's `vectorize`, on any number of ranks."""

from __future__ import annotations

import numpy as np
import pytest

import girih as gr

PROGRAM = """
import girih as gr

x, y = np.arange(1003.0).reshape(-1, 1) % 17, np.array([2.0, 500.0, 1.0, 3.0])
wide = np.arange(40_000).reshape(100, 400) * 0.5
empty = np.zeros((0, 3))

def larger(a, b):
    return a - b if a > b else a + b

def several(a):
    return int(a), a * 1j, a > 3

CASES = {
    "broadcast": lambda m, a: m.vectorize(larger)(a(x), y),
    "first axis too": lambda m, a: m.vectorize(larger)(a(x)[:5, 0], a(x)[:5]),
    "numbers": lambda m, a: m.vectorize(larger)(3, 4),
    "keywords": lambda m, a: m.vectorize(larger)(b=a(x), a=y),
    "three results": lambda m, a: m.vectorize(several)(a(x)),
    "otypes": lambda m, a: m.vectorize(several, otypes=["f4", "c8", bool])(a(x)),
    "empty": lambda m, a: m.vectorize(larger, otypes="d")(a(empty), 1),
    "core axes taken": lambda m, a: m.vectorize(np.dot, signature="(n),(n)->()")(a(wide), wide[3]),
    "core axes given": lambda m, a: m.vectorize(lambda v: np.convolve(v, [1, 2]), signature="(n)->(m)")(a(wide)),
    "core axes of an empty": lambda m, a: m.vectorize(np.sum, otypes="d", signature="(n)->()")(a(empty)),
    "one call": lambda m, a: m.vectorize(np.cumsum, signature="(n)->(n)")(a(y)),
    "excluded": lambda m, a: m.vectorize(lambda v, p: np.polyval(p, v), excluded=["p"])(a(x), p=[1, 2, 3]),
    "excluded place": lambda m, a: m.vectorize(lambda p, v: np.polyval(p, v), excluded={0})([1, 2, 3], a(x)),
    "cached": lambda m, a: m.vectorize(larger, cache=True)(a(wide), 7),
    "decorator": lambda m, a: m.vectorize(otypes=[float])(lambda v: v + 1)(a(x)),
}
for name, case in CASES.items():
    found, expected = case(gr, gr.asarray), case(np, np.asarray)
    assert isinstance(found, tuple) == isinstance(expected, tuple), name
    for one, other in zip(*[each if isinstance(each, tuple) else (each,) for each in (found, expected)], strict=True):
        assert isinstance(one, gr.Array) and one.dtype == np.asarray(other).dtype, (name, one.dtype)
        np.testing.assert_array_equal(np.asarray(one), other, name)

calls = []
gr.vectorize(lambda v: calls.append(v) or v, otypes=[float])(gr.asarray(wide))
begin, end = gr._native.rows_of_rank(100)
assert calls == wide[begin:end].ravel().tolist(), "each rank calls for its own rows, in their order"

def fails_far_behind(v):
    if v == 16:
        raise KeyError("sixteen")
    return v

said = mistake(lambda: gr.vectorize(fails_far_behind, otypes=[float])(gr.asarray(np.arange(17.0))))
assert "KeyError" in said and "sixteen" in said and "fails_far_behind" in said, said
give(done=len(CASES))
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_it_is_numpys_on_any_number_of_ranks(on_ranks, ranks):
    given = on_ranks(PROGRAM, ranks).succeeded().given(ranks)
    assert [int(one["done"]) for one in given] == [15] * ranks


def test_the_first_call_is_not_repeated_if_it_is_kept():
    calls = []
    result = gr.vectorize(lambda v: calls.append(v) or v * 2, cache=True)(np.arange(3))
    assert (calls, result.tolist()) == ([0, 1, 2], [0, 2, 4])


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: gr.vectorize(5), TypeError, "callable"),
        (lambda: gr.vectorize(str)(np.arange(3)), TypeError, "girih's arrays hold numbers"),
        (lambda: gr.vectorize(abs, otypes="O"), TypeError, "otypes"),
        (lambda: gr.vectorize(abs)(np.zeros(0)), ValueError, "size 0 inputs"),
        (lambda: gr.vectorize(np.dot, signature="n,n->"), ValueError, "not a valid gufunc signature"),
        (lambda: gr.vectorize(np.dot, signature="(n),(n)->()")(np.ones(3)), TypeError, "expected 2, got 1"),
        (lambda: gr.vectorize(np.sum, signature="(n)->()")(3.0), ValueError, "argument 0 has 0 axes"),
        (lambda: gr.vectorize(max)(np.ones(3), np.ones(4)), ValueError, "broadcast"),
    ],
)
def test_mistakes_are_said(make, error, text):
    with pytest.raises(error, match=text):
        make()


def test_it_looks_like_its_function():
    @gr.vectorize
    def half(v):
        """Half of it."""
        return v / 2

    assert (half.__name__, half.__doc__) == ("half", "Half of it.")
    assert gr.vectorize(half.pyfunc, doc="Other words.").__doc__ == "Other words."
