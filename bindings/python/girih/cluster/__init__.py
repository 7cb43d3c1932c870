"""Clustering with scikit-learn's names, on all cores of all ranks; results have the same bits on any number of them."""

from __future__ import annotations

from girih.cluster import vq
from girih.cluster.bisecting import BisectingKMeans
from girih.cluster.contract import ConvergenceWarning, InvalidParameterError, NotFittedError
from girih.cluster.kmeans import KMeans, k_means, kmeans_plusplus
from girih.cluster.minibatch import MiniBatchKMeans

__all__ = [
    "BisectingKMeans", "ConvergenceWarning", "InvalidParameterError", "KMeans", "MiniBatchKMeans", "NotFittedError",
    "k_means", "kmeans_plusplus", "vq",
]  # fmt: skip
