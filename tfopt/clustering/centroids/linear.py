"""Centroids at equal distances: large weights, which matter, keep a centroid near them."""

from __future__ import annotations

import numpy as np


def linear(
    weights: np.ndarray,
    clusters: int,
    importance: np.ndarray | None = None,  # noqa: ARG001
    seed: int = 0,  # noqa: ARG001
) -> np.ndarray:
    """Return `clusters` centroids at equal distances from the smallest weight to the largest.

    The same as `CentroidInitialization.LINEAR` of tensorflow-model-optimization.

    Args:
        weights: a flat array, not empty.
        clusters: how many, 1 or more.
        importance, seed: of no use here.

    Reference:
        Han et al., 2016, Deep Compression (arXiv 1510.00149), section 3.2, "Linear initialization".
    """
    low, high = np.float32(weights.min()), np.float32(weights.max())
    return np.unique(np.linspace(low, high, clusters, dtype=np.float32)) if clusters > 1 else np.array([low])
