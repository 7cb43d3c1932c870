"""Archives, text, raw bytes, HDF5, Zarr and Parquet: read and written beside other packages, alike on every rank."""

from __future__ import annotations

import zipfile

import h5py
import numpy as np
import pyarrow
import pytest
import zarr
from pyarrow import parquet

RNG = np.random.default_rng(11)
LARGE = RNG.standard_normal((5003, 3))
ARRAYS = {
    "rows": LARGE,
    "Fortran": np.asfortranarray(LARGE),
    "float32": LARGE.astype("f4"),
    "integers": np.arange(20_011),
    "bool": LARGE > 0,
    "three axes": RNG.standard_normal((701, 4, 5)),
    "one row": RNG.standard_normal((1, 9000)),
    "two rows": RNG.standard_normal((2, 9000)),
    "small": np.arange(6.0).reshape(2, 3),
    "a number": np.array(3.5),
    "no rows": np.zeros((0, 3)),
    "no columns": np.zeros((5000, 0)),
}

PRELUDE = """
import warnings
import girih as gr

folder = Path(os.environ["TEST_OUTPUT"]).parent
arrays = dict(np.load(folder / "theirs.npz"))

def same(ours, theirs, name):
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, (name, ours.shape, theirs.shape, ours.dtype)
    assert np.asarray(ours).tobytes() == np.ascontiguousarray(theirs).tobytes(), name
"""


@pytest.fixture
def check(on_ranks, tmp_path):
    """Runs a program on ranks beside a file of arrays; what rank 0 gave, after seeing that all gave the same."""
    np.savez(tmp_path / "theirs.npz", **ARRAYS)

    def run(code, ranks, **options):
        given = on_ranks(PRELUDE + code, ranks, timeout=120, **options).succeeded().given(ranks)
        for each in given:
            assert {name: str(value) for name, value in each.items()} == {
                name: str(value) for name, value in given[0].items()
            }
        return given[0]

    return run


def refused(said, kinds):
    """Each call that is named ended in an exception of its kind."""
    for name, kind in kinds.items():
        assert str(said[name]).startswith(kind), (name, said[name])


every_size = pytest.mark.parametrize("ranks", [1, 2, 3])

ARCHIVES = """
np.savez_compressed(folder / f"compressed{gr.rank()}.npz", **arrays)
for path in (folder / "theirs.npz", folder / "compressed0.npz"):
    gr.barrier()
    with gr.load(path) as archive:
        assert archive.files == list(arrays) and len(archive) == len(arrays)
        for name, theirs in arrays.items():
            same(archive[name], theirs, name)
        said = mistake(lambda: archive["none"])
for save in (gr.savez, gr.savez_compressed):
    path = folder / f"{save.__name__}.npz"
    save(path, gr.arange(5), **{name: gr.asarray(theirs) for name, theirs in arrays.items()})
    back = np.load(path)
    for name, theirs in arrays.items():
        same(back[name], theirs, name)
    assert back["arr_0"].tolist() == [0, 1, 2, 3, 4]
save(folder / "appended", x=gr.ones(2))
give(said=said, unknown=mistake(lambda: gr.load(folder / "absent.npz")), appended=(folder / "appended.npz").exists(),
     text=mistake(lambda: gr.load(folder / "text.npz")), objects=mistake(lambda: gr.load(folder / "o.npz")["x"]),
     cut=mistake(lambda: gr.load(folder / "cut.npz")), lie=mistake(lambda: gr.load(folder / "lie.npz")["x"]))
"""


