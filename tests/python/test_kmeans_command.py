"""`girih kmeans`: files in, centres, labels and a picture out; mistakes are one line and status 2 on every rank."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import FAMILIES, needs
from girih.cli.mistake import Mistake
from girih.cli.points import numbers_in_text


@pytest.fixture
def points(tmp_path):
    """A matrix of six blobs, also written as points.npy and points.csv."""
    rng = np.random.default_rng(0)
    x = 8 * rng.standard_normal((6, 4))[rng.integers(6, size=3000)] + rng.standard_normal((3000, 4))
    np.save(tmp_path / "points.npy", x)
    np.savetxt(tmp_path / "points.csv", x, delimiter=",", header="a,b,c,d", comments="", fmt="%.17g")
    return x


def check_result(folder, x, k):
    centers, labels = np.load(folder / "centers.npy"), np.load(folder / "labels.npy")
    assert centers.shape == (k, x.shape[1]) and labels.shape == (len(x),)
    distances = ((x[:, None, :] - centers[None, :, :]) ** 2).sum(axis=2)
    assert np.mean(distances.argmin(axis=1) == labels) > 0.999


@pytest.mark.parametrize("name", ["points.npy", "points.csv"])
def test_a_file_of_numbers(command, tmp_path, points, name):
    run = command("kmeans", name, "-k", "6", "--out", "out").succeeded()
    check_result(tmp_path / "out", points, 6)
    assert (tmp_path / "out" / "picture.png").stat().st_size > 1000
    for text in ("3000 × 4", "1 × 1", "iterations", "time per iteration", "inertia", "centers.npy"):
        assert text in run.output


@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
def test_on_two_ranks_the_files_are_the_same(command, tmp_path, points, family):
    command("kmeans", "points.npy", "-k", "6", "--out", "one", "--no-picture").succeeded()
    line = ["kmeans", "points.npy", "-k", "6", "--out", "two", "-n", "2", "--launcher", f"mpirun.{family}"]
    run = command(*line, "--threads", "1", "--no-picture").succeeded()
    assert "2 × 1" in run.output and run.output.count("wrote") == 2
    assert not (tmp_path / "one" / "picture.png").exists()
    for name in ("centers.npy", "labels.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_an_image(command, tmp_path):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    run = command("kmeans", "noise.png", "-k", "5", "--out", "out", "--dtype", "float32").succeeded()
    assert "2000 × 3, float32" in run.output
    centers = np.load(tmp_path / "out" / "centers.npy")
    assert centers.dtype == np.float32 and 0 <= centers.min() and centers.max() <= 1
    with Image.open(tmp_path / "out" / "picture.png") as picture:
        assert picture.width >= 100


def check_mistake(run, *texts):
    assert run.status == 2, f"{run.output}\n{run.errors}"
    assert run.errors.startswith("girih kmeans: ") and len(run.errors.splitlines()) == 1, run.errors
    for text in texts:
        assert text in run.errors


MISTAKES = {
    "text.csv": ("a,b\n1,2\n3,four\n", ["text.csv, line 3, column 2", "'four'"]),
    "ragged.csv": ("1,2\n3\n", ["ragged.csv, line 2", "1 field"]),
    "empty.csv": ("", ["empty.csv"]),
    "kind.doc": ("1 2\n", ["kind.doc", "unknown kind"]),
    "bad.npy": ("this is no array", ["bad.npy"]),
    "bad.png": ("this is no image", ["bad.png"]),
    "few.csv": ("1,2\n3,4\n", ["-k 3", "few.csv"]),
    "nan.csv": ("1,2\nnan,4\n5,6\n", ["nan.csv", "NaN"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line(command, tmp_path, name):
    text, expected = MISTAKES[name]
    (tmp_path / name).write_text(text)
    check_mistake(command("kmeans", name, "-k", "3", "--out", "out"), *expected)


@pytest.mark.parametrize("family", [needs(family) for family in FAMILIES])
@pytest.mark.parametrize("name", ["text.csv", "bad.npy", "few.csv", "nan.csv"])
def test_a_mistake_is_one_line_on_two_ranks(command, tmp_path, family, name):
    text, expected = MISTAKES[name]
    (tmp_path / name).write_text(text)
    line = ["kmeans", name, "-k", "3", "--out", "out", "-n", "2", "--launcher", f"mpirun.{family}"]
    run = command(*line, timeout=30)
    check_mistake(run, *expected)
    assert run.seconds < 15


@pytest.mark.parametrize("name", ["missing.npy", "missing.csv", "missing.jpg"])
def test_a_missing_file_is_named(command, name):
    check_mistake(command("kmeans", name, "-k", "3", "--out", "out"), f"{name}: no such file or directory")


def test_an_array_of_one_axis_is_refused(command, tmp_path):
    np.save(tmp_path / "line.npy", np.arange(5.0))
    check_mistake(command("kmeans", "line.npy", "-k", "2", "--out", "out"), "line.npy", "(5,)")


def test_a_folder_that_cannot_be_made_is_named(command, tmp_path, points):
    (tmp_path / "taken").write_text("")
    check_mistake(command("kmeans", "points.npy", "-k", "2", "--out", "taken/out"), "taken")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("1,2\n3,4\n", [[1, 2], [3, 4]]),
        ("a;b\n1;2\n", [[1, 2]]),
        ("# note\n\n1 2\n3   4 # end\n", [[1, 2], [3, 4]]),
        ("x\ty\n1\t-2e3\n", [[1, -2000]]),
        ("# a,b\na,b\n1,2\n", [[1, 2]]),
        ('"width","height, cm"\n1.5,2\n', [[1.5, 2]]),
        ("7\n8\n", [[7], [8]]),
        ("\ufeffa,b\r\n1,2\r\n", [[1, 2]]),
    ],
)
def test_tables_of_many_kinds(tmp_path, text, rows):
    path = tmp_path / "table.csv"
    path.write_text(text, encoding="utf-8", newline="")
    np.testing.assert_array_equal(numbers_in_text(str(path)), rows)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("1,2\n\n3,x\n", "line 3, column 2: 'x' is not a number"),
        ("1,2\n3,\n", "line 2, column 2: the field is empty"),
        ("1,b\n3,4\n", "line 1, column 2: 'b' is not a number"),
        ("a,b\n1,2,3\n", "line 2: 3 fields, but line 1 has 2"),
        ("1,1_000\n", "line 1, column 2: '1_000' is not a number"),
        ("a,b\n", "holds no numbers"),
    ],
)
def test_the_place_of_a_mistake_is_found(tmp_path, text, place):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(Mistake) as caught:
        numbers_in_text(str(path))
    assert str(path) in str(caught.value) and place in str(caught.value)
