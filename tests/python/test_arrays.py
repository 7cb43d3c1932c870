"""Arrays give NumPy's values, shapes and dtypes at every number of ranks, and the same bits at all of them."""

from __future__ import annotations

import pytest
from conftest import both_families, same_bytes

# Cases are functions of a module (girih or NumPy), a matrix, a vector as long as its rows, and a small matrix. They
# stand here once and are run by girih on ranks; NumPy in the same process is the oracle.
PROGRAM = """
import girih as gr

rng = np.random.default_rng(7)
CASES = {
    "sum": lambda m, x, v, s: x.sum(),
    "sum of columns": lambda m, x, v, s: x.sum(axis=0),
    "sum of rows": lambda m, x, v, s: x.sum(axis=1),
    "sum of the last axis": lambda m, x, v, s: x.sum(axis=-1),
    "mean": lambda m, x, v, s: x.mean(axis=0),
    "std": lambda m, x, v, s: x.std(axis=0),
    "var of rows": lambda m, x, v, s: x.var(axis=1),
    "min": lambda m, x, v, s: x.min(),
    "max of columns": lambda m, x, v, s: x.max(axis=0),
    "any": lambda m, x, v, s: (x > 3).any(axis=0),
    "all": lambda m, x, v, s: (x < 9).all(),
    "a chain": lambda m, x, v, s: ((x - x.mean(axis=0)) / x.std(axis=0)).sum(axis=1),
    "arithmetic": lambda m, x, v, s: 2 * x + x / 3 - x * x,
    "a row for all": lambda m, x, v, s: x - v,
    "a column for all": lambda m, x, v, s: x - x[:, 0:1],
    "negative": lambda m, x, v, s: -x,
    "abs": lambda m, x, v, s: abs(x),
    "power": lambda m, x, v, s: abs(x) ** 1.5,
    "floor division": lambda m, x, v, s: x // 0.3,
    "remainder": lambda m, x, v, s: x % 0.3,
    "compare": lambda m, x, v, s: (x > v) & (x < 2),
    "where": lambda m, x, v, s: m.where(x > 0, x, -2 * x),
    "maximum": lambda m, x, v, s: m.maximum(x, v),
    "sqrt": lambda m, x, v, s: m.sqrt(m.absolute(x)),
    "exp": lambda m, x, v, s: m.exp(-x * x),
    "log1p": lambda m, x, v, s: m.log1p(x * x),
    "sin and cos": lambda m, x, v, s: m.sin(x) ** 2 + m.cos(x) ** 2,
    "tanh": lambda m, x, v, s: m.tanh(x),
    "floor": lambda m, x, v, s: m.floor(x),
    "isnan": lambda m, x, v, s: m.isnan(m.log(x * 0)),
    "matmul": lambda m, x, v, s: x @ s,
    "matmul by a vector": lambda m, x, v, s: x @ v,
    "rows": lambda m, x, v, s: x[5:-7],
    "every third row": lambda m, x, v, s: x[2::3],
    "a row": lambda m, x, v, s: x[-1],
    "a column": lambda m, x, v, s: x[:, 2],
    "a box": lambda m, x, v, s: x[1000:3000, 1:6:2],
    "an element": lambda m, x, v, s: x[17, 3],
    "nothing": lambda m, x, v, s: x[10:10],
    "rows of different slices": lambda m, x, v, s: x[1:] - x[:-1],
    "transposed": lambda m, x, v, s: x.T.sum(axis=0),
    "float32": lambda m, x, v, s: x.astype("float32") * 2,
    "int64": lambda m, x, v, s: (x * 100).astype("int64").sum(axis=0),
    "bool": lambda m, x, v, s: (x > 0).sum(),
    "integers divide to floats": lambda m, x, v, s: (x * 10).astype("int64") / 3,
    "small": lambda m, x, v, s: (s @ s.T).sum(axis=0),
}

def compare(name, ours, theirs, exact=False):
    theirs = np.asarray(theirs)
    assert tuple(ours.shape) == theirs.shape, (name, ours.shape, theirs.shape)
    assert ours.dtype == theirs.dtype, (name, ours.dtype, theirs.dtype)
    values = np.asarray(ours)
    assert values.dtype == theirs.dtype and values.shape == theirs.shape, name
    tolerance = 2e-6 if theirs.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(values, theirs, rtol=tolerance, atol=tolerance, err_msg=name)
    return values

found = {}
for rows in ROWS:
    x, v, s = rng.standard_normal((rows, 7)), rng.standard_normal(7), rng.standard_normal((7, 4))
    for name, case in CASES.items():
        if rows < 50 and name in ("an element", "a box", "rows"):
            continue
        with np.errstate(all="ignore"):
            theirs = case(np, x, v, s)
        ours = case(gr, gr.asarray(x), gr.asarray(v), gr.asarray(s))
        found[f"{rows} {name}"] = compare(f"{name}, {rows} rows", ours, theirs)

compare("zeros", gr.zeros((9000, 3)), np.zeros((9000, 3)))
compare("ones", gr.ones(9000, dtype="int64"), np.ones(9000, dtype="int64"))
compare("full", gr.full((9000, 2), 2.5), np.full((9000, 2), 2.5))
compare("arange", gr.arange(20_000), np.arange(20_000))
compare("arange with a step", gr.arange(1.0, 9000.0, 0.5), np.arange(1.0, 9000.0, 0.5))
compare("linspace", gr.linspace(0.0, 1.0, 20_001), np.linspace(0.0, 1.0, 20_001))
compare("reshape", gr.arange(30_000).reshape(-1, 3), np.arange(30_000).reshape(-1, 3))
part = np.arange(5000.0).reshape(-1, 2) + 10_000 * rank_and_size()[0]
whole = np.concatenate([np.arange(5000.0).reshape(-1, 2) + 10_000 * rank for rank in range(gr.size())])
compare("from_local", gr.from_local(part), whole)
x = gr.asarray(np.arange(60_000.0).reshape(-1, 3))
assert gr.from_local(np.array(x.local)).shape == x.shape
give(**found)
"""

