"""Rows that stay in their file give what they give in memory, within a memory limit that could not hold them."""

from __future__ import annotations

import numpy as np
import pyarrow
import pytest
import zarr
from conftest import needs
from pyarrow import parquet

import girih as gr

ROWS, COLUMNS, CLUSTERS = 240_007, 32, 24
LIMIT = 24 << 20  # less than the 29 MiB of the rows

MAKE = f"""
folder = Path(os.environ["TEST_OUTPUT"]).parent
rng = np.random.default_rng(5)
x = rng.standard_normal(({ROWS}, {COLUMNS}), dtype=np.float32) + 4 * rng.integers(0, 9, ({ROWS}, 1), dtype=np.int32)
x = x.astype(np.float32)
"""
FIT = f"""
import girih as gr

folder = Path(os.environ["TEST_OUTPUT"]).parent
path, budget = folder / "points.npy", os.environ.get("TEST_BUDGET")
x = gr.open_rows(path, memory_budget=int(budget)) if budget else gr.load(path)
weights = gr.asarray(1 + np.arange({ROWS}, dtype=np.float32) % 3)
km = gr.cluster.KMeans({CLUSTERS}, random_state=3, max_iter=12).fit(x, sample_weight=weights)
found = gr.cluster.KMeans({CLUSTERS}, init=km.cluster_centers_, max_iter=40).fit(x)
give(start=km.cluster_centers_, centres=found.cluster_centers_, inertia=found.inertia_, steps=found.n_iter_,
     labels=digests({{"": found.labels_}})[""], predicted=digests({{"": km.predict(x)}})[""], score=km.score(x))
"""


@pytest.mark.parametrize("family", [needs("openmpi")])
def test_rows_beyond_the_memory_limit_give_the_bits_of_rows_in_memory(on_ranks, tmp_path, family):
    on_ranks(MAKE + "np.save(folder / 'points.npy', x)", 1).succeeded()
    expected = on_ranks(FIT, 1).succeeded().given(1)[0]
    refused = on_ranks(FIT, 1, extra={"GIRIH_MEMORY_LIMIT": str(LIMIT)})
    assert refused.status != 0 and "left of the memory budget" in refused.errors
    for ranks, threads, budget in [(1, 2, 4 << 20), (2, 1, 3 << 20), (3, 1, 100_000), (4, 1, 1 << 20)]:
        extra = {"GIRIH_MEMORY_LIMIT": str(LIMIT), "TEST_BUDGET": str(budget)}
        for given in on_ranks(FIT, ranks, family, threads=threads, extra=extra).succeeded().given(ranks):
            different = [name for name, value in expected.items() if value.tobytes() != given[name].tobytes()]
            assert not different, f"{different} on {ranks} ranks of {threads} threads"


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(2).random((3001, 5))


@pytest.fixture(params=["npy", "big-endian", "fortran", "integers", "hdf5", "zarr", "parquet"])
def stored(request, points, tmp_path):
    """The points in a file of each kind, and what they are there."""
    values, path = points, tmp_path / "points.npy"
    if request.param == "npy":
        np.save(path, values)
    elif request.param == "big-endian":
        np.save(path, values.astype(">f8"))
    elif request.param == "fortran":
        np.save(path, np.asfortranarray(values))
    elif request.param == "integers":
        values = (values * 100).astype(np.int32)
        np.save(path, values)
    elif request.param == "hdf5":
        path = tmp_path / "points.h5"
        gr.save_hdf5(path, values, "points", chunks=(700, 5), compression="gzip")
    elif request.param == "zarr":
        path = tmp_path / "points.zarr"
        zarr.create_array(path, data=values, chunks=(400, 5))
    else:
        path = tmp_path / "points.parquet"
        table = pyarrow.table({f"c{at}": values[:, at] for at in range(5)})
        parquet.write_table(table, path, row_group_size=450)
    return path, values


