"""How large the activations of a unit are on data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt import graph
from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.fallback import filled_by_norms
from tfopt.channels.importance.samples import Samples

_Read: TypeAlias = tuple[keras.KerasTensor, int, np.ndarray]
"""A tensor, one of its axes, and the unit of each position along it."""


@dataclass(frozen=True)
class Activation:
    """The mean absolute activation of a unit, or the share of its activations that are not zero.

    Activations are those that leave the unit: where they are read by what has other channels, after batch
    normalization and ReLU. Hu et al., Network trimming, 2016, arXiv 1607.03250, count the zeros (APoZ). What
    no tensor between layers holds, as attention heads, is scored by the L2 norm of its weights.

    Args:
        count_zeros: whether the share that is not zero is taken, 1 - APoZ, in place of the mean.
    """

    needs_data: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = False

    count_zeros: bool = False

    def __call__(self, dependencies: Dependencies, samples: Samples | None) -> np.ndarray:
        """Return the mean over samples and positions for each unit, summed over the places that read it."""
        assert samples is not None
        read = _last_tensors(dependencies)
        known = np.zeros(dependencies.count, bool)
        for _, _, units in read:
            known[units[units >= 0]] = True
        total = self._means(dependencies, samples, read) if read else np.zeros(dependencies.count)
        return filled_by_norms(dependencies, total, known, "no tensor holds their activations")

    def _means(self, dependencies: Dependencies, samples: Samples, read: list[_Read]) -> np.ndarray:
        """Return the mean measure of each unit, summed over the tensors in which it is read."""
        model = keras.Model(dependencies.model.input, [tensor for tensor, _, _ in read])
        total, batches = np.zeros(dependencies.count), 0

        @tf.function
        def means(x: tf.Tensor) -> list[tf.Tensor]:
            return [
                tf.reduce_mean(self._measured(values), [i for i in range(len(values.shape)) if i != axis])
                for values, (_, axis, _) in zip(
                    keras.tree.flatten(model(x, training=False)), read, strict=True
                )
            ]

        for x, _ in samples.batches():
            batches += 1
            for values, (_, _, units) in zip(means(x), read, strict=True):
                held = units >= 0
                positions = np.bincount(units[held], minlength=dependencies.count)
                found = np.bincount(units[held], values.numpy()[held], minlength=dependencies.count)
                total += found / np.maximum(positions, 1)
        return total / batches

    def _measured(self, values: tf.Tensor) -> tf.Tensor:
        values = tf.cast(values, tf.float32)
        return tf.cast(values != 0, tf.float32) if self.count_zeros else tf.abs(values)


def _last_tensors(dependencies: Dependencies) -> list[_Read]:
    """Return (tensor, axis, units) wherever an operation reads units that its outputs do not have."""
    found: dict[tuple[int, int], _Read] = {}
    for node in graph.nodes(dependencies.model):
        passed = _units(dependencies, node.outputs)
        for tensor in node.inputs:
            for axis, units in enumerate(dependencies.axes.get(id(tensor), ())):
                if units is not None and not passed & set(units[units >= 0].tolist()):
                    found[id(tensor), axis] = (tensor, axis, np.asarray(units))
    return list(found.values())


def _units(dependencies: Dependencies, tensors: tuple[keras.KerasTensor, ...]) -> set[int]:
    axes = [units for tensor in tensors for units in dependencies.axes.get(id(tensor), ())]
    return {int(unit) for units in axes if units is not None for unit in units[units >= 0]}
