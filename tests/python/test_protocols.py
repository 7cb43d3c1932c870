"""NumPy's functions take girih's arrays, by its protocols; namespaces and DLPack; what is refused says what to do."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import girih as gr

X = np.arange(60_000.0).reshape(20_000, 3) / 7
PROGRAM = """
import girih as gr
values = np.arange(60_000.0).reshape(20_000, 3) / 7
x = gr.asarray(values)
results = [
    np.median(x, axis=0), np.sum(x), np.concatenate([x, values]).sum(axis=0), np.linalg.norm(x),
    np.add(values, x).max(),
    (values * x)[7], np.add.reduce(x, axis=0), np.sort(x, axis=0)[-1], np.where(x > 5, x, values).sum(), np.exp(-x)[3],
    np.fft.rfft(x, axis=0)[5], np.einsum("ij,ij->j", x, x), np.unique(np.floor(x))[:5], np.float32(2) * x[1],
]
assert all(isinstance(one, gr.Array) for one in results)
try:
    np.from_dlpack(x)
    refused = ""
except BufferError as error:
    refused = str(error)
give(refused=refused, **{f"r{number}": np.asarray(one) for number, one in enumerate(results)})
"""


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_numpys_functions_are_girihs(on_ranks, ranks):
    expected = [
        np.median(X, axis=0), X.sum(), 2 * X.sum(axis=0), np.linalg.norm(X), 2 * X.max(), X[7] ** 2, X.sum(axis=0),
        X[-1], X.sum(), np.exp(-X[3]), np.fft.rfft(X, axis=0)[5], (X * X).sum(axis=0), np.arange(5.0), 2 * X[1],
    ]  # fmt: skip
    for given in on_ranks(PROGRAM, ranks).succeeded().given(ranks):
        for number, want in enumerate(expected):
            np.testing.assert_allclose(given[f"r{number}"], want, rtol=1e-9, err_msg=str(number))
        assert ("x.local" in str(given["refused"])) == (ranks > 1)


def test_what_numpy_has_alone_is_refused_with_the_nearest():
    with pytest.raises(TypeError, match="nearest that is there: ndenumerate|apply_along_axis|girih"):
        np.lib.stride_tricks.sliding_window_view(gr.arange(9), 2)


def test_a_numpy_array_is_not_written_silently():
    with pytest.raises(TypeError, match=r"np\.asarray\(x\)"):
        np.add(np.ones(3), gr.ones(3), out=np.ones(3))
    target = gr.zeros(3)
    assert np.add(np.ones(3), 1, out=target) is target
    assert target.tolist() == [2, 2, 2]


def test_the_namespace_is_the_package():
    x = gr.ones(3)
    assert x.__array_namespace__(api_version="2024.12") is gr
    with pytest.raises(ValueError, match="not supported"):
        x.__array_namespace__(api_version="1999.01")
    assert gr.__array_namespace_info__().default_device() == x.device == "cpu"
    assert x.to_device("cpu") is x
    with pytest.raises(ValueError, match="device must be 'cpu'"):
        gr.zeros(3, device="gpu")


def test_arrays_of_one_rank_go_through_dlpack():
    given = np.from_dlpack(gr.arange(5))
    assert given.tolist() == [0, 1, 2, 3, 4]
    assert gr.from_dlpack(np.arange(3)).tolist() == [0, 1, 2]


def test_an_array_is_copied_but_not_pickled():
    x = gr.arange(3)
    other = copy.deepcopy(x)
    other[0] = 9
    assert x.tolist() == [0, 1, 2]
    with pytest.raises(TypeError, match=r"gr\.save"):
        pickle.dumps(x)


@pytest.mark.parametrize("number", [3, np.int64(3), [1, 2, 3]])
def test_operators_of_both_sides(number):
    values = np.array([4, 9, 17])
    x = gr.asarray(values)
    for ours, theirs in [
        (x << number, values << number), (number << x, number << values), (x >> number, values >> number),
        (np.asarray(number) - x, np.asarray(number) - values), (divmod(x, number), divmod(values, number)),
        (divmod(number, x), divmod(number, values)),
    ]:  # fmt: skip
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


MAKERS = {
    "array": lambda m: m.array([[1, 2]], dtype="float32", ndmin=3),
    "linspace": lambda m: m.linspace(1, 7, 5, endpoint=False, retstep=True),
    "linspace of arrays": lambda m: m.linspace([0, 1], [5.0, 9], 4, axis=1),
    "linspace of integers": lambda m: m.linspace(-3, 4, 9, dtype=int),
    "logspace": lambda m: m.logspace(0, 3, 4, base=2),
    "geomspace": lambda m: m.geomspace(1, 256, 9),
    "geomspace below zero": lambda m: m.geomspace(-1000, -1, 4),
    "identity": lambda m: m.identity(3, dtype=int),
    "packbits": lambda m: m.packbits(m.asarray([[1, 0, 1, 1, 0, 0, 1, 0, 1]] * 3), axis=1),
    "packbits little": lambda m: m.packbits(m.asarray([1, 0, 1, 1]), bitorder="little"),
    "unpackbits": lambda m: m.unpackbits(m.asarray([[2, 7, 255]], dtype="uint8"), axis=1, count=20),
    "unpackbits more": lambda m: m.unpackbits(m.asarray([7], dtype="uint8"), count=11, bitorder="little"),
    "fromfunction": lambda m: m.fromfunction(lambda i, j: i * 10 + j, (3, 4)),
    "fromiter": lambda m: m.fromiter(range(4), "int16"),
    "frombuffer": lambda m: m.frombuffer(b"abcd", "uint8", 2, 1),
    "fromstring": lambda m: m.fromstring("1 2 3", sep=" "),
    "apply_along_axis": lambda m: m.apply_along_axis(lambda v: v[::-1].cumsum(), 0, m.arange(30_000).reshape(-1, 3)),
    "apply_along_axis to less": lambda m: m.apply_along_axis(np.median, 1, m.arange(60.0).reshape(4, 5, 3)),
    "apply_over_axes": lambda m: m.apply_over_axes(m.sum, m.arange(24).reshape(2, 3, 4), [0, 2]),
    "asarray_chkfinite": lambda m: m.asarray_chkfinite([1.0, np.inf]),
    "common_type": lambda m: m.common_type(m.asarray([1]), m.asarray([1], dtype="complex64")) is np.complex128,
    "array_repr": lambda m: m.array_repr(m.asarray([1.5, 2])),
    **{name: (lambda m, name=name: getattr(m, name)(9)) for name in ("bartlett", "blackman", "hamming", "hanning")},
    **{f"{name} of one": (lambda m, name=name: getattr(m, name)(1)) for name in ("bartlett", "hanning")},
    "kaiser": lambda m: m.kaiser(12, 14.0),
}


@pytest.mark.parametrize("name", MAKERS)
def test_makers_of_arrays_are_numpys(name):
    outcomes = []
    for module in (gr, np):
        try:
            outcomes.append(MAKERS[name](module))
        except ValueError as error:
            outcomes.append(str(error))
    ours, theirs = (one if isinstance(one, tuple) else (one,) for one in outcomes)
    for one, other in zip(ours, theirs, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        if other.dtype.kind in "fc":
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
        else:
            np.testing.assert_array_equal(one, other)
