"""What users give as observations, weights and seeds, made into what the native module takes; mistakes are found here.

The texts of errors are scikit-learn's, for users search for them.
"""

from __future__ import annotations

import numbers
import struct
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from girih import _native
from girih.cluster.contract import is_int
from girih.files.stored import StoredRows

Data = Any
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class Rows:
    """Observations: a girih array, rows in a file, a NumPy array the same on every rank, or a CSR matrix.

    `values` is the array, matrix or file, of float32 or float64; `distributed` says whether results for rows are girih
    arrays, for a girih array and rows in a file.
    """

    def __init__(
        self, X: Data, name: str = "X", dtype: np.dtype[Any] | None = None, least: int = 1, may_stay: bool = False
    ) -> None:
        """`may_stay` allows rows that stay in their file."""
        self.stored = isinstance(X, StoredRows)
        if self.stored and not may_stay:
            raise TypeError(f"{name} is {X!r}, which is needed in memory here: {name}.load() reads it as a girih array")
        self.distributed = self.stored or isinstance(X, _native.Array)
        self.sparse = not self.distributed and hasattr(X, "tocsr")
        if self.distributed:
            self.values: Any = X if self.stored else X.redistribute(0)
        elif self.sparse:
            self.values = _csr(X, name)
        else:
            self.values = _dense(X, name)
        shape = self.values.shape
        if len(shape) != 2:
            raise ValueError(_not_2d(len(shape), self.values))
        if shape[0] < least:
            raise ValueError(
                f"Found array with {shape[0]} sample(s) (shape={shape}) while a minimum of {least} is required."
            )
        if shape[1] == 0:
            raise ValueError(f"Found array with 0 feature(s) (shape={shape}) while a minimum of 1 is required.")
        wanted = dtype if dtype is not None else (self.values.dtype if self.values.dtype in FLOATS else np.dtype(float))
        if self.values.dtype != wanted and not self.stored:
            self.values = self.values.astype(wanted)
        self.shape: tuple[int, int] = (int(shape[0]), int(shape[1]))
        self.dtype: np.dtype[Any] = wanted

    def observations(self, sample_weight: ArrayLike | None = None) -> _native.Observations:
        """The rows as the native module holds them, with weights if there are any."""
        if self.sparse:
            csr = self.values
            parts = (csr.indptr.astype(np.int64), csr.indices.astype(np.uint32), csr.data)
            observations = _native.Observations.sparse(list(self.shape), *parts)
        elif self.stored:
            observations = self.values.observations(self.dtype)
        else:
            rows = self.values if self.distributed else _native.asarray(self.values)
            observations = _native.Observations(rows)
        if sample_weight is None:
            return observations
        return observations.weighted(weights(sample_weight, self))

    def to_numpy(self) -> Any:
        """The rows on this rank's side of NumPy: an array, or the CSR matrix."""
        return np.asarray(self.values) if self.distributed else self.values


def weights(sample_weight: ArrayLike, rows: Rows) -> _native.Array:
    """Weights as a girih array of the rows' dtype: one number for all, or one for each row."""
    if not isinstance(sample_weight, _native.Array):
        given = np.asarray(sample_weight)
        if given.dtype.kind not in "biuf":
            given = np.asarray(sample_weight, dtype=np.float64)
        if given.ndim == 0:
            given = np.full(rows.shape[0], given)
        if given.ndim != 1:
            raise ValueError("Sample weights must be 1D array or scalar")
        if given.shape != (rows.shape[0],):
            raise ValueError(f"sample_weight.shape == {given.shape}, expected {(rows.shape[0],)}!")
        sample_weight = _native.asarray(given.astype(rows.dtype))
    weighted: _native.Array = sample_weight
    return weighted if weighted.dtype == rows.dtype else weighted.astype(rows.dtype)


def _dense(X: Data, name: str) -> NDArray[Any]:
    values = np.asarray(X)
    if values.dtype.kind == "O":
        values = _numbers(values)
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{values}\n")
    if values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, not of dtype {values.dtype}.")
    if values.dtype not in FLOATS:
        values = values.astype(np.float64)
    return values


def _csr(X: Data, name: str) -> Any:
    matrix = X.tocsr()
    if len(matrix.shape) == 2 and not (matrix.has_canonical_format or matrix.shape[0] == 0):
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if matrix.dtype.kind == "c":
        raise ValueError(f"Complex data not supported\n{matrix}\n")
    if matrix.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numeric, not of dtype {matrix.dtype}.")
    return matrix if matrix.dtype in FLOATS else matrix.astype(np.float64)


def _numbers(objects: NDArray[Any]) -> NDArray[Any]:
    """A table of Python's numbers, such as columns of several types leave, as floats."""
    try:
        return objects.astype(np.float64)
    except TypeError as error:
        if "must be" in str(error) or "not '" in str(error):
            raise TypeError(f"argument must be a string or a number: {error}") from error
        raise
    except ValueError:
        return objects


def _not_2d(dimensions: int, values: Any) -> str:
    if dimensions == 0:
        return f"Expected 2D array, got scalar array instead:\narray={values}.\nReshape your data."
    if dimensions == 1:
        return (
            f"Expected 2D array, got 1D array instead:\narray={values}.\nReshape your data either using "
            "array.reshape(-1, 1) if your data has a single feature or array.reshape(1, -1) if it contains a single "
            "sample."
        )
    return f"Found array with dim {dimensions}. Expected 2D array; reshape X to (n_samples, n_features)."


def random_state(seed: Any) -> np.random.RandomState:
    """scikit-learn's rules; for None a seed from rank 0's `numpy.random`, the same on every rank."""
    if isinstance(seed, np.random.RandomState):
        return seed
    if seed is None or seed is np.random:
        mine = struct.pack("<I", np.random.randint(1 << 32, dtype=np.uint32))
        seed = struct.unpack("<I", _native.broadcast_bytes(0, mine))[0]
    if isinstance(seed, numbers.Integral) and is_int(seed, 0):
        return np.random.RandomState(int(seed))
    raise ValueError(f"{seed!r} cannot be used to seed a numpy.random.RandomState instance")
