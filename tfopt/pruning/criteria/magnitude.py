"""The magnitude criterion: the weights with the smallest absolute value are needed least."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.criteria.base import FromWeights


class Magnitude(FromWeights):
    """|w| ("Learning both weights and connections", Han et al., 2015, arXiv 1506.02626)."""

    name = "magnitude"

    def scores(self, weights: np.ndarray, seed: int) -> np.ndarray:  # noqa: ARG002
        """Return the absolute values."""
        return np.abs(weights, dtype=np.float32)
