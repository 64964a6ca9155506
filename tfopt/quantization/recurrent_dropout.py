"""Dropout of the states of a recurrent layer."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import current_loop
from tfopt.quantization.operations import Kind


@keras.saving.register_keras_serializable(package="tfopt")
class RecurrentDropout(keras.layers.Dropout):
    """Drops units of a state in training, in each step of a recurrence the same.

    Args:
        rate: the share that is dropped, in [0, 1).

    Reference:
        Gal and Ghahramani, 2016, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks
        (arXiv 1512.05287), section 4.1.
    """

    tfopt_kind = Kind.SAME_SCALE

    def build(self, input_shape: Any) -> None:
        """Note how large a state is."""
        super().build(input_shape)
        self._size = tuple(input_shape[1:])

    def before_loop(self, training: bool, batch_size: tf.Tensor, **_: Any) -> tf.Tensor | None:
        """Return what the states of all steps are multiplied by: 0 or `1 / (1 - rate)`."""
        if not training:
            return None
        ones = tf.ones([batch_size, *self._size], self.compute_dtype)
        return keras.random.dropout(ones, self.rate, seed=self.seed_generator)

    @property
    def moving_variables(self) -> list[keras.Variable]:
        """What a call in a loop changes: nothing, for the seed moves before it."""
        return []

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the state, with units dropped in training."""
        loop = current_loop()
        if not training or loop is None:
            return super().call(inputs, training=training)
        return inputs * loop.prepared[id(self)]
