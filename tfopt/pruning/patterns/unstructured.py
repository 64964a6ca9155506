"""Zeros at any single weight."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.patterns.base import Pattern
from tfopt.pruning.patterns.layout import Layout


class Unstructured(Pattern):
    """Each weight by itself."""

    name = "unstructured"

    def units(self, scores: np.ndarray, layout: Layout) -> np.ndarray:  # noqa: ARG002
        """Return the scores, flat."""
        return scores.ravel()

    def expand(self, kept: np.ndarray, layout: Layout) -> np.ndarray:
        """Return them as the mask."""
        return kept.reshape(layout.shape)
