"""Quantization that is still to begin: a switch that a traced training step sees."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf


class Gate:
    """Says whether quantizers quantize in training. At inference they always do.

    Args:
        variable: a scalar, 1 where they do and 0 where values pass as they are. No model saves it.
    """

    def __init__(self, variable: keras.Variable) -> None:
        self.variable = variable

    def __deepcopy__(self, memo: dict) -> Gate:
        return self

    def open(self) -> None:
        """Let the quantizers quantize from now on."""
        self.variable.assign(1.0)


def gated(gate: Gate | None, x: tf.Tensor, quantized: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Return `quantized()`, or `x` while `gate` is closed. Without a gate nothing is spent on it."""
    if gate is None:
        return quantized()
    return tf.cond(gate.variable.value > 0, quantized, lambda: x)
