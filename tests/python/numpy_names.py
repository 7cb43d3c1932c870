"""Every name of NumPy's and its state in girih, as a page: run as a program it writes `bindings/NAMES.md`.

What is there is asked of the package; only the reasons for what is not are written here. test_names.py runs this and
fails if the page is not what it would write.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import girih as gr

PAGE = Path(__file__).parents[2] / "bindings" / "NAMES.md"
# What is left out for good, by reason.
ELSEWHERE = {
    "says nothing of arrays": "get_include info show_config show_runtime test getbufsize setbufsize",
    "arithmetic never warns": "errstate geterr geterrcall seterr seterrcall",
    "dates, which girih has no dtype for": "busday_count busday_offset is_busday busdaycalendar datetime_as_string "
    "datetime_data isnat",
    "strings, records and objects, which girih has no dtype for": "recarray fromregex frompyfunc",
    "matrices of two axes always, which NumPy itself advises against": "bmat matrix asmatrix",
    "reads memory or strides that a distributed array has not": "memmap ndarray nditer nested_iters flatiter broadcast "
    "isfortran ufunc",
    "left behind by NumPy for `vstack`": "row_stack",
    "describes memory that a distributed array has not": "base byteswap ctypes data dump dumps flags getfield resize "
    "setfield setflags strides tofile view",
}
HEAD = """# NumPy's names in girih

Written by `python tests/python/numpy_names.py` from the package itself, beside NumPy {version}; a test keeps it so.
A name that is there is tested against NumPy. One that is not raises `AttributeError` and names the nearest.
"""


def callables(module, names):
    """A module's functions and classes, without scalar types and exceptions."""
    kinds = (np.generic, Exception)
    found = [name for name in names if callable(getattr(module, name, None))]
    return sorted(name for name in found if not is_kind(getattr(module, name), kinds))


def is_kind(thing, kinds):
    return isinstance(thing, type) and issubclass(thing, kinds)


def public(thing):
    return sorted(name for name in dir(thing) if not name.startswith("_"))


def groups():
    """Title, girih's side, and NumPy's names."""
    yield "numpy", gr, callables(np, {*np.__all__, "c_", "r_", "mgrid", "ogrid"})
    yield "numpy.linalg", gr.linalg, callables(np.linalg, np.linalg.__all__)
    yield "numpy.fft", gr.fft, callables(np.fft, np.fft.__all__)
    yield "numpy.random.Generator", gr.random.Generator, public(np.random.Generator)
    yield "numpy.ndarray", gr.Array, public(np.ndarray)


def absent(ours, names):
    """Names that are not there, each with the reason."""
    reasons = {name: reason for reason, group in ELSEWHERE.items() for name in group.split()}
    return {name: reasons.get(name, "not yet") for name in names if not hasattr(ours, name)}


def wrapped(names):
    """Names in lines that fit a page."""
    lines = [""]
    for name in names:
        word = f"`{name}`"
        if len(lines[-1]) + len(word) > 118:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def page():
    """The page's text."""
    parts = [HEAD.format(version=".".join(np.__version__.split(".")[:2]))]
    for title, ours, names in groups():
        missing = absent(ours, names)
        there = [name for name in names if name not in missing]
        parts.append(f"## {title}: {len(there)} of {len(names)}\n\n{wrapped(there)}\n")
        if missing:
            rows = "\n".join(f"| `{name}` | {reason} |" for name, reason in missing.items())
            parts.append(f"| not there | why |\n|---|---|\n{rows}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page())
