"""Quantization that is still to begin: a switch that a traced training step sees."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


class QuantizationDelay:
    """Says whether quantizers quantize in training. At inference they always do.

    Args:
        variable: a scalar, 1 where they do and 0 where values pass as they are. No model saves it.
    """

    def __init__(self, variable: keras.Variable) -> None:
        self.variable = variable

    def __deepcopy__(self, memo: dict) -> QuantizationDelay:
        return self

    def end(self) -> None:
        """Let the quantizers quantize from now on."""
        self.variable.assign(1.0)


def delayed(delay: QuantizationDelay | None, x: tf.Tensor, quantized: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Return `quantized()`, or `x` until `delay` has ended. Without a delay nothing is spent on it."""
    if delay is None:
        return quantized()
    return tf.cond(delay.variable.value > 0, quantized, lambda: x)
