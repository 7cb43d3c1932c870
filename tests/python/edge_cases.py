"""Corners of NumPy's semantics, each as a function of a module and of what makes its arrays: girih's and NumPy's agree.

The same value, shape and dtype, or an exception of the same class. Large arrays have their rows on all ranks.
"""

from __future__ import annotations

import warnings

import numpy as np

import girih as gr

INT_MIN, INT_MAX = np.iinfo(np.int64).min, np.iinfo(np.int64).max
NAN, INF = float("nan"), float("inf")
LARGE = np.arange(20_000)
MEDIUM = LARGE[:19_600].reshape(140, 140)  # computed by the calling thread on one rank

CASES = {
    # Integers: division by zero, signs, the one quotient that does not fit.
    "floor division": lambda m, a: a([7, -7, 7, -7, 0]) // a([3, 3, -3, -3, 5]),
    "remainder": lambda m, a: a([7, -7, 7, -7, 0]) % a([3, 3, -3, -3, 5]),
    "division by zero": lambda m, a: a([5, -5, 0, INT_MIN]) // 0,
    "remainder by zero": lambda m, a: a([5, -5, 0, INT_MIN]) % 0,
    "the least by -1": lambda m, a: a([INT_MIN, INT_MAX]) // -1,
    "the least modulo -1": lambda m, a: a([INT_MIN, INT_MAX]) % -1,
    "true division by zero": lambda m, a: a([5, -5, 0]) / 0,
    "abs of the least": lambda m, a: abs(a([INT_MIN])),
    "sums wrap": lambda m, a: a([INT_MAX, 1]).sum(),
    "means do not wrap": lambda m, a: a([INT_MAX, INT_MAX]).mean(),
    "means of many do not wrap": lambda m, a: a(LARGE - LARGE + INT_MAX).mean(),
    "means by column do not wrap": lambda m, a: a([[INT_MAX, 1], [INT_MAX, 2]]).mean(axis=0),
    "negative powers": lambda m, a: a([1, 2]) ** -1,
    "negative powers in an array": lambda m, a: a([1, 2]) ** a([1, -1]),
    "negative powers found while they run": lambda m, a: (a(LARGE) ** a(LARGE[::-1] - 1)).tolist(),
    "negative powers in a fused sum": lambda m, a: float((a(LARGE) ** a(LARGE - 19_999)).sum()),
    "negative powers in a matrix": lambda m, a: (a(MEDIUM) ** a(MEDIUM - 19_000)).tolist(),
    "negative powers in sums of rows": lambda m, a: (a(MEDIUM) ** a(MEDIUM - 19_000)).sum(axis=1).tolist(),
    "negative powers in sums of columns": lambda m, a: (a(MEDIUM) ** a(MEDIUM - 19_000)).sum(axis=0).tolist(),
    "negative powers of a number": lambda m, a: 2 ** a([1, -1]),
    "zero to the zero": lambda m, a: a([0, 1]) ** 0,
    "zero to the zero in floats": lambda m, a: a([0.0, NAN]) ** 0,
    "powers of two": lambda m, a: 2 ** a([0, 1, 62, 63, 64]),
    "float powers of ints": lambda m, a: a([2, 4]) ** 0.5,
    "ints to powers that are floats": lambda m, a: a([2, 4]) ** -1.0,
    "shifts": lambda m, a: m.left_shift(a([1, -1, 3]), a([63, 64, 1])),
    # Floats: NaN, infinities, signed zeros.
    "nan in min": lambda m, a: a([1.0, NAN, 2.0]).min(),
    "nan in max": lambda m, a: a([[1.0, NAN], [3.0, 2.0]]).max(axis=0),
    "nan in maximum": lambda m, a: m.maximum(a([NAN, 1.0, 2.0]), a([1.0, NAN, 3.0])),
    "nan in clip": lambda m, a: m.clip(a([NAN, 1.0, 5.0]), 2, 3),
    "infinite floor division": lambda m, a: a([INF, -INF, 1.0, -1.0]) // a([1.0, 2.0, INF, INF]),
    "infinite remainder": lambda m, a: a([INF, -INF, 1.0, -1.0]) % a([1.0, 2.0, INF, INF]),
    "nan to int": lambda m, a: a([NAN, INF, -INF, 1e300, -1.9, 1.9]).astype("int64"),
    "a full nan to int": lambda m, a: m.full((9000,), NAN).astype("int64"),
    "a full 1e300 to int": lambda m, a: m.full((9000,), 1e300).astype("int64"),
    "nan to bool": lambda m, a: a([NAN, 0.0, -0.0, 0.5]).astype(bool),
    "1e300 to float32": lambda m, a: a([1e300, 1e-300]).astype("float32"),
    "signed zeros": lambda m, a: 1 / (a([0.0, -0.0]) * -1),
    "sign": lambda m, a: m.sign(a([NAN, -0.0, 0.0, -3.0])),
    # Truth values.
    "bools add to bools": lambda m, a: a([True, False, True]) + a([True, True, False]),
    "bools multiply to bools": lambda m, a: a([True, False]) * a([True, True]),
    "bools do not subtract": lambda m, a: a([True]) - a([False]),
    "bools have no sign": lambda m, a: -a([True]),
    "bools have no plus": lambda m, a: +a([True]),
    "bools turn over": lambda m, a: ~a([True, False]),
    "floats do not turn over": lambda m, a: ~a([1.0]),
    "bools divide": lambda m, a: a([True, True]) / a([True, False]),
    "bools sum to ints": lambda m, a: a([True, True]).sum(),
    "bools have means": lambda m, a: a([True, False]).mean(),
    "bools have products": lambda m, a: a([True, True]).prod(),
    "bools have extremes": lambda m, a: a([True, False]).min(),
    "bools by axis, large": lambda m, a: a(LARGE.reshape(-1, 1) % 3 == 0).sum(axis=1),
    "bools by the first axis, large": lambda m, a: a(LARGE.reshape(2, -1) % 3 == 0).sum(axis=0),
    "bools by axis, mean": lambda m, a: a(LARGE.reshape(-1, 1) % 3 == 0).mean(axis=-1, keepdims=True),
    "bools and an int": lambda m, a: a([True, False]) + 1,
    "bools and a float": lambda m, a: a([True, False]) + 1.5,
    "any of floats": lambda m, a: a([0.0, NAN]).any(),
    "all of nothing": lambda m, a: a(np.zeros((0, 3))).all(axis=0),
    # Reductions of nothing.
    "sum of nothing": lambda m, a: a(np.zeros((0, 3))).sum(axis=0),
    "sum of no columns": lambda m, a: a(np.zeros((5, 0))).sum(axis=1),
    "sum over rows of no columns": lambda m, a: a(np.zeros((5, 0))).sum(axis=0),
    "sum of no columns, many rows": lambda m, a: a(np.zeros((20_000, 0))).sum(axis=1),
    "mean of no columns, many rows": lambda m, a: a(np.zeros((20_000, 0))).mean(axis=1),
    "sum in the middle of nothing": lambda m, a: a(np.zeros((3, 0, 2))).sum(axis=1),
    "sum beside nothing": lambda m, a: a(np.zeros((3, 0, 2))).sum(axis=2),
    "product of nothing": lambda m, a: a(np.zeros((0,), "int64")).prod(),
    "mean of nothing": lambda m, a: a(np.zeros((0,))).mean(),
    "var of nothing": lambda m, a: a(np.zeros((0, 2))).var(axis=0),
    "min of nothing": lambda m, a: a(np.zeros((0,))).min(),
    "min of no columns": lambda m, a: a(np.zeros((3, 0))).min(axis=1),
    "min beside nothing": lambda m, a: a(np.zeros((3, 0))).min(axis=0),
    "var with too large a ddof": lambda m, a: a([1.0, 2.0]).var(ddof=3),
    "std with a ddof": lambda m, a: a([1.0, 2.0, 4.0]).std(ddof=1),
    "no axes": lambda m, a: a([[1, 2], [3, 4]]).sum(axis=()),
    "no axes of bools": lambda m, a: a([True, False]).sum(axis=()),
    "no axes of a mean": lambda m, a: a([[1, 2], [3, 4]]).mean(axis=()),
    "several axes": lambda m, a: a(LARGE.reshape(20, 10, 100)).sum(axis=(0, -1), keepdims=True),
    "an axis twice": lambda m, a: a([[1]]).sum(axis=(0, -2)),
    "an axis too many": lambda m, a: a([[1]]).sum(axis=2),
    "a number's sum": lambda m, a: a(3.5).sum(),
    "an axis that is a float": lambda m, a: a([[1]]).sum(axis=0.0),
    # Types: weak numbers, strong scalars.
    "float32 stays": lambda m, a: a(np.ones(3, "f4")) * 2.5,
    "float32 with an int": lambda m, a: a(np.ones(3, "f4")) + 1,
    "float32 with a strong scalar": lambda m, a: a(np.ones(3, "f4")) * np.float64(2.5),
    "float32 with a strong integer": lambda m, a: a(np.ones(3, "f4")) * np.int64(2),
    "float32 mean": lambda m, a: a(np.ones(3, "f4")).mean(),
    "float32 std": lambda m, a: a(np.ones(3, "f4")).std(),
    "float32 with int64": lambda m, a: a(np.ones(3, "f4")) + a([1, 2, 3]),
    "float32 where a number": lambda m, a: m.where(a([True, False]), a(np.ones(2, "f4")), 2.5),
    "numbers where numbers": lambda m, a: m.where(a([True, False]), 1, 2.5),
    "a strong scalar on the left": lambda m, a: np.float64(2) - a(np.ones(3, "f4")),
    "an array on the left": lambda m, a: np.array([1.5, 2.5]) - a([1, 2]),
    "an array on the left of a product": lambda m, a: np.eye(2) @ a([1.0, 2.0]),
    "an array on the left of a comparison": lambda m, a: np.array([1, 5]) < a([2, 2]),
    "a list on the left": lambda m, a: [1, 2] + a([1, 2]),
    "a list on the right": lambda m, a: a([1, 2]) == [1, 3],
    "a list of another length": lambda m, a: a([1, 2]) == [1, 2, 3],
    "a large int with floats": lambda m, a: a([1.5]) * 2**70,
    "a large int with ints": lambda m, a: a([1]) + 2**70,
    "a large int compares": lambda m, a: a([1, INT_MAX]) < 2**70,
    "a large negative int compares": lambda m, a: a([1, INT_MIN]) <= -(2**70),
    "a large int is equal to none": lambda m, a: a([1, INT_MAX]) == 2**64,
    "a large int on the left": lambda m, a: 2**70 > a([1, INT_MAX]),
    "an int beyond floats": lambda m, a: a([1.0]) + 10**400,
    "a remainder of a number": lambda m, a: 7 % a([2, 3, -4]),
    "a quotient of a number": lambda m, a: 7 // a([2, 3, -4, 0]),
    "a bool is a number": lambda m, a: a([1.5, 2.5]) * True,
    "full of another type": lambda m, a: m.full(3, 2.7, dtype="int64"),
    "full of nan as int": lambda m, a: m.full(3, NAN, dtype="int64"),
    "full of a large int": lambda m, a: m.full(3, 2**62),
    "full of a strong scalar": lambda m, a: m.full(3, np.float32(2.5)),
    "full of a row": lambda m, a: m.full((2, 3), [1, 2, 3]),
    # Shapes.
    "an inner product": lambda m, a: a([1, 2, 3]) @ a([4, 5, 6]),
    "a row by a matrix": lambda m, a: a([1.0, 2.0]) @ a([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    "a matrix by a row": lambda m, a: a([[1.0, 2.0], [4.0, 5.0]]) @ a([1.0, 2.0]),
    "a product that does not fit": lambda m, a: a([[1.0, 2.0]]) @ a([[1.0, 2.0]]),
    "an inner product that does not fit": lambda m, a: a([1.0, 2.0]) @ a([1.0]),
    "a product with a number": lambda m, a: a([1.0, 2.0]) @ 2.0,
    "a product with no inner axis": lambda m, a: a(np.zeros((2, 0))) @ a(np.zeros((0, 3))),
    "a large product with no inner axis": lambda m, a: a(np.zeros((20_000, 0))) @ a(np.zeros((0, 3))),
    "a vector of nothing by long rows": lambda m, a: a(np.zeros(0)) @ a(np.zeros((0, 20_000))),
    "a vector by one very long row": lambda m, a: a(np.ones(1, "f4")) @ a(np.ones((1, 200_000), "f4")),
    "a vector by long rows of bools": lambda m, a: a([True, False]) @ a(np.arange(600_000).reshape(2, -1) % 3 == 0),
    "very long rows by a vector": lambda m, a: a(np.ones((1, 200_000), "f4")) @ a(np.ones(200_000, "f4")),
    "a product of bools": lambda m, a: a([[True, True]]) @ a([[True], [True]]),
    "an inner product of bools": lambda m, a: a([True, True]) @ a([True, True]),
    "a product of ints wraps": lambda m, a: a([[INT_MAX, 1]]) @ a([[2], [3]]),
    "shapes that do not fit": lambda m, a: a([1, 2]) + a([1, 2, 3]),
    "reshape of nothing": lambda m, a: a(np.zeros((0, 3))).reshape(0, -1),
    "reshape of nothing to fewer axes": lambda m, a: a(np.zeros((0, 3))).reshape(-1),
    "reshape of nothing to another": lambda m, a: a(np.zeros((0, 3))).reshape(3, -1),
    "reshape to a number": lambda m, a: a([5]).reshape(()),
    "reshape with -1": lambda m, a: a(LARGE).reshape(-1, 4),
    "reshape with a tuple": lambda m, a: a(LARGE).reshape((100, 200)),
    "reshape that does not fit": lambda m, a: a(LARGE).reshape(7, -1),
    "reshape with two unknowns": lambda m, a: a(LARGE).reshape(-1, -1),
    "reshape to floats": lambda m, a: a(LARGE).reshape(2.0, -1),
    # Indices.
    "a negative index": lambda m, a: a(LARGE)[-1],
    "an index too far": lambda m, a: a(LARGE)[20_000],
    "an index too far back": lambda m, a: a(LARGE)[-20_001],
    "an index of NumPy": lambda m, a: a(LARGE)[np.int64(7)],
    "an index of an array": lambda m, a: a(LARGE)[a(7)],
    "a float index": lambda m, a: a(LARGE)[1.0],
    "a huge index": lambda m, a: a(LARGE)[2**70],
    "a slice to a huge index": lambda m, a: a(LARGE)[19_990 : 2**70],
    "a slice with a huge step": lambda m, a: a(LARGE)[5 :: 2**70],
    "a slice from a huge negative index": lambda m, a: a(LARGE)[-(2**70) : 3],
    "a slice with no step": lambda m, a: a(LARGE)[::0],
    "a slice with a float": lambda m, a: a(LARGE)[1.0:],
    "backwards": lambda m, a: a(LARGE)[::-1],
    "backwards by seven": lambda m, a: a(LARGE)[15_000:20:-7],
    "beyond both ends": lambda m, a: a(LARGE)[-99_999:99_999],
    "an ellipsis": lambda m, a: a(LARGE.reshape(10, -1, 2))[..., 1],
    "two ellipses": lambda m, a: a(LARGE.reshape(10, -1, 2))[..., ...],
    "an ellipsis of nothing": lambda m, a: a(LARGE)[3, ...],
    "new axes": lambda m, a: a(LARGE)[None, :, None],
    "too many indices": lambda m, a: a(LARGE)[0, 0],
    "no index": lambda m, a: a(LARGE)[()],
    "an index of a number": lambda m, a: a(3)[0],
    "a number": lambda m, a: a(3)[()],
    "a number with axes": lambda m, a: a(3)[None, ...],
    # Python's own protocols.
    "len": lambda m, a: len(a(LARGE)),
    "len of a number": lambda m, a: len(a(3)),
    "rows one by one": lambda m, a: [float(row.sum()) for row in a([[1, 2], [3, 4]])],
    "iteration over a number": lambda m, a: list(a(3)),
    "bool": lambda m, a: bool(a([[0.5]])),
    "bool of nothing": lambda m, a: bool(a([])),
    "bool of many": lambda m, a: bool(a([1, 2])),
    "float": lambda m, a: float(a(2)),
    "float of one": lambda m, a: float(a(2.5)),
    "float of many": lambda m, a: float(a([1.0, 2.0])),
    "int": lambda m, a: int(a(-2.7)),
    "int of nan": lambda m, a: int(a(NAN)),
    "int of an infinity": lambda m, a: int(a(INF)),
    "int of a large float": lambda m, a: int(a(1e30)) == int(1e30),
    "an index": lambda m, a: [10, 20][a(1)],
    "a float is no index": lambda m, a: [10, 20][a(1.0)],
    "a bool is no index": lambda m, a: [10, 20][a(True)],
    "contains": lambda m, a: 3 in a([1, 2, 3]),
    "contains not": lambda m, a: 3.5 in a(LARGE),
    "a matrix contains": lambda m, a: 3 in a([[1, 2], [3, 4]]),
    "none is equal to no number": lambda m, a: a([1, 2]) == None,  # noqa: E711
    "text differs from numbers": lambda m, a: a([[1.5], [2.5]]) != "text",
    "text is not less": lambda m, a: a([1.5]) < "text",
    "contains none": lambda m, a: None in a([1, 2]),
    "a format": lambda m, a: f"{a([1.5, 2.5]).mean():8.3f}|{a(7):>4}|{a(True)}",
    "a format of many": lambda m, a: f"{a([1.5, 2.5]):.3f}",
    "a hash": lambda m, a: hash(a([1])),
    "item": lambda m, a: a([[5]]).item(),
    "item of many": lambda m, a: a([5, 6]).item(),
    "tolist": lambda m, a: a([[1.5, 2.5]]).tolist(),
    "str": lambda m, a: str(a([[1.5, 2.5]])),
    "in an f-string": lambda m, a: f"{a(2.5):.3f}",
    "round": lambda m, a: m.rint(a([0.5, 1.5, -0.5, 2.5])),
    # New arrays.
    "arange": lambda m, a: m.arange(5),
    "arange backwards": lambda m, a: m.arange(5, 0, -2),
    "arange of nothing": lambda m, a: m.arange(5, 0),
    "arange of floats": lambda m, a: m.arange(0.0, 1.0, 0.1),
    "arange of a mix": lambda m, a: m.arange(0, 1, 0.25),
    "arange without a step": lambda m, a: m.arange(0, 5, 0),
    "arange without a float step": lambda m, a: m.arange(0.0, 5.0, 0.0),
    "arange to nan": lambda m, a: m.arange(0.0, NAN),
    "arange to infinity": lambda m, a: m.arange(0.0, INF),
    "arange as floats": lambda m, a: m.arange(3, dtype="float32"),
    "linspace": lambda m, a: m.linspace(0, 1, 7),
    "linspace of one": lambda m, a: m.linspace(3, 4, 1),
    "linspace without its end": lambda m, a: m.linspace(0, 1, 5, endpoint=False),
    "linspace of ints": lambda m, a: m.linspace(-1.5, 1.5, 4, dtype="int64"),
    "linspace of fewer than none": lambda m, a: m.linspace(0, 1, -1),
    "eye": lambda m, a: m.eye(3, 4, k=-1),
    "zeros": lambda m, a: m.zeros((2, 0, 3)),
    "negative lengths": lambda m, a: m.zeros((2, -1)),
    "a number of zeros": lambda m, a: m.zeros(()),
    "an unknown type": lambda m, a: m.zeros(3, dtype="nothing"),
    "more than there is": lambda m, a: m.zeros((2**40, 2**40)),
    "clip": lambda m, a: m.clip(a([1, 5, 9]), 2, 6),
    "clip to floats": lambda m, a: m.clip(a([1, 5, 9]), 2, 6.5),
    "clip below only": lambda m, a: m.clip(a([1, 5, 9]), 2, None),
    "clip to what no element can pass": lambda m, a: m.clip(a([1, 5, 9]).astype("uint8"), -1, 300),
    "clip with crossed bounds": lambda m, a: m.clip(a([1, 5, 9]), 6, 2),
    "where broadcasts": lambda m, a: m.where(a([[True], [False]]), a([1, 2]), 0.5),
    "where of numbers as truth": lambda m, a: m.where(a([0.0, NAN, 2.0]), 1, 0),
    "where that does not fit": lambda m, a: m.where(a([True, False, True]), a([1, 2]), 0),
}  # fmt: skip


def outcome(case, module, make):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return case(module, make), None
        except Exception as error:
            return None, error


def main():
    """The names of cases in which girih and NumPy differ, with both outcomes."""
    different = []
    for name, case in CASES.items():
        ours, our_error = outcome(case, gr, gr.asarray)
        theirs, their_error = outcome(case, np, np.asarray)
        if isinstance(ours, gr.Array):
            ours = np.asarray(ours)
        if (our_error is None) != (their_error is None):
            same = False
        elif our_error is not None:
            same = isinstance(our_error, type(their_error)) or isinstance(their_error, type(our_error))
        else:
            left, right = np.asarray(ours), np.asarray(theirs)
            same = left.dtype == right.dtype and left.shape == right.shape
            same = same and (type(ours) is type(theirs) or isinstance(ours, np.ndarray))
            same = same and np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        if not same:
            different.append(f"{name}: {ours!r} {our_error!r}, NumPy {theirs!r} {their_error!r}")
    return different
