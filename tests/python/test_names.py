"""Which of NumPy's functions girih has: prints the table, and states the count."""

from __future__ import annotations

import numpy as np

import girih as gr

# What is left out for good, by reason.
ELSEWHERE = {
    "says nothing of arrays": "get_include info show_config show_runtime test typename mintypecode get_printoptions printoptions "
    "set_printoptions getbufsize setbufsize geterr geterrcall seterr seterrcall errstate may_use_out_of_bounds format_float_positional "
    "format_float_scientific base_repr binary_repr binary_repr getbufsize",
    "dates and business days, which girih has no dtype for": "busday_count busday_offset is_busday busdaycalendar datetime_as_string "
    "datetime_data isnat datetime64 timedelta64",
    "strings, records and objects, which girih has no dtype for": "bytes_ character flexible object_ str_ void record recarray "
    "fromregex bmat matrix asmatrix chararray frompyfunc",
    "reads memory or strides that a distributed array has not": "frombuffer from_dlpack memmap ndarray nditer nested_iters flatiter lib "
    "getbufsize broadcast",
    "applies Python functions element by element": "apply_along_axis apply_over_axes vectorize fromfunction fromiter",
}


def names():
    """NumPy's callables at top level, without its scalar types and exceptions."""
    found = [name for name in np.__all__ if callable(getattr(np, name, None))]
    return sorted(
        name
        for name in found
        if not (isinstance(getattr(np, name), type) and issubclass(getattr(np, name), np.generic))
    )


def test_the_names_that_are_there_are_counted():
    have = [name for name in names() if callable(getattr(gr, name, None)) or name in ("c_", "r_", "mgrid", "ogrid")]
    reasons = {name: reason for reason, group in ELSEWHERE.items() for name in group.split()}
    absent = [name for name in names() if name not in have]
    for name in absent:
        print(f"{name:28} {reasons.get(name, 'not yet')}")
    print(f"{len(have)} of {len(names())} of NumPy {np.__version__}")
    assert len(have) >= COUNT
    assert not [name for name in have if name in reasons]


# Raised with every name that is added.
COUNT = 220
