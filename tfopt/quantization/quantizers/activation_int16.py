"""The layer that puts activations on the grid of 16-bit integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.quantizers import activation_limits, fake_quantize
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer

NUM_BITS = 16


@keras.saving.register_keras_serializable(package="tfopt")
class WideQuantizer(ActivationQuantizer):
    """Quantizes its input to 16 bits, symmetrically, in the range that it has seen.

    Args:
        momentum, observer, tensors: see `ActivationQuantizer`.

    Reference:
        TensorFlow Lite's quantization with 16-bit activations and 8-bit weights: activations symmetric, from
        -32768 to 32767, zero point 0.
    """

    num_bits = NUM_BITS

    def __init__(
        self, momentum: float = 0.99, observer: str = "moving_average", tensors: int = 1, **kwargs: Any
    ) -> None:
        super().__init__(momentum, observer, symmetric=True, tensors=tensors, **kwargs)
        self._limits_of = activation_limits.symmetric_of_16_bits

    def _quantize(
        self,
        x: tf.Tensor,
        grid: tuple[tf.Tensor, tf.Tensor],
        averaged: bool,  # noqa: ARG002 (where a mean is a half matters a hundredth as much as in 8 bits)
        factors: Sequence[Sequence[float]] | None,  # noqa: ARG002
    ) -> tf.Tensor:
        return fake_quantize.activations(x, *grid, NUM_BITS)

    def lower(self) -> FixedQuantizer:
        """Return the quantizer with the range that was seen; see `ActivationQuantizer.lower`."""
        found = super().lower()
        found.num_bits = NUM_BITS
        return found

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        config = super().get_config()
        for name in ("activation_range", "symmetric", "nonnegative", "requantizes"):
            del config[name]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WideQuantizer:
        """Return the quantizer that `get_config` described."""
        return cls(**config)