# More leaves than ranks, ragged; one leaf each and fewer than ranks; small enough to be replicated.
ROWS = "ROWS = (4099, 10_007, 3, 1)"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_values_are_numpys(on_ranks, ranks, threads):
    on_ranks(ROWS + PROGRAM, ranks, threads=threads, timeout=120).succeeded()


@both_families
def test_the_bits_do_not_depend_on_ranks_threads_or_mpi(on_ranks, family):
    reference = on_ranks(ROWS + PROGRAM, 1).succeeded().given(1)[0]
    for given in on_ranks(ROWS + PROGRAM, 3, family, threads=2, timeout=120).succeeded().given(3):
        same_bytes(reference, given, family)


FILES = """
import girih as gr

folder = Path(os.environ["TEST_OUTPUT"]).parent
x = np.random.default_rng(1).standard_normal((10_007, 13))
kinds = {"c": x, "f32": x.astype("f4"), "int": (100 * x).astype("i8"), "bool": x > 0, "one": x[0]}
for name, values in kinds.items():
    loaded = gr.load(folder / f"{name}.npy")
    assert loaded.dtype == values.dtype and np.array_equal(np.asarray(loaded), values), name
loaded = gr.load(folder / "c.npy")
if gr.size() > 1:
    assert loaded.local.shape[0] < 10_007
gr.save(folder / "saved.npy", loaded * 2)
gr.barrier()
assert np.array_equal(np.load(folder / "saved.npy"), x * 2)
bad = ("missing", "text", "short", "cut", "objects", "empty")
give(**{name: mistake(lambda: gr.load(folder / f"{name}.npy").sum().item()) for name in bad})
"""


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_files_are_read_in_parts_and_mistakes_are_alike_on_every_rank(on_ranks, tmp_path, ranks):
    import numpy as np

    x = np.random.default_rng(1).standard_normal((10_007, 13))
    kinds = {"c": x, "f32": x.astype("f4"), "int": (100 * x).astype("i8"), "bool": x > 0, "one": x[0]}
    for name, values in kinds.items():
        np.save(tmp_path / f"{name}.npy", values)
    whole = (tmp_path / "c.npy").read_bytes()
    (tmp_path / "text.npy").write_text("1,2\n3,4\n")
    (tmp_path / "short.npy").write_bytes(whole[:40])
    (tmp_path / "cut.npy").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.npy").write_bytes(b"")
    np.save(tmp_path / "objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    given = on_ranks(FILES, ranks).succeeded().given(ranks)
    for name in given[0]:
        texts = {str(each[name]) for each in given}
        assert len(texts) == 1, texts
        text = texts.pop()
        assert f"{name}.npy" in text
        assert text.startswith("FileNotFoundError" if name == "missing" else ("ValueError", "TypeError")), text


MISTAKES = """
import girih as gr

x = gr.ones((20_000, 3))
give(
    shapes=mistake(lambda: x + gr.ones((20_000, 2))),
    axis=mistake(lambda: x.sum(axis=2)),
    index=mistake(lambda: x[20_000]),
    product=mistake(lambda: x @ x),
    truth=mistake(lambda: bool(x)),
    item=mistake(lambda: x.item()),
    dtype=mistake(lambda: gr.zeros(3, dtype="U5")),
)
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_mistakes_are_raised_alike_before_anything_is_sent(on_ranks, ranks):
    given = on_ranks(MISTAKES, ranks).succeeded().given(ranks)
    kinds = {
        "shapes": "ValueError", "axis": ("AxisError", "ValueError", "IndexError"), "index": "IndexError",
        "product": "ValueError", "truth": "ValueError", "item": "ValueError", "dtype": ("TypeError", "ValueError"),
    }  # fmt: skip
    for each in given:
        for name, kind in kinds.items():
            assert str(each[name]).startswith(kind), (name, str(each[name]))


def test_a_part_that_is_no_array_leaves_no_rank_waiting(on_ranks):
    code = """
    import girih as gr
    said = []
    for bad in ([[1.0], [1.0, 2.0]], np.ones(3, "M8[s]")):
        try:
            gr.from_local(bad if gr.rank() == 1 else np.ones(3))
        except Exception as error:
            said.append(type(error).__name__)
    give(said=said, total=gr.ones(50_000).sum().item())
    """
    given = on_ranks(code, 3, timeout=30).succeeded().given(3)
    assert given[1]["said"].tolist() == ["ValueError", "TypeError"]
    assert all(given[rank]["said"].tolist() == ["RankError", "RankError"] for rank in (0, 2))
    assert all(each["total"] == 50_000 for each in given)


def test_small_arrays_send_nothing_and_large_ones_are_counted(on_ranks):
    code = """
    import girih as gr
    gr.size()
    gr.report(reset=True)
    gr.ones(100).sum().item()
    small = sum(row["bytes"] for row in gr.report(reset=True).values())
    (gr.arange(100_000) * 2).sum().item()
    give(small=small, large=sum(row["bytes"] for row in gr.report().values()))
    """
    for given in on_ranks(code, 2).succeeded().given(2):
        assert int(given["small"]) == 0
        assert 0 < int(given["large"]) < 100_000
