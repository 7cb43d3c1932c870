"""Clustering with scikit-learn's names, on all cores of all ranks; results have the same bits on any number of them."""

from __future__ import annotations

from girih.cluster import vq
from girih.cluster.bisecting import BisectingKMeans
from girih.cluster.contract import ConvergenceWarning, InvalidParameterError, NotFittedError
from girih.cluster.kmeans import KMeans, k_means, kmeans_plusplus
from girih.cluster.kmedians import KMedians
from girih.cluster.minibatch import MiniBatchKMeans
from girih.cluster.silhouette import silhouette_samples, silhouette_score
from girih.cluster.spherical import SphericalKMeans
from girih.cluster.sweep import KSweep, k_sweep

__all__ = [
    "BisectingKMeans", "ConvergenceWarning", "InvalidParameterError", "KMeans", "KMedians", "KSweep",
    "MiniBatchKMeans", "NotFittedError", "SphericalKMeans", "k_means", "k_sweep", "kmeans_plusplus",
    "silhouette_samples", "silhouette_score", "vq",
]  # fmt: skip
