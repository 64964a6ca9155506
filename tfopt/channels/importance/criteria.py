"""The criteria by name, and the scores that they give."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from tfopt import _validation
from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.activation import Activation
from tfopt.channels.importance.batch_norm import BatchNormScale
from tfopt.channels.importance.criterion import Criterion
from tfopt.channels.importance.geometric_median import GeometricMedian
from tfopt.channels.importance.magnitude import Magnitude
from tfopt.channels.importance.normalize import Normalization, normalized
from tfopt.channels.importance.random_order import RandomOrder
from tfopt.channels.importance.samples import Samples, checked_samples
from tfopt.channels.importance.taylor import Taylor

logger = logging.getLogger(__name__)

CRITERIA: dict[str, Criterion] = {
    "l1": Magnitude(1),
    "l2": Magnitude(2),
    "batch_norm": BatchNormScale(),
    "taylor": Taylor(),
    "activation": Activation(),
    "nonzero": Activation(count_zeros=True),
    "geometric_median": GeometricMedian(),
    "random": RandomOrder(),
}
"""Name of an importance -> what scores by it."""


def samples_for(importance: str, data: Any, loss: Any, batch_size: int = 32) -> Samples | None:
    """Return the samples that a criterion needs; None where it looks at weights alone.

    Args:
        importance: a name in `CRITERIA`.
        data, loss, batch_size: see `checked_samples`.

    Raises:
        InvalidArgumentError: an unknown name, or data that is missing.
        DataError: fewer samples than a batch, or values that are not finite.
    """
    criterion = CRITERIA[_validation.choice("prune_channels", "importance", importance, CRITERIA)]
    if not criterion.needs_data:
        return None
    return checked_samples(importance, data, loss, labels=criterion.needs_labels, batch_size=batch_size)


def scores(
    dependencies: Dependencies,
    importance: str = "l2",
    *,
    samples: Samples | None = None,
    normalization: Normalization = "mean",
    seed: int = 0,
) -> np.ndarray:
    """Return how important each unit is.

    Args:
        dependencies: of the model.
        importance: a name in `CRITERIA`.
        samples: what `samples_for` returned.
        normalization: what the scores of a group are divided by: their `"mean"`, their `"max"`, or `"none"`.
        seed: of `"random"`.

    Returns:
        A score of 0 or more a unit, float64, shape (dependencies.count,).

    Raises:
        InvalidArgumentError: an unknown name, or a criterion that the model has nothing for.
    """
    _validation.choice("prune_channels", "importance", importance, CRITERIA)
    _validation.choice("prune_channels", "normalization", normalization, ("mean", "max", "none"))
    criterion = RandomOrder(seed) if importance == "random" else CRITERIA[importance]
    found = normalized(dependencies, criterion(dependencies, samples), normalization)
    logger.debug("Scored %d units of %d groups by %s", len(found), len(dependencies.groups), importance)
    return found
