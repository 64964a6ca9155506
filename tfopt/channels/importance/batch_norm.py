"""By how much batch normalizations scale a unit."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np

from tfopt import graph
from tfopt.channels.groups import Dependencies, Slice
from tfopt.channels.importance.magnitude import Magnitude
from tfopt.channels.importance.normalize import normalized
from tfopt.channels.importance.per_unit import summed
from tfopt.channels.importance.samples import Samples
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchNormScale:
    """The sum of |gamma| over the batch normalizations of a unit.

    Liu et al., Learning efficient convolutional networks through network slimming, ICCV 2017, arXiv
    1708.06519. Groups that no batch normalization scales are scored by the L2 norm of their weights, and the
    log names them. In both kinds of groups scores are divided by their mean, so that they can be compared.

    Raises:
        InvalidArgumentError: no group has a batch normalization with a scale.
    """

    needs_data: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False

    def __call__(self, dependencies: Dependencies, samples: Samples | None = None) -> np.ndarray:  # noqa: ARG002
        """Return the scale of each unit."""
        parts = _gammas(dependencies)
        scaled = np.zeros(dependencies.count, bool)
        for part in parts:
            scaled[part.units[part.units >= 0]] = True
        without = [group for group in dependencies.groups if not scaled[group.units].all()]
        if len(without) == len(dependencies.groups):
            raise InvalidArgumentError(
                f"prune_channels: importance='batch_norm' finds no BatchNormalization with a scale next to "
                f"any channel of the model {dependencies.model.name!r}: take a criterion that every model "
                'has, such as importance="l2".'
            )
        scores = normalized(dependencies, summed(dependencies, parts, np.abs), "mean")
        if without:
            logger.info(
                "Scored by the L2 norm, for no batch normalization scales them: %s",
                ", ".join(group.name for group in without),
            )
            norms = normalized(dependencies, Magnitude(2)(dependencies), "mean")
            for group in without:
                scores[group.units] = norms[group.units]
        return scores


def _gammas(dependencies: Dependencies) -> list[Slice]:
    scales = {
        id(layer.gamma)
        for _, layer in graph.layers(dependencies.model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale
    }
    return [part for part in dependencies.slices if id(part.variable) in scales]
