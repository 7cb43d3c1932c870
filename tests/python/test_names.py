"""Which of NumPy's names girih has, counted and printed; and what is said of a name that is not there."""

from __future__ import annotations

import numpy as np
import numpy_names
import pytest

import girih as gr

LEAST = {"numpy": 374, "numpy.linalg": 31, "numpy.fft": 18, "numpy.random.Generator": 45, "numpy.ndarray": 56}


def test_the_names_that_are_there_are_counted():
    for title, ours, names in numpy_names.groups():
        missing = numpy_names.absent(ours, names)
        print(f"{title}: {len(names) - len(missing)} of {len(names)} of NumPy {np.__version__}")
        assert len(names) - len(missing) >= LEAST[title], missing


def test_a_name_that_is_there_has_no_reason_to_be_missing():
    reasons = {name for group in numpy_names.ELSEWHERE.values() for name in group.split()}
    missing = {name for _, ours, names in numpy_names.groups() for name in numpy_names.absent(ours, names)}
    assert reasons == missing


def test_the_page_of_names_is_current():
    text, version = numpy_names.PAGE.read_text(), ".".join(np.__version__.split(".")[:2])
    if f"NumPy {version};" not in text:
        pytest.skip(f"bindings/NAMES.md lists the names of another NumPy, and says nothing of {version}")
    assert text == numpy_names.page(), "run python tests/python/numpy_names.py"


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [
        (gr, "medain", "median"), (gr, "frompyfunc", "vectorize"), (gr, "trapz", "trapezoid"),
        (gr.linalg, "slove", "solve"), (gr.fft, "rftt", "rfft"), (gr.random, "defalt_rng", "default_rng"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_names_the_nearest(module, name, near):
    with pytest.raises(AttributeError, match=near):
        getattr(module, name)
