"""Clustering with scikit-learn's names, on all cores of all ranks; results have the same bits on any number of them."""

from __future__ import annotations

from girih.cluster.contract import ConvergenceWarning, InvalidParameterError, NotFittedError
from girih.cluster.kmeans import KMeans, k_means, kmeans_plusplus

__all__ = [
    "ConvergenceWarning", "InvalidParameterError", "KMeans", "NotFittedError", "k_means", "kmeans_plusplus",
]  # fmt: skip
