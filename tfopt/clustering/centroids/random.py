"""Centroids among the weights at random: the Forgy method."""

from __future__ import annotations

import numpy as np


def random(
    weights: np.ndarray,
    clusters: int,
    importance: np.ndarray | None = None,  # noqa: ARG001
    seed: int = 0,
) -> np.ndarray:
    """Return the values of `clusters` weights that are drawn at random.

    Args:
        weights: a flat array, not empty.
        clusters: how many, 1 or more.
        importance: of no use here.
        seed: of the drawing.

    Reference:
        Han et al., 2016, Deep Compression (arXiv 1510.00149), section 3.2, "Forgy (random) initialization".
    """
    values = np.unique(weights)
    drawn = np.random.default_rng(seed).choice(values, min(clusters, len(values)), replace=False)
    return np.sort(drawn)
