"""SNIP: how much the loss changes with a connection, measured before training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.pruning.criteria.base import FromGradients


class Snip(FromGradients):
    """|w dL/dw|, of the gradient over all data ("SNIP", Lee et al., 2019, arXiv 1810.02340)."""

    name = "snip"
    on_data = True

    def summand(self, weights: Any, gradients: Any) -> Any:
        """Return w dL/dw."""
        return weights * gradients

    def scores(self, total: np.ndarray) -> np.ndarray:
        """Return the absolute value of the sum."""
        return np.abs(total)
