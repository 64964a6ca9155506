"""What scores a group that a criterion has nothing to say about."""

from __future__ import annotations

import logging

import numpy as np

from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.magnitude import Magnitude
from tfopt.channels.importance.normalize import normalized

logger = logging.getLogger(__name__)


def filled_by_norms(
    dependencies: Dependencies, scores: np.ndarray, known: np.ndarray, reason: str
) -> np.ndarray:
    """Return scores in which groups that are not known have the L2 norms of their weights.

    Where there is such a group, all scores are divided by the mean of their group, so that they can be
    compared; the log names these groups.

    Args:
        dependencies: of the model.
        scores: of each unit.
        known: whether the score of each unit is one; a group counts where all of its are.
        reason: why others have none, for the log.
    """
    unknown = [group for group in dependencies.groups if not known[group.units].all()]
    if not unknown:
        return scores
    logger.info(
        "Scored by the L2 norm of their weights, for %s: %s",
        reason,
        ", ".join(group.name for group in unknown),
    )
    filled = normalized(dependencies, scores, "mean")
    norms = normalized(dependencies, Magnitude(2)(dependencies), "mean")
    for group in unknown:
        filled[group.units] = norms[group.units]
    return filled
