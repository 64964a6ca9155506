"""Where a model passes from integers to floats, and back: what the exporter must keep apart.

TensorFlow's converter computes in integers whatever has an integer kernel and stands after a quantized
tensor, asked or not, and carries scales over to it. The boundaries of a part that stays in float are layers
for that reason: identities in training, and in the graph for the converter something that no scale passes.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

BOUNDARY_SUFFIX = ".boundary"
"""What the name of a boundary ends in, after the name of the layer in float."""
MARK = b"tfopt: integers end here"
"""What a boundary in a TensorFlow graph says of itself."""


@keras.saving.register_keras_serializable(package="tfopt")
class FloatBoundary(keras.layers.Layer):
    """Returns what it is given: stands between a layer in float and its quantized neighbours."""

    tfopt_identity = True
    """Tells `tfopt.graph.evaluate` that the layer makes no tensor of its own."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inputs."""
        return tf.identity(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return input_shape

    def compute_output_spec(self, inputs: keras.KerasTensor, **_: Any) -> keras.KerasTensor:
        """Return the input's shape and dtype."""
        return keras.KerasTensor(inputs.shape, dtype=inputs.dtype)

    def lower(self) -> MarkedBoundary:
        """Return the layer that the exporter finds in the graph."""
        return MarkedBoundary(name=self.name)


class MarkedBoundary(FloatBoundary):
    """A boundary that can be told from other operations in a TensorFlow graph."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inputs."""
        return tf.raw_ops.PreventGradient(input=inputs, message=MARK)
