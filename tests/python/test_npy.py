"""`.npy` files as NumPy writes them, in all orders and versions, and as nobody should: alike on every rank."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest

RNG = np.random.default_rng(5)
LARGE = RNG.standard_normal((3001, 2, 5))
GOOD = {
    "rows": LARGE,
    "Fortran": np.asfortranarray(LARGE),
    "Fortran matrix": np.asfortranarray(LARGE[:, 0]),
    "big-endian": LARGE.astype(">f8"),
    "big-endian Fortran": np.asfortranarray(LARGE.astype(">f4")),
    "big-endian integers": np.arange(-9000, 9000).astype(">i8"),
    "float32": LARGE.astype("f4"),
    "bool": LARGE > 0,
    "Fortran bool": np.asfortranarray(np.repeat(LARGE, 9, axis=0) > 0),
    "small": np.arange(6).reshape(2, 3),
    "a number": np.array(3.5),
    "a bool": np.array(True),
    "no rows": np.zeros((0, 3)),
    "no columns": np.zeros((5000, 0), "f4"),
    "one long row": LARGE.reshape(1, -1),
    "a column in Fortran order": np.asfortranarray(LARGE.reshape(-1, 1)),
    "not contiguous": LARGE[::2, :, ::-1],
    "complex": LARGE.astype("complex128"),
    "big-endian complex": LARGE.astype(">c8"),
    "int32": np.arange(5, dtype="i4"),
    "float16": LARGE.astype("f2"),
    "five axes": RNG.standard_normal((3, 1, 40, 2, 50)),
}
VERSIONS = {"version 2": (2, 0), "version 3": (3, 0)}


def whole(array, version=None):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version)
    return file.getvalue()


def headed(text, data=b"", version=1):
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text.encode() + data


def described(shape="(2,)", descr="'<f8'", order="False"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


BAD = {
    "nothing at all": b"",
    "text": b"1,2\n3,4\n",
    "only the magic": whole(LARGE)[:6],
    "within the header": whole(LARGE)[:60],
    "one byte short": whole(LARGE)[:-1],
    "half of the elements": whole(LARGE)[: LARGE.nbytes // 2],
    "version 9": whole(LARGE).replace(b"NUMPY\x01", b"NUMPY\x09", 1),
    "a huge header": b"\x93NUMPY\x02\x00" + b"\xff" * 12,
    "more rows than bytes": headed(described("(3,)"), b"\0" * 16),
    "a shape beyond memory": headed(described("(4611686018427387904, 4)"), b"\0" * 64),
    "a shape that overflows": headed(described("(18446744073709551617,)"), b"\0" * 64),
    "a negative shape": headed(described("(-1,)"), b"\0" * 64),
    "a shape that is no tuple": headed(described("'x'"), b"\0" * 64),
    "no shape": headed("{'descr': '<f8', 'fortran_order': False}", b"\0" * 64),
    "an order that is no truth": headed(described(order="'F'"), b"\0" * 64),
    "an unknown type": headed(described(descr="'<f3'"), b"\0" * 64),
    "text elements": whole(np.array(["a", "b"])),
    "dates": whole(np.array(["2020-01-01"], dtype="M8[D]")),
    "records": whole(np.zeros(3, dtype=[("x", "f8"), ("y", "i8")])),
    "objects": headed(described(descr="'|O'"), b"\x80\x04."),
    "code for a header": headed("__import__('os').abort()", b"\0" * 64),
    "a zip archive": b"PK\x03\x04" + b"\0" * 100,
}

PROGRAM = """
import girih as gr

folder = Path(os.environ["TEST_OUTPUT"]).parent
for path in sorted((folder / "good").glob("*.npy")):
    theirs = np.load(path)
    theirs = theirs.astype(theirs.dtype.newbyteorder("="))
    ours = gr.load(path)
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, path
    assert np.asarray(ours).tobytes() == theirs.tobytes(), path
    saved = folder / f"saved by {gr.size()}.npy"
    gr.save(saved, ours)
    back = np.load(saved)
    assert back.tobytes() == theirs.tobytes() and back.shape == theirs.shape and back.dtype == theirs.dtype, path
    gr.barrier()
# An expression that was only recorded.
gr.save(folder / "sum.npy", gr.arange(30_000) + 0.5)
assert np.array_equal(np.load(folder / "sum.npy"), np.arange(30_000) + 0.5)
said = {path.stem: mistake(lambda: gr.load(path)) for path in sorted((folder / "bad").glob("*.npy"))}
said["no such file"] = mistake(lambda: gr.load(folder / "no such file.npy"))
said["a folder"] = mistake(lambda: gr.load(folder))
said["no such folder"] = mistake(lambda: gr.save(folder / "none" / "no such folder.npy", gr.ones(3)))
assert gr.ones(50_000).sum().item() == 50_000
give(**said)
"""


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_good_files_are_read_and_written_and_bad_ones_refused_alike(on_ranks, tmp_path, ranks):
    for kind in ("good", "bad"):
        (tmp_path / kind).mkdir()
    for name, array in GOOD.items():
        (tmp_path / "good" / f"{name}.npy").write_bytes(whole(array))
    for name, version in VERSIONS.items():
        (tmp_path / "good" / f"{name}.npy").write_bytes(whole(LARGE, version))
    for name, contents in BAD.items():
        (tmp_path / "bad" / f"{name}.npy").write_bytes(contents)
    given = on_ranks(PROGRAM, ranks, timeout=90).succeeded().given(ranks)
    assert set(given[0]) == {*BAD, "no such file", "a folder", "no such folder"}
    for name in given[0]:
        (text,) = {str(each[name]) for each in given}
        kind = "FileNotFoundError" if name.startswith("no such") else "ValueError"
        assert text.startswith(kind) and (name in text or name == "a folder"), (name, text)
