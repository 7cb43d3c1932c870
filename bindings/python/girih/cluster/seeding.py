"""Starting centres: greedy k-means++, k-means||, AFK-MC². All draws are made alike on every rank."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from girih import _native

# Rounds and candidates of k-means||, as its authors measured them to suffice: 2·k candidates in each of 5 rounds.
_ROUNDS = 5
_OVERSAMPLING = 2.0
_RECLUSTERINGS = 100
# Proposals for each centre, as the authors of AFK-MC² use.
_CHAIN = 200


def plus_plus(
    observations: _native.Observations, clusters: int, random: np.random.RandomState, trials: int | None = None
) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Greedy k-means++ with the draws that scikit-learn takes."""
    trials = trials or 2 + int(math.log(clusters))
    first = random.random_sample()
    centres, indices = observations.plus_plus(first, random.uniform(size=(clusters - 1, trials)))
    return centres, np.asarray(indices, dtype=np.intp)


def k_means_parallel(
    observations: _native.Observations, clusters: int, random: np.random.RandomState
) -> NDArray[Any]:
    """k-means||: weighted candidates from few passes, clustered by k-means++ and Lloyd's iterations."""
    first, seed = random.random_sample(), int(random.randint(1 << 31))
    candidates, weights = observations.oversampled(first, seed, _OVERSAMPLING * clusters, _ROUNDS)
    missing = clusters - len(candidates)
    if missing >= 0:
        # So few distinct rows that all are candidates, or nearly: any others complete them.
        others = random.choice(observations.n_samples, missing, replace=False).tolist()
        return np.concatenate([candidates, observations.rows(others)]) if others else candidates
    few = _native.Observations(_native.asarray(candidates))
    few = few.weighted(_native.asarray(np.asarray(weights, dtype=candidates.dtype)))
    start, _ = plus_plus(few, clusters, random)
    found: NDArray[Any] = few.lloyd(start, _RECLUSTERINGS, 1e-4, None)["centers"]
    return found


def afk_mc2(observations: _native.Observations, clusters: int, random: np.random.RandomState) -> NDArray[Any]:
    """AFK-MC²: each centre is where a Markov chain of 200 proposed rows ends."""
    first = random.random_sample()
    proposals = random.random_sample(((clusters - 1) * _CHAIN, 2))
    accepts = random.random_sample((clusters - 1) * (_CHAIN - 1))
    return observations.chained(first, proposals, accepts, _CHAIN)[0]
