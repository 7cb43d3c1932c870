"""girih: NumPy, K-Means and parallel Python for clusters.

Every rank runs the same program; an array's rows are divided among the ranks, and an operation on it talks to other
ranks only when data must move. One process without a launcher is a world of one rank with all its cores.

>>> import girih as gr
>>> x = gr.arange(12.0).reshape(6, 2)
>>> float(((x - x.mean(axis=0)) ** 2).sum())
140.0

Importing starts neither threads nor MPI: the world starts when it is first needed.
"""

from importlib import import_module as _import_module
from pathlib import Path as _Path
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from girih import _native

_native.set_plugin_dir(str(_Path(__file__).with_name("_mpi")))

from girih import failure as _failure  # noqa: E402
from girih import names as _names  # noqa: E402

_failure.install()

from girih import cluster, dtypes, fft, linalg, mathematics, methods, random, reductions, spatial, ufuncs  # noqa: E402
from girih import indexing, joining, making, padding, protocols, quantiles, shaping, sorting, vectorizing  # noqa: E402
from girih._native import (  # noqa: E402
    Array,
    barrier,
    from_local,
    rank,
    report,
    save,
    size,
    wait,
    where,
)
from girih.configuring import config  # noqa: E402
from girih.dtypes import *  # noqa: E402, F403
from girih.einsum_terms import einsum, einsum_path  # noqa: E402
from girih.errors import DivergenceError, RankError  # noqa: E402
from girih.explaining import explain  # noqa: E402
from girih.files import (  # noqa: E402
    Archive,
    StoredRows,
    fromfile,
    genfromtxt,
    load,
    load_hdf5,
    load_parquet,
    load_zarr,
    loadtxt,
    open_rows,
    save_hdf5,
    save_parquet,
    save_zarr,
    savetxt,
    savez,
    savez_compressed,
)
from girih.polynomials import (  # noqa: E402
    poly,
    poly1d,
    polyadd,
    polyder,
    polydiv,
    polyfit,
    polyint,
    polymul,
    polysub,
    polyval,
    roots,
)
from girih.protocols import from_dlpack  # noqa: E402
from girih.protocols import namespace_info as __array_namespace_info__  # noqa: E402
from girih.products import (  # noqa: E402
    convolve,
    corrcoef,
    correlate,
    cov,
    cross,
    dot,
    inner,
    kron,
    matmul,
    matvec,
    outer,
    tensordot,
    vander,
    vdot,
    vecdot,
    vecmat,
)
from girih.tracing import trace  # noqa: E402
from girih.indexing import *  # noqa: E402, F403
from girih.joining import *  # noqa: E402, F403
from girih.making import *  # noqa: E402, F403
from girih.mathematics import *  # noqa: E402, F403
from girih.padding import *  # noqa: E402, F403
from girih.quantiles import *  # noqa: E402, F403
from girih.reductions import *  # noqa: E402, F403
from girih.shaping import *  # noqa: E402, F403
from girih.sorting import *  # noqa: E402, F403
from girih.ufuncs import *  # noqa: E402, F403
from girih.vectorizing import *  # noqa: E402, F403

if _TYPE_CHECKING:
    from girih import futures


def __getattr__(name: str) -> _Any:
    """Imports `futures` at its first use, for it brings much along; else names what is nearest to the name."""
    if name == "futures":
        return _import_module("girih.futures")
    raise _names.missing("girih", name)


__all__ = [
    "Archive",
    "Array",
    "DivergenceError",
    "RankError",
    "StoredRows",
    "barrier",
    "cluster",
    "config",
    "convolve",
    "corrcoef",
    "correlate",
    "cov",
    "cross",
    "dot",
    "einsum",
    "einsum_path",
    "explain",
    "fft",
    "from_dlpack",
    "from_local",
    "fromfile",
    "futures",
    "inner",
    "kron",
    "linalg",
    "load",
    "load_hdf5",
    "load_parquet",
    "load_zarr",
    "loadtxt",
    "matmul",
    "matvec",
    "open_rows",
    "outer",
    "poly",
    "poly1d",
    "polyadd",
    "polyder",
    "polydiv",
    "polyfit",
    "polyint",
    "polymul",
    "polysub",
    "polyval",
    "random",
    "rank",
    "report",
    "roots",
    "save",
    "save_hdf5",
    "save_parquet",
    "save_zarr",
    "savetxt",
    "savez",
    "savez_compressed",
    "size",
    "spatial",
    "tensordot",
    "trace",
    "vander",
    "vdot",
    "vecdot",
    "vecmat",
    "wait",
    "where",
]
for _module in (
    dtypes, indexing, joining, making, mathematics, padding, quantiles, reductions, shaping, sorting, ufuncs,
    vectorizing,
):  # fmt: skip
    __all__ += _module.__all__  # noqa: PLE0605
__array_api_version__ = "2025.12"
methods.attach()
protocols.attach()
