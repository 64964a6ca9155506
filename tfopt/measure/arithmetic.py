"""How much arithmetic one inference costs."""

from __future__ import annotations

import math

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import kernels_of

# Where each weight is used once for every position of the input; elsewhere, of the output.
_BY_INPUT = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)

# A lookup multiplies nothing.
_FREE = (keras.layers.Embedding,)


def macs(model: keras.Model) -> int:
    """Return the multiply-accumulates of the layers with kernels, for one sample.

    Counted densely, whatever is zero: dense and einsum layers, convolutions of every kind. A shared
    layer counts once for each call. Biases, activations, normalization, pooling and operations without
    weights count as 0, and so does padding's saving at the borders (as is usual). What a quantization-aware
    model adds to its loss is not counted.

    Raises:
        InvalidArgumentError: a size other than the batch's is unknown.
        UnsupportedModel: the model is subclassed.
    """
    graph.require_functional(model)
    return sum(_macs(node) for node in graph.nodes(graph.without_losses(model)))


def _macs(node: graph.Node) -> int:
    if not isinstance(node.operation, keras.Layer) or isinstance(node.operation, _FREE):
        return 0
    if getattr(node.operation, "tfopt_bridge", False):
        return macs(node.operation.source())
    kernels = kernels_of(node.path, node.operation)
    if not kernels:
        return 0
    layer = kernels[0].layer
    tensor = node.inputs[0] if isinstance(layer, _BY_INPUT) else node.outputs[0]
    return _positions(node.path, layer, tensor) * sum(math.prod(kernel.variable.shape) for kernel in kernels)


def _positions(path: str, layer: keras.Layer, tensor: keras.KerasTensor) -> int:
    """Return at how many places of `tensor` the kernel is used, batch aside."""
    if isinstance(layer, keras.layers.EinsumDense):
        axes = _einsum_axes(layer, len(tensor.shape))
    elif getattr(layer, "data_format", "channels_last") == "channels_first":
        axes = list(range(2, len(tensor.shape)))
    else:
        axes = list(range(1, len(tensor.shape) - 1))
    sizes = [tensor.shape[axis] for axis in axes]
    if None in sizes:
        raise InvalidArgumentError(
            f"The multiply-accumulates of {path!r} depend on a size that the model leaves open: its tensor "
            f"has the shape {tuple(tensor.shape)}. Build the model with a fixed input shape."
        )
    return math.prod(sizes)


def _einsum_axes(layer: keras.layers.EinsumDense, rank: int) -> list[int]:
    """Return the output's axes that the kernel of an EinsumDense does not have, the batch's left out."""
    operands, output = layer.equation.replace(" ", "").split("->")
    kernel = operands.split(",")[1]
    before, _, after = output.partition("...")
    labels = before + "." * (rank - len(before) - len(after)) + after
    return [axis for axis, label in enumerate(labels) if label not in kernel and axis > 0]
