"""The random criterion: the baseline that every other one must beat."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.base import FromWeights


class Random(FromWeights):
    """A uniform draw for each weight, the same for the same seed whatever the weights are."""

    name = "random"

    def scores(self, weights: np.ndarray, seed: int) -> np.ndarray:
        """Return numbers in [0, 1)."""
        return np.random.default_rng(seed).random(weights.shape, np.float32)
