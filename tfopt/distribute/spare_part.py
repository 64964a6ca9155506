"""What a replica without samples works on: a spare part of a batch, which counts for nothing.

The last batch of an epoch may leave replicas without a sample (9 samples on 8 replicas are parts of 2, 2, 2,
2, 1, 0, 0 and 0). Statistics of no samples are NaN, which batch normalization would carry into the weights of
all replicas; and on CPUs with oneDNN, TensorFlow 2.21 cannot compute a convolution of no samples. So such a
replica takes the first part of the first batch instead. Its loss has the weight 0 (`_replica_share`), and its
metrics are put back; moving statistics of layers are those of real samples.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt._replica_share import samples_in
from tfopt.errors import InvalidArgumentError


class SparePart:
    """The first replica's part of the first batch that this process has seen of a dataset."""

    def __init__(self) -> None:
        self._part: Any = None

    def remember(self, part: Any) -> None:
        """Keep the part of a batch, tensors with axis 0 for samples."""
        self._part = part

    def for_training(self, step: Callable[[Any], Any], model: keras.Model) -> Callable[[Any], Any]:
        """Return `train_step` that works on the spare part where a replica has no samples.

        Raises:
            InvalidArgumentError: this process has no sample of the first batch.
        """
        if self._part is not None and int(samples_in(self._part)) == 0:
            raise InvalidArgumentError(
                "The first batch has no sample for the devices of this process: "
                f"{model.distribute_strategy.num_replicas_in_sync} devices share its samples. Give at least "
                "as many samples as there are devices, a larger batch_size, or take fewer devices."
            )
        return self.for_evaluation(step, model)

    def for_evaluation(self, step: Callable[[Any], Any], model: keras.Model) -> Callable[[Any], Any]:
        """Return `test_step` that works on the spare part where a replica has no samples."""
        if self._part is None:
            return step
        spare = _not_empty(self._part)

        @functools.wraps(step)
        def filled(batch: Any) -> Any:
            if tf.get_static_value(samples_in(batch)):
                return step(batch)
            empty = tf.equal(samples_in(batch), 0)
            metrics = model.metrics_variables
            before = [tf.identity(variable.value) for variable in metrics]
            outputs = step(tf.cond(empty, lambda: spare, lambda: batch))
            for variable, value in zip(metrics, before, strict=True):
                variable.assign(tf.where(empty, value, variable.value))
            return outputs

        return filled


def _not_empty(part: Any) -> Any:
    """Return a part, or one sample of zeros where it has none: an evaluation of it is not counted."""
    if int(samples_in(part)):
        return part
    return keras.tree.map_structure(lambda a: tf.zeros((1, *a.shape[1:]), a.dtype), part)
