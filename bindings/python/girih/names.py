"""What is said of a name that girih does not have: the nearest that is there, and NumPy's if it is one of NumPy's."""

from __future__ import annotations

import difflib
import sys

# Where the nearest spelling is not the nearest meaning.
_INSTEAD = {
    "ndarray": "Array", "nditer": "ndenumerate, or x.local for this rank's rows",
    "memmap": "load, which reads only its rows",
    "frompyfunc": "vectorize, whose results are numbers",
    "matrix": "asarray", "asmatrix": "asarray", "bmat": "block", "recarray": "asarray of each column",
    "errstate": "numpy.errstate: girih's arithmetic never warns",
    "seterr": "numpy.seterr: girih's arithmetic never warns",
    "msort": "sort", "product": "prod", "cumproduct": "cumprod", "in1d": "isin", "trapz": "trapezoid",
    "row_stack": "vstack",
    "alltrue": "all", "sometrue": "any", "float_": "float64", "complex_": "complex128", "Inf": "inf", "NaN": "nan",
}  # fmt: skip


def missing(module: str, name: str) -> AttributeError:
    """The error for a name that a module of the package does not have."""
    text = f"module {module!r} has no attribute {name!r}"
    if name.startswith("_"):
        return AttributeError(text)
    here = [known for known in dir(sys.modules[module]) if not known.startswith("_")]
    near = _INSTEAD.get(name) or next(iter(difflib.get_close_matches(name, here, 1)), None)
    of_numpy = hasattr(sys.modules.get(module.replace("girih", "numpy", 1)), name)
    if of_numpy:
        text += "; on one rank, numpy's takes np.asarray(x)"
    return AttributeError(text + (f"; the nearest that is there: {near}" if near else ""), name=name)
