"""Which weights a call of a layer multiplies by, and at how many positions."""

from __future__ import annotations

import dataclasses
import math

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import kernels_of

# Where each weight is used once for every position of the input; elsewhere, of the output.
_BY_INPUT = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)

# A lookup multiplies nothing.
_FREE = (keras.layers.Embedding,)


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """What one call multiplies by one kernel.

    Attributes:
        path: of the call.
        kernel: each of its weights is used once for every position.
        positions: tensor and axis, whose sizes multiplied are how many positions there are.
    """

    path: str
    kernel: keras.Variable
    positions: tuple[tuple[keras.KerasTensor, int], ...]

    def macs(self) -> int:
        """Return the multiply-accumulates for one sample.

        Raises:
            InvalidArgumentError: a size is unknown.
        """
        return math.prod(size_of(self.path, *each) for each in self.positions) * math.prod(self.kernel.shape)


def size_of(path: str, tensor: keras.KerasTensor, axis: int) -> int:
    """Return the size of a tensor along an axis.

    Raises:
        InvalidArgumentError: it is unknown.
    """
    size = tensor.shape[axis]
    if size is None:
        raise InvalidArgumentError(
            f"The multiply-accumulates of {path!r} depend on a size that the model leaves open: its tensor "
            f"has the shape {tuple(tensor.shape)}. Build the model with a fixed input shape."
        )
    return int(size)


def products_of(node: graph.Node) -> list[Product]:
    """Return what a call multiplies by its kernels, batch aside; nothing for what has none."""
    if not isinstance(node.operation, keras.Layer) or isinstance(node.operation, _FREE):
        return []
    kernels = kernels_of(node.path, node.operation)
    if not kernels:
        return []
    layer = kernels[0].layer
    tensor = node.inputs[0] if isinstance(layer, _BY_INPUT) else node.outputs[0]
    positions = tuple((tensor, axis) for axis in _axes(layer, len(tensor.shape)))
    return [Product(node.path, kernel.variable, positions) for kernel in kernels]


def _axes(layer: keras.Layer, rank: int) -> list[int]:
    """Return the axes of the tensor that a kernel is used along, the batch's left out."""
    if isinstance(layer, keras.layers.EinsumDense):
        return _einsum_axes(layer, rank)
    if getattr(layer, "data_format", "channels_last") == "channels_first":
        return list(range(2, rank))
    return list(range(1, rank - 1))


def _einsum_axes(layer: keras.layers.EinsumDense, rank: int) -> list[int]:
    """Return the output's axes that the kernel of an EinsumDense does not have, the batch's left out."""
    operands, output = layer.equation.replace(" ", "").split("->")
    kernel = operands.split(",")[1]
    before, _, after = output.partition("...")
    labels = before + "." * (rank - len(before) - len(after)) + after
    return [axis for axis, label in enumerate(labels) if label not in kernel and axis > 0]
