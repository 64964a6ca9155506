"""Scores of different groups on one scale."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from tfopt.channels.groups import Dependencies

Normalization: TypeAlias = Literal["mean", "max", "none"]


def normalized(dependencies: Dependencies, scores: np.ndarray, by: Normalization = "mean") -> np.ndarray:
    """Return scores divided by the mean or the largest of their group, or as they are.

    A group whose scores are all zero keeps them.
    """
    scores = scores.astype(np.float64)
    if by == "none":
        return scores
    for group in dependencies.groups:
        own = scores[group.units]
        size = own.mean() if by == "mean" else own.max()
        if size > 0:
            scores[group.units] = own / size
    return scores
