"""Centroids where the weights are dense, by their cumulative distribution function."""

from __future__ import annotations

import numpy as np

_NODES = 30
_GAP = 0.01
_LEAST = 0.01


def density(
    weights: np.ndarray,
    clusters: int,
    importance: np.ndarray | None = None,  # noqa: ARG001
    seed: int = 0,  # noqa: ARG001
    gap: float = _GAP,
) -> np.ndarray:
    """Return centroids at equal steps of the cumulative distribution function of the weights.

    The same as `CentroidInitialization.DENSITY_BASED` of tensorflow-model-optimization: the function is read
    at 30 points, and each centroid is the first of these with more than its share of the weights below. There
    are at most 30, then, and fewer where two centroids fall onto one point.

    Args:
        weights: a flat array, not empty.
        clusters: how many, 1 or more.
        importance, seed: of no use here.
        gap: how far the points go beyond the weights at either end.

    Reference:
        Han et al., 2016, Deep Compression (arXiv 1510.00149), section 3.2, "Density-based initialization".
    """
    weights = np.sort(np.asarray(weights, np.float32).ravel())
    points = np.linspace(
        weights[0] - np.float32(gap), weights[-1] + np.float32(gap), _NODES, dtype=np.float32
    )
    below = np.searchsorted(weights, points, side="right").astype(np.float32) / np.float32(weights.size)
    shares = np.linspace(_LEAST, 1, clusters, dtype=np.float32)
    found = np.searchsorted(below, shares, side="right")
    return np.unique(points[np.minimum(found, _NODES - 1)])


def gap_beside_zero(weights: np.ndarray) -> float:
    """Return the gap for weights of one sign: half of the smallest at most, so that none becomes zero."""
    return float(min(_GAP, np.abs(weights.min()) / 2, np.abs(weights.max()) / 2))
