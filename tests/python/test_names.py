"""Which of NumPy's names girih has, counted and printed; and what is said of a name that is not there."""

from __future__ import annotations

import numpy as np
import pytest

import girih as gr

# What is left out for good, by reason.
ELSEWHERE = {
    "says nothing of arrays": "get_include info show_config show_runtime test getbufsize setbufsize",
    "arithmetic never warns": "errstate geterr geterrcall seterr seterrcall",
    "dates, which girih has no dtype for": "busday_count busday_offset is_busday busdaycalendar datetime_as_string "
    "datetime_data isnat",
    "strings, records and objects, which girih has no dtype for": "bytes_ character flexible object_ str_ void record "
    "recarray fromregex bmat matrix asmatrix chararray frompyfunc",
    "reads memory or strides that a distributed array has not": "memmap ndarray nditer nested_iters flatiter broadcast "
    "isfortran ufunc",
    "calls a Python function for each element": "vectorize",
}
# Attributes that describe memory which a distributed array has not, and what NumPy is leaving behind.
OF_MEMORY = "base byteswap ctypes data dump dumps flags getfield resize setfield setflags strides tofile view"


def callables(module, names):
    """A module's functions and classes, without scalar types and exceptions."""
    found = [name for name in names if callable(getattr(module, name, None))]
    kinds = (np.generic, Exception)
    return sorted(
        name
        for name in found
        if not (isinstance(getattr(module, name), type) and issubclass(getattr(module, name), kinds))
    )


def compared(title, ours, theirs, names):
    """Prints what is not there; how many are."""
    reasons = {name: reason for reason, group in ELSEWHERE.items() for name in group.split()}
    have = [name for name in names if hasattr(ours, name)]
    for name in names:
        if name not in have:
            print(f"{title + '.' + name:28} {reasons.get(name, 'not yet')}")
    print(f"{title}: {len(have)} of {len(names)} of NumPy {np.__version__}")
    assert not [name for name in have if name in reasons]
    return len(have)


def test_the_names_that_are_there_are_counted():
    assert compared("numpy", gr, np, callables(np, [*np.__all__, "c_", "r_", "mgrid", "ogrid"])) >= 355
    assert compared("numpy.linalg", gr.linalg, np.linalg, callables(np.linalg, np.linalg.__all__)) >= 31
    assert compared("numpy.fft", gr.fft, np.fft, callables(np.fft, np.fft.__all__)) >= 18
    methods = [name for name in dir(np.random.Generator) if not name.startswith("_")]
    assert compared("Generator", gr.random.Generator, np.random.Generator, methods) == len(methods)
    methods = [name for name in dir(np.ndarray) if not name.startswith("_")]
    absent = [name for name in methods if not hasattr(gr.Array, name)]
    assert absent == OF_MEMORY.split()


@pytest.mark.parametrize(
    ("module", "name", "near"),
    [
        (gr, "medain", "median"), (gr, "vectorize", "apply_along_axis"), (gr, "trapz", "trapezoid"),
        (gr.linalg, "slove", "solve"), (gr.fft, "rftt", "rfft"), (gr.random, "defalt_rng", "default_rng"),
    ],
)  # fmt: skip
def test_a_name_that_is_not_there_names_the_nearest(module, name, near):
    with pytest.raises(AttributeError, match=near):
        getattr(module, name)