@pytest.mark.parametrize("budget", [None, 20_000])
def test_every_kind_of_file_gives_what_memory_gives(stored, budget):
    path, values = stored
    rows = gr.open_rows(path, memory_budget=budget)
    assert (rows.shape, rows.dtype, len(rows)) == (values.shape, values.dtype, len(values))
    assert np.array_equal(rows[100:107], values[100:107]) and np.array_equal(rows.load(), values)
    for parameters in [{"random_state": 1}, {"random_state": 1, "init": "random", "n_init": 3}]:
        expected = gr.cluster.KMeans(7, **parameters).fit(values)
        found = gr.cluster.KMeans(7, **parameters).fit(rows)
        assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
        assert np.array_equal(found.labels_, expected.labels_) and found.inertia_ == expected.inertia_
        assert np.array_equal(found.transform(rows), expected.transform(values))
        assert found.score(rows, sample_weight=np.arange(3001)) == expected.score(values, sample_weight=np.arange(3001))


@pytest.mark.parametrize("budget", [None, 20_000])
def test_batches_and_starts_come_from_a_file(stored, budget):
    path, values = stored
    rows = gr.open_rows(path, memory_budget=budget)
    for parameters in [{"batch_size": 300}, {"batch_size": 100, "init": "random", "init_size": 3001}]:
        expected = gr.cluster.MiniBatchKMeans(7, random_state=1, max_iter=3, **parameters).fit(values)
        found = gr.cluster.MiniBatchKMeans(7, random_state=1, max_iter=3, **parameters).fit(rows)
        assert found.cluster_centers_.tobytes() == expected.cluster_centers_.tobytes()
        assert np.array_equal(found.labels_, expected.labels_) and found.inertia_ == expected.inertia_
        assert found.n_steps_ == expected.n_steps_
    expected = gr.cluster.kmeans_plusplus(values, 7, random_state=1)
    found = gr.cluster.kmeans_plusplus(rows, 7, random_state=1)
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_columns_and_types_may_be_chosen(tmp_path, points):
    table = pyarrow.table({f"c{at}": points[:, at] for at in range(5)})
    parquet.write_table(table, tmp_path / "p.parquet")
    rows = gr.open_rows(tmp_path / "p.parquet", columns=["c3", "c1"], dtype="float32")
    expected = points[:, [3, 1]].astype(np.float32)
    assert rows.dtype == np.float32 and np.array_equal(rows[:], expected)
    found = gr.cluster.KMeans(3, random_state=0).fit(rows)
    assert found.inertia_ == gr.cluster.KMeans(3, random_state=0).fit(expected).inertia_


def test_mistakes_about_stored_rows_are_named(tmp_path, points):
    path = tmp_path / "points.npy"
    np.save(path, points)
    with pytest.raises(FileNotFoundError):
        gr.open_rows(tmp_path / "none.npy")
    with pytest.raises(ValueError, match="memory_budget"):
        gr.open_rows(path, memory_budget=0)
    with pytest.raises(ValueError, match="dtype"):
        gr.open_rows(path, dtype="int32")
    with pytest.raises(ValueError, match="columns"):
        gr.open_rows(path, columns=["a"])
    np.save(tmp_path / "line.npy", points[:, 0])
    with pytest.raises(ValueError, match="matrix"):
        gr.open_rows(tmp_path / "line.npy")
    rows = gr.open_rows(path)
    with pytest.raises(TypeError, match=r"load\(\)"):
        gr.cluster.BisectingKMeans(3).fit(rows)
    np.save(tmp_path / "nan.npy", np.where(points == points[1234, 2], np.nan, points))
    with pytest.raises(ValueError, match="contains NaN"):
        gr.cluster.KMeans(3).fit(gr.open_rows(tmp_path / "nan.npy"))


DAMAGED = """
import girih as gr

path = Path(os.environ["TEST_OUTPUT"]).parent / f"{os.getpid()}.npy"
if gr.rank() == gr.size() - 1:
    np.save(path, np.random.default_rng(0).random((40_000, 4)))
path = Path(gr._native.broadcast_bytes(gr.size() - 1, str(path).encode()).decode())
rows = gr.open_rows(path, memory_budget=1 << 16)
km = gr.cluster.KMeans(4, random_state=0, max_iter=50, tol=0)

def callback(iteration, *_):
    if iteration == 3 and gr.rank() == 0:
        os.truncate(path, 900_000)

print(gr.rank(), mistake(lambda: km.fit(rows, callback=callback)).replace("\\n", " "), flush=True)
"""


def test_a_file_that_loses_its_rows_fails_on_every_rank(on_ranks):
    run = on_ranks(DAMAGED, 2).succeeded()
    assert run.output.count("npy") >= 2 and "RankError" in run.output, run.output
