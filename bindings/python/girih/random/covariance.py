"""The factor of a covariance, for normal vectors."""

from __future__ import annotations

import warnings

import numpy as np

from girih import linalg


def factor(cov: np.ndarray, length: int, check_valid: str, tol: float, method: str) -> np.ndarray:
    """A matrix whose transpose by itself is the covariance; the same bits on every rank."""
    if method not in ("svd", "eigh", "cholesky"):
        raise ValueError("method must be one of {'eigh', 'svd', 'cholesky'}")
    if check_valid not in ("warn", "raise", "ignore"):
        raise ValueError("check_valid must equal 'warn', 'raise', or 'ignore'")
    if cov.ndim != 2 or cov.shape[0] != cov.shape[1]:
        raise ValueError("cov must be 2 dimensional and square")
    if cov.shape[0] != length:
        raise ValueError("mean and cov must have same length")
    if method == "cholesky":
        return np.asarray(linalg.cholesky(cov)).T
    values, vectors = (np.asarray(part) for part in linalg.eigh((cov + cov.T) / 2))
    if check_valid != "ignore":
        back = (vectors * np.abs(values)) @ vectors.T
        if (values < -tol).any() or not np.allclose(back, cov, rtol=tol, atol=tol):
            message = "The input is not a symmetric positive-semidefinite matrix"
            if check_valid == "raise":
                raise ValueError(message)
            warnings.warn(message, RuntimeWarning, stacklevel=3)
    return (vectors * np.sqrt(np.abs(values))).T
