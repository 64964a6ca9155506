"""Dropout of the inputs and the states of a recurrent layer: the same in all steps, another for each gate.

Cells that Keras computes gate by gate, those of ConvLSTM, and of LSTM and GRU where states are dropped, draw
a mask for each gate. Their layers compute all gates at once: in training they are given the batch once for
each mask, one after the other, and of their output `OwnGates` keeps the gates of each mask.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import current_loop
from tfopt.quantization.operators.op_traits import Kind, OpTraits


class _GateDropout(keras.layers.Dropout):
    """Dropout of a batch, once for each gate."""

    tfopt_traits = OpTraits(kind=Kind.SAME_SCALE)

    def __init__(self, rate: float, gates: int = 1, **kwargs: Any) -> None:
        super().__init__(rate, **kwargs)
        self.gates = gates

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "gates": self.gates}

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the inputs; in training, those left for each gate, one after the other."""
        if not training:
            return inputs
        return tf.concat([super(_GateDropout, self).call(inputs, True) for _ in range(self.gates)], 0)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> keras.KerasTensor:  # noqa: ARG002
        """Return the shape of the inputs, which is that outside of training."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


@keras.saving.register_keras_serializable(package="tfopt")
class InputDropout(_GateDropout):
    """Drops units of a sequence in training, in each step the same.

    Args:
        rate: the share that is dropped, in [0, 1).
        gates: for how many gates a mask is drawn.
    """


@keras.saving.register_keras_serializable(package="tfopt")
class RecurrentDropout(_GateDropout):
    """Drops units of a state in training, in each step of a recurrence the same.

    Args:
        rate: the share that is dropped, in [0, 1).
        gates: for how many gates a mask is drawn.

    Reference:
        Gal and Ghahramani, 2016, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks
        (arXiv 1512.05287), section 4.1.
    """

    def build(self, input_shape: Any) -> None:
        """Note how large a state is."""
        super().build(input_shape)
        self._size = tuple(input_shape[1:])

    def before_loop(self, training: bool, batch_size: tf.Tensor, **_: Any) -> tf.Tensor | None:
        """Return what the states of all steps are multiplied by: 0 or `1 / (1 - rate)`."""
        if not training:
            return None
        ones = tf.ones([batch_size * self.gates, *self._size], self.compute_dtype)
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
        return tf.concat([inputs] * self.gates, 0) * loop.prepared[id(self)]


@keras.saving.register_keras_serializable(package="tfopt")
class OwnGates(keras.layers.Layer):
    """Keeps of each part of a batch, in training, the gate that its mask was for.

    Args:
        masks: how many parts the batch has.
        first: the first of the masks whose gates the last axis has, in their order.
        gates: how many gates that are; None for all.
    """

    tfopt_traits = OpTraits(kind=Kind.SAME_SCALE)

    def __init__(self, masks: int, first: int = 0, gates: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.masks, self.first = masks, first
        self.gates = masks if gates is None else gates

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return the gates of one batch; the inputs outside of training."""
        if not training:
            return inputs
        parts = tf.split(inputs, self.masks, 0)[self.first : self.first + self.gates]
        return tf.concat([tf.split(x, self.gates, -1)[gate] for gate, x in enumerate(parts)], -1)

    def compute_output_spec(self, inputs: Any, training: bool = False) -> keras.KerasTensor:  # noqa: ARG002
        """Return the shape and the dtype of the inputs."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "masks": self.masks, "first": self.first, "gates": self.gates}
