"""Activation functions that the two Kerases name or compute differently."""

from __future__ import annotations

from typing import Any

import keras

SAME = {
    "elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6", "selu",
    "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh",
}  # fmt: skip
"""Names that mean the same function in both."""


@keras.saving.register_keras_serializable(package="tfopt")
def hard_sigmoid_of_keras_2(x: Any) -> Any:
    """Return `clip(0.2 x + 0.5, 0, 1)`: what Keras 1 and 2 call `hard_sigmoid`.

    Keras 3's is `relu6(x + 3) / 6`, which differs from it by up to 0.083.
    """
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)
