"""By how much batch normalizations scale a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import keras
import numpy as np

from tfopt import graph
from tfopt.channels.groups import Dependencies, Slice
from tfopt.channels.importance.fallback import filled_by_norms
from tfopt.channels.importance.per_unit import summed
from tfopt.channels.importance.samples import Samples
from tfopt.errors import InvalidArgumentError


@dataclass(frozen=True)
class BatchNormScale:
    """The sum of |gamma| over the batch normalizations of a unit.

    Liu et al., Learning efficient convolutional networks through network slimming, ICCV 2017, arXiv
    1708.06519. Groups that no batch normalization scales are scored by the L2 norm of their weights, and the
    log names them.

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
        if not scaled.any():
            raise InvalidArgumentError(
                f"prune_channels: importance='batch_norm' finds no BatchNormalization with a scale next to "
                f"any channel of the model {dependencies.model.name!r}: take a criterion that every model "
                'has, such as importance="l2".'
            )
        scores = summed(dependencies, parts, np.abs)
        return filled_by_norms(dependencies, scores, scaled, "no batch normalization scales them")


def _gammas(dependencies: Dependencies) -> list[Slice]:
    scales = {
        id(layer.gamma)
        for _, layer in graph.layers(dependencies.model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale
    }
    return [part for part in dependencies.slices if id(part.variable) in scales]
