"""Where a model passes from integers to floats, and back: what the exporter must keep apart.

TensorFlow's converter computes in integers whatever has an integer kernel and stands after a quantized
tensor, asked or not, and carries scales over to it. The boundaries of a part that stays in float are layers
for that reason: identities in training, and in the graph for the converter something that no scale passes.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import Node
from tfopt.quantization.operators.traits import Kind

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


class FloatBoundaries:
    """Puts the boundaries around the operations of a model that stay in float."""

    def __init__(self) -> None:
        self._layers: dict[str, FloatBoundary] = {}
        self._floats: dict[int, keras.KerasTensor] = {}
        self._inside: dict[int, keras.KerasTensor] = {}

    def into(self, node: Node, chosen: Kind, arguments: Any, *, always: bool = False) -> Any:
        """Return what an operation is called with, with a boundary before each quantized tensor.

        Args:
            node: of the operation.
            chosen: its kind in the plan.
            arguments: a structure with the new model's tensors.
            always: whether a boundary stands before tensors in float too.
        """
        if always:
            return keras.tree.map_structure(lambda value: self._inside_of(node, value), arguments)
        if not _is_bounded(node, chosen):
            return arguments
        return keras.tree.map_structure(lambda value: self._entered(node, value), arguments)

    def out_of(self, node: Node, chosen: Kind, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Return what a quantizer is given of an operation's output."""
        return self._crossed(node, tensor) if _is_bounded(node, chosen) else tensor

    def between(self, node: Node, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Return a quantized tensor that is going to be rounded to another scale, to be read by `node`.

        Of two roundings in a row the converter would leave out one.
        """
        return self._crossed(node, tensor)

    def left_in_float(self, tensor: keras.KerasTensor) -> None:
        """Note that a tensor of the new model is not quantized."""
        self._floats[id(tensor)] = tensor

    def _entered(self, node: Node, value: Any) -> Any:
        return value if id(value) in self._floats else self._inside_of(node, value)

    def _inside_of(self, node: Node, value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in self._inside:
            self._inside[id(value)] = self._crossed(node, value)
        return self._inside[id(value)]

    def _crossed(self, node: Node, tensor: keras.KerasTensor) -> keras.KerasTensor:
        if not keras.backend.is_float_dtype(tensor.dtype):
            return tensor
        name = node.path.replace("/", ".") + BOUNDARY_SUFFIX
        layer = self._layers.setdefault(name, FloatBoundary(name=name))
        return layer(tensor)


def _is_bounded(node: Node, chosen: Kind) -> bool:
    """Return whether an operation makes floats; a comparison may be of integers."""
    return chosen is Kind.FLOAT and any(keras.backend.is_float_dtype(x.dtype) for x in node.outputs)
