"""By how much the loss would change, to first order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfopt.channels.groups import Dependencies, Slice
from tfopt.channels.importance.per_unit import other_axes, weight_slices
from tfopt.channels.importance.samples import Samples


@dataclass(frozen=True)
class Taylor:
    """The squared change of the loss that a linear model of it predicts for removing a unit.

    Molchanov et al., Importance estimation for neural network pruning, CVPR 2019, arXiv 1906.10771: weight
    times gradient, summed over the weights of the unit in one slice (which is the gradient of a gate on the
    channel there), squared, averaged over batches (equation 8 for a gate), and summed over slices.
    """

    needs_data: ClassVar[bool] = True
    needs_labels: ClassVar[bool] = True

    def __call__(self, dependencies: Dependencies, samples: Samples | None) -> np.ndarray:
        """Return the importance of each unit."""
        assert samples is not None
        changes = _squared_changes(dependencies, samples.loss)
        batches = [changes(x, y).numpy() for x, y in samples.batches()]
        return np.mean(batches, axis=0)


def _squared_changes(dependencies: Dependencies, loss: Any) -> Callable[[Any, Any], tf.Tensor]:
    """Return a function of a batch that returns what `Taylor` averages."""
    parts = weight_slices(dependencies)
    variables = list({id(part.variable): part.variable for part in parts}.values())
    # Another model on the same layers: that of the dependencies stays as it is compiled.
    model = keras.Model(dependencies.model.input, dependencies.model.output)
    model.compile(loss=loss)

    @tf.function
    def changes(x: Any, y: Any) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            value = model.compute_loss(x=x, y=y, y_pred=model(x, training=False), training=False)
        found = tape.gradient(value, [variable.value for variable in variables])
        gradients = {id(variable): each for variable, each in zip(variables, found, strict=True)}
        total = tf.zeros(dependencies.count)
        for part in parts:
            gradient = gradients[id(part.variable)]
            if gradient is not None:
                product = tf.convert_to_tensor(gradient) * part.variable.value
                total += tf.square(_by_unit(part, tf.cast(product, tf.float32), dependencies.count))
        return total

    return changes


def _by_unit(part: Slice, values: tf.Tensor, count: int) -> tf.Tensor:
    """Return the sum of the values of each unit in a slice; those of what always stays are left out."""
    along = tf.reduce_sum(values, axis=other_axes(part))
    return tf.math.unsorted_segment_sum(along, part.units.astype(np.int32), count)  # below 0: left out
