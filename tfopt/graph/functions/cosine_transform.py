"""The modified discrete cosine transform of frames, as a product with its matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfopt")
class CosineTransform(keras.layers.Layer):
    """Transforms frames `(..., length)` of a sound to `(..., length // 2)`, in float.

    Args:
        window: what each value of a frame is multiplied by, `length` numbers; None as TensorFlow has it.
        length: of a frame, a multiple of 4.
        norm: None or `"ortho"`.

    Reference:
        Princen, Johnson and Bradley, 1987, Subband/Transform coding using filter bank designs based on time
        domain aliasing cancellation.
    """

    def __init__(self, length: int, window: Sequence[float] | None, norm: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length, self.norm = length, norm
        self.window = None if window is None else [float(value) for value in window]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the transform."""

        def window_fn(_: Any, dtype: Any) -> tf.Tensor:
            return tf.constant(self.window, dtype)

        with tf.init_scope():
            unit = tf.eye(self.length, dtype=tf.float32)
            matrix = tf.signal.mdct(
                unit, self.length, None if self.window is None else window_fn, norm=self.norm
            )
        return keras.ops.matmul(inputs, tf.cast(matrix[:, 0], inputs.dtype))

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:
        """Return the shape and the dtype of the transform."""
        return keras.KerasTensor((*inputs.shape[:-1], self.length // 2), inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "length": self.length, "window": self.window, "norm": self.norm}