@every_size
def test_archives_are_read_and_written(check, tmp_path, ranks):
    np.savez(tmp_path / "o.npz", x=np.array([None, 1], dtype=object))
    (tmp_path / "text.npz").write_text("1 2 3\n")
    (tmp_path / "cut.npz").write_bytes((tmp_path / "theirs.npz").read_bytes()[:-1000])
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        np.lib.format.write_array_header_1_0(
            archive.open("x.npy", "w"), {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
        )
    said = check(ARCHIVES, ranks)
    assert str(said["said"]) == "KeyError: 'none is not a file in the archive'"
    assert str(said["unknown"]).startswith("FileNotFoundError") and "absent.npz" in str(said["unknown"])
    assert bool(said["appended"])
    for name in ("text", "objects", "cut", "lie"):
        assert str(said[name]).startswith("ValueError"), (name, said[name])
    # Every member's checksum, by another reader.
    for name in ("savez", "savez_compressed"):
        assert zipfile.ZipFile(tmp_path / f"{name}.npz").testzip() is None


TEXT = """
x = arrays["rows"]
gr.savetxt(folder / "ours.txt", gr.asarray(x), header="three\\ncolumns", footer="the end")
np.savetxt(folder / f"theirs{gr.rank()}.txt", x, header="three\\ncolumns", footer="the end")
assert (folder / "ours.txt").read_bytes() == (folder / f"theirs{gr.rank()}.txt").read_bytes()
gr.savetxt(folder / "integers.csv", gr.arange(9000), fmt="%d", delimiter=",")
for name, options in {
    "ours.txt": {}, "integers.csv": {"dtype": int}, "head.csv": {"delimiter": ",", "skiprows": 1},
    "one.txt": {}, "number.txt": {}, "empty.txt": {}, "nobreak.txt": {}, "blank.txt": {}, "long.txt": {},
    "row.txt": {},
}.items():
    for ndmin in (0, 1, 2):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            theirs = np.loadtxt(folder / name, ndmin=ndmin, **options)
        same(gr.loadtxt(folder / name, ndmin=ndmin, **options), theirs, (name, ndmin))
same(gr.loadtxt(folder / "ours.txt", usecols=(2, 0)), x[:, [2, 0]], "usecols")
theirs = np.genfromtxt(folder / "holes.csv", delimiter=",", skip_header=1)
same(gr.genfromtxt(folder / "holes.csv", delimiter=",", skip_header=1), theirs, "holes")
give(ragged=mistake(lambda: gr.loadtxt(folder / "ragged.txt")), words=mistake(lambda: gr.loadtxt(folder / "words.txt")),
     absent=mistake(lambda: gr.loadtxt(folder / "absent.txt")), zipped=mistake(lambda: gr.loadtxt(folder / "z.txt")),
     cube=mistake(lambda: gr.savetxt(folder / "cube.txt", gr.ones((2, 2, 2)))))
"""


@every_size
def test_text_is_read_and_written_as_numpy_does(check, tmp_path, ranks):
    texts = {
        "head.csv": "a,b\n" + "".join(f"{i},{i / 3}\n" for i in range(4000)),
        "one.txt": "1\n2\n3\n",
        "number.txt": "7\n",
        "row.txt": "1 2 3\n",
        "empty.txt": "",
        "nobreak.txt": "1 2\n3 4",
        "blank.txt": "# a remark\n\n1 2\n\n3 4 # another\n\n",
        "long.txt": " ".join(["1.5"] * 50_000) + "\n" + " ".join(["2.5"] * 50_000) + "\n",
        "holes.csv": "a,b\n" + "".join(f"{i},{'' if i % 7 else i}\n" for i in range(1, 900)),
        "ragged.txt": "1 2\n" * 500 + "1 2 3\n" * 500,
        "words.txt": "1 2\n" * 500 + "1 two\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "z.txt").write_bytes(b"\x1f\x8b rest")
    said = check(TEXT, ranks)
    for name, value in said.items():
        kind = "FileNotFoundError" if name == "absent" else "ValueError"
        assert str(value).startswith(kind), (name, value)
    assert "words.txt" in str(said["words"]) and "ragged.txt" in str(said["ragged"])


RAW = """
for name, theirs in arrays.items():
    if gr.rank() == 0:
        theirs.ravel().tofile(folder / "raw")
    gr.barrier()
    if theirs.size:
        same(gr.fromfile(folder / "raw", theirs.dtype), np.ravel(theirs), name)
    gr.barrier()
same(gr.fromfile(folder / "swapped", ">f8", 4000, offset=24), arrays["rows"].ravel()[3:4003], "swapped")
give(more=mistake(lambda: gr.fromfile(folder / "swapped", count=10**9)),
     absent=mistake(lambda: gr.fromfile(folder / "absent")), text=mistake(lambda: gr.fromfile(folder / "raw", sep=",")))
"""


@every_size
def test_raw_elements_are_read(check, tmp_path, ranks):
    LARGE.astype(">f8").tofile(tmp_path / "swapped")
    said = check(RAW, ranks)
    assert str(said["more"]).startswith("ValueError") and "count is 1000000000" in str(said["more"])
    assert str(said["absent"]).startswith("FileNotFoundError") and str(said["text"]).startswith("ValueError")


HDF5 = """
import h5py

path = folder / "theirs.h5"
for name, theirs in arrays.items():
    same(gr.load_hdf5(path, f"group/{name}"), theirs, name)
same(gr.load_hdf5(path, "chunked"), arrays["rows"], "chunked")
same(gr.load_hdf5(path, "swapped", dtype="f4"), arrays["rows"].astype("f4"), "swapped")
ours = folder / "ours.h5"
for name, theirs in arrays.items():
    gr.save_hdf5(ours, gr.asarray(theirs), name, mode="a")
gr.save_hdf5(ours, gr.asarray(arrays["rows"]), "deep/compressed", mode="a", compression="gzip")
gr.barrier()
with h5py.File(ours) as opened:
    for name, theirs in arrays.items():
        same(opened[name][()], theirs, name)
    same(opened["deep/compressed"][()], arrays["rows"], "compressed")
gr.barrier()
gr.save_hdf5(folder / "single.h5", gr.asarray(arrays["rows"]))
same(gr.load_hdf5(folder / "single.h5"), arrays["rows"], "only one")
give(again=mistake(lambda: gr.save_hdf5(ours, gr.ones(2), "rows", mode="a")),
     which=mistake(lambda: gr.load_hdf5(ours)), none=mistake(lambda: gr.load_hdf5(ours, "none")),
     text=mistake(lambda: gr.load_hdf5(path, "text")), absent=mistake(lambda: gr.load_hdf5(folder / "absent.h5")),
     cut=mistake(lambda: gr.load_hdf5(folder / "cut.h5", "group/rows")))
"""


@every_size
def test_hdf5_is_read_and_written_beside_h5py(check, tmp_path, ranks):
    with h5py.File(tmp_path / "theirs.h5", "w") as file:
        for name, array in ARRAYS.items():
            file[f"group/{name}"] = array
        file.create_dataset("chunked", data=LARGE, chunks=(100, 2), compression="gzip")
        file["swapped"] = LARGE.astype(">f8")
        file["text"] = np.array([b"a", b"b"])
    (tmp_path / "cut.h5").write_bytes((tmp_path / "theirs.h5").read_bytes()[:40_000])
    said = check(HDF5, ranks)
    missing = {"none": "KeyError", "absent": "FileNotFoundError"}
    refused(said, missing | {"again": "ValueError", "which": "ValueError", "text": "ValueError", "cut": "OSError"})


ZARR = """
import zarr

for name, theirs in arrays.items():
    store = folder / f"ours {name}"
    gr.save_zarr(store, gr.asarray(theirs))
    same(zarr.open_array(store, mode="r")[()], theirs, name)
    same(gr.load_zarr(store), theirs, name)
same(gr.load_zarr(folder / "theirs", "inner/x"), arrays["rows"], "in a group")
same(gr.load_zarr(folder / "format 2"), arrays["rows"], "format 2")
gr.save_zarr(folder / "ours rows", gr.ones(4))
same(gr.load_zarr(folder / "ours rows"), np.ones(4), "replaced")
give(absent=mistake(lambda: gr.load_zarr(folder / "absent")),
     none=mistake(lambda: gr.load_zarr(folder / "theirs", "y")))
"""


@every_size
def test_zarr_is_read_and_written_beside_zarr(check, tmp_path, ranks):
    group = zarr.open_group(tmp_path / "theirs", mode="w")
    group.create_array("inner/x", shape=LARGE.shape, dtype=LARGE.dtype, chunks=(100, 2))[:] = LARGE
    described = {"shape": LARGE.shape, "dtype": LARGE.dtype, "chunks": (999, 3), "zarr_format": 2}
    zarr.create_array(tmp_path / "format 2", **described)[:] = LARGE
    said = check(ZARR, ranks)
    for name, kind in {"absent": "FileNotFoundError", "none": "ValueError"}.items():
        assert str(said[name]).startswith(kind), (name, said[name])


PARQUET = """
import pyarrow.parquet as parquet

for name in ("rows", "float32", "integers", "bool", "one row", "small", "no rows"):
    theirs = arrays[name]
    width = theirs.shape[1] if theirs.ndim == 2 else 1
    if width > 100:
        theirs = theirs[:, :100]
        width = 100
    gr.save_parquet(folder / "table", gr.asarray(theirs))
    gr.barrier()
    table = parquet.read_table(folder / "table")
    assert table.column_names == [str(at) for at in range(width)] and table.num_rows == len(theirs), name
    for at in range(width):
        same(table[str(at)].to_numpy(), theirs[:, at] if theirs.ndim == 2 else theirs, (name, at))
    same(gr.load_parquet(folder / "table"), theirs.reshape(len(theirs), width), name)
    gr.barrier()
x = arrays["rows"]
same(gr.load_parquet(folder / "theirs.parquet", ["c", "a"]), x[:, [2, 0]], "columns")
same(gr.load_parquet(folder / "theirs.parquet", "b"), x[:, 1], "one column")
mixed = gr.load_parquet(folder / "theirs.parquet", ["n", "a"])
same(mixed, np.column_stack([np.arange(len(x)), x[:, 0]]), "mixed")
holes = np.asarray(gr.load_parquet(folder / "theirs.parquet", "hole"))
assert np.isnan(holes[1]) and holes[0] == 1.0
give(absent=mistake(lambda: gr.load_parquet(folder / "absent.parquet")),
     column=mistake(lambda: gr.load_parquet(folder / "theirs.parquet", "z")),
     text=mistake(lambda: gr.load_parquet(folder / "theirs.parquet")),
     missing=mistake(lambda: gr.load_parquet(folder / "theirs.parquet", "gaps")),
     cut=mistake(lambda: gr.load_parquet(folder / "cut.parquet")),
     cube=mistake(lambda: gr.save_parquet(folder / "cube", gr.ones((2, 2, 2)))))
"""


@every_size
def test_parquet_is_read_and_written_beside_pyarrow(check, tmp_path, ranks):
    count = len(LARGE)
    table = pyarrow.table(
        {"a": LARGE[:, 0], "b": LARGE[:, 1], "c": LARGE[:, 2], "n": np.arange(count), "words": ["x"] * count,
         "hole": [1.0, None] + [2.0] * (count - 2), "gaps": [1, None] + [2] * (count - 2)}
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "theirs.parquet", row_group_size=700)
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "theirs.parquet").read_bytes()[:-900])
    said = check(PARQUET, ranks)
    missing = {"absent": "FileNotFoundError", "column": "KeyError"}
    refused(said, missing | dict.fromkeys(("text", "missing", "cut", "cube"), "ValueError"))


FULL = """
x = gr.asarray(arrays["rows"])
gr.save_hdf5(folder / "good.h5", x)
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
tries = {
    "npz": (lambda path: gr.savez(path, x=x)), "txt": (lambda path: gr.savetxt(path, x)),
    "npy": (lambda path: gr.save(path, x)),
}
said = {}
for kind, save in tries.items():
    path = folder / f"full.{kind}"
    if gr.rank() == 0:
        path.write_text("what was there")
    gr.barrier()
    said[kind] = mistake(lambda: save(path))
    assert path.read_text() == "what was there", kind
    assert not list(folder.glob("*.writing")), kind
assert gr.ones(50_000).sum().item() == 50_000
give(**said)
"""


@every_size
def test_what_was_there_stays_when_the_disk_is_full(check, ranks):
    for kind, text in check(FULL, ranks).items():
        assert str(text).startswith("OSError") and "too large" in str(text).lower(), (kind, text)
