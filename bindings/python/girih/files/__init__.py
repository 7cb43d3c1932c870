"""Arrays in files other than `.npy`: archives, text, raw bytes, HDF5, Zarr, Parquet. All calls are collective.

Every rank reads and writes its own rows and no others, unless a function says otherwise. What a file holds is found by
rank 0 and told to the others; whatever goes wrong on one rank is raised, as the same error, on all of them.
A file that is written appears whole or not at all: it is made beside its place and renamed at the end.

HDF5, Zarr and Parquet need `h5py`, `zarr` (3 or newer) and `pyarrow`: `pip install 'girih[files]'`.
"""

from __future__ import annotations

from girih.files.archive import Archive, load, savez, savez_compressed
from girih.files.hdf import load_hdf5, save_hdf5
from girih.files.parquet import load_parquet, save_parquet
from girih.files.raw import fromfile
from girih.files.stored import StoredRows, open_rows
from girih.files.text import genfromtxt, loadtxt, savetxt
from girih.files.zarr import load_zarr, save_zarr

__all__ = [
    "Archive", "StoredRows", "fromfile", "genfromtxt", "load", "load_hdf5", "load_parquet", "load_zarr", "loadtxt",
    "open_rows", "save_hdf5", "save_parquet", "save_zarr", "savetxt", "savez", "savez_compressed",
]  # fmt: skip
