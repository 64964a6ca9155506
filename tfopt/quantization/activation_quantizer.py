"""Layers that put activations on the integer grid."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.quantization import fake_quantize


@keras.saving.register_keras_serializable(package="tfopt")
class ActivationQuantizer(keras.layers.Layer):
    """Quantizes its input in the range that it has seen, as a moving average over batches.

    The first `1 / (1 - momentum)` batches are averaged with equal weights and the following ones
    exponentially, so that the range fits from the first step on. It moves in training and while
    `calibrate` runs. Before any data, the input passes unchanged.

    Args:
        momentum: the weight of the past in the moving average, in [0, 1).
    """

    tfopt_quantizer = True

    def __init__(self, momentum: float = 0.99, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"  # ranges in half precision would move the grid
        super().__init__(autocast=False, **kwargs)
        self.momentum = momentum
        self.observing = False

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 (Keras's signature)
        """Create the range and the count of batches seen."""

        def scalar(name: str) -> keras.Variable:
            # Replicas see different parts of a batch; they must go on with one range.
            return self.add_weight(
                name=name, shape=(), initializer="zeros", trainable=False, aggregation="mean"
            )

        self.minimum, self.maximum, self.batches = scalar("minimum"), scalar("maximum"), scalar("batches")

    def call(self, inputs: tf.Tensor, training: bool | None = None, averaged: bool = False) -> tf.Tensor:
        """Return the quantized input, in the input's own dtype.

        Args:
            inputs: of any shape and floating dtype.
            training: whether the range moves.
            averaged: whether the input is a mean of values in this range, which LiteRT rounds otherwise.
        """
        x = tf.cast(inputs, tf.float32)
        if self.observing:
            self._observe(x)
            return inputs
        if training:
            self._observe(x)
            quantized = self._quantize(x, averaged)
        else:
            quantized = tf.cond(self.batches.value > 0, lambda: self._quantize(x, averaged), lambda: x)
        return tf.cast(quantized, inputs.dtype)

    def _observe(self, x: tf.Tensor) -> None:
        seen = self.batches.value
        past = tf.minimum(self.momentum, seen / (seen + 1.0))
        for variable, now in ((self.minimum, tf.reduce_min(x)), (self.maximum, tf.reduce_max(x))):
            # A batch that overflowed is skipped by loss scaling; it must not ruin the range.
            now = tf.where(tf.math.is_finite(now), now, variable.value)
            variable.assign(past * variable.value + (1.0 - past) * tf.stop_gradient(now))
        self.batches.assign(seen + 1.0)

    def _quantize(self, x: tf.Tensor, averaged: bool) -> tf.Tensor:
        low, high = fake_quantize.holding_zero(self.minimum.value, self.maximum.value)
        x = fake_quantize.away_from_zero(x, low, high) if averaged else x
        return fake_quantize.activations(x, low, high)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def lower(self) -> FixedQuantizer:
        """Return the quantizer with the range that was seen.

        Raises:
            InvalidArgumentError: no data was seen, so there is no range.
        """
        if not self.built or float(self.batches.numpy()) == 0:
            raise InvalidArgumentError(
                f"The quantizer {self.name!r} has seen no data, so it has no range: train the model, or call "
                "tfopt.quantization.calibrate(model, representative_dataset)."
            )
        low, high = fake_quantize.holding_zero(self.minimum.value, self.maximum.value)
        return FixedQuantizer(float(low), float(high), name=self.name)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "momentum": self.momentum}


@keras.saving.register_keras_serializable(package="tfopt")
class FixedQuantizer(keras.layers.Layer):
    """Quantizes its input in a range that is known beforehand.

    Args:
        minimum, maximum: the range; it must hold zero.
        inference_only: whether training passes the input unchanged. For a model's output
            probabilities: one that is rounded to 0 has an infinite loss and no gradient.
    """

    tfopt_quantizer = True

    def __init__(self, minimum: float, maximum: float, inference_only: bool = False, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        self.minimum = minimum
        self.maximum = maximum
        self.inference_only = inference_only

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        averaged: bool = False,  # noqa: ARG002 (a lowered ActivationQuantizer is called as that was)
    ) -> tf.Tensor:
        """Return the quantized input, in the input's own dtype."""
        if training and self.inference_only:
            return inputs
        quantized = fake_quantize.activations(tf.cast(inputs, tf.float32), self.minimum, self.maximum)
        return tf.cast(quantized, inputs.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "minimum": self.minimum,
            "maximum": self.maximum,
            "inference_only": self.inference_only,
        }
