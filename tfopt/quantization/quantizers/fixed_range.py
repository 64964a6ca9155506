"""The layer that puts activations on the integer grid, in a range that is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.quantizers import fake_quantize
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay, delayed
from tfopt.quantization.quantizers.names import with_requantizes


@keras.saving.register_keras_serializable(package="tfopt")
class FixedQuantizer(keras.layers.Layer):
    """Quantizes its input in a range that is known beforehand.

    Args:
        minimum, maximum: the range; it must hold zero.
        num_bits: 8 or 16.
        inference_only: whether training passes the input unchanged. For a model's output
            probabilities: one that is rounded to 0 has an infinite loss and no gradient.
        requantizes: see `ActivationQuantizer`.
    """

    tfopt_quantizer = True
    delay: QuantizationDelay | None = None

    def __init__(
        self,
        minimum: float,
        maximum: float,
        inference_only: bool = False,
        num_bits: int = fake_quantize.NUM_BITS,
        requantizes: str | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        self.minimum = minimum
        self.maximum = maximum
        self.inference_only = inference_only
        self.num_bits = num_bits
        self.requantizes = requantizes

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        averaged: bool = False,  # noqa: ARG002 (a lowered ActivationQuantizer is called as that was)
        tensor: int | None = 0,  # noqa: ARG002
        factors: Sequence[Sequence[float]] | None = None,  # noqa: ARG002
    ) -> tf.Tensor:
        """Return the quantized input, in the input's own dtype."""
        if training and self.inference_only:
            return inputs
        x = tf.cast(inputs, tf.float32)
        quantized = delayed(
            self.delay if training else None,
            x,
            lambda: fake_quantize.activations(x, self.minimum, self.maximum, self.num_bits),
        )
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
            "num_bits": self.num_bits,
            "requantizes": self.requantizes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FixedQuantizer:
        """Return the quantizer that `get_config` described, also in files without `requantizes`."""
        return super().from_config(with_requantizes(config))
