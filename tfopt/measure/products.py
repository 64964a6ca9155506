"""Which weights a call of a layer multiplies by, and at how many positions."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import TypeAlias

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.measure.kernels import kernels_of

# Where each weight is used once for every position of the input; elsewhere, of the output.
_BY_INPUT = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)

# A lookup multiplies nothing.
_FREE = (keras.layers.Embedding,)


_ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)

Positions: TypeAlias = tuple[tuple[keras.KerasTensor, int], ...]
"""Tensor and axis, whose sizes multiplied are how many positions there are."""


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """What one call multiplies by one kernel.

    Attributes:
        path: of the call.
        kernel: each of its weights is used once for every position.
        positions: where, batch aside.
    """

    path: str
    kernel: keras.Variable
    positions: Positions

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
    """Return what a call multiplies by its kernels, batch aside; nothing for what has none.

    Kernels of recurrent layers are used at each time step, those of attention at each position of the query,
    the key or the value that it projects.
    """
    if not isinstance(node.operation, keras.Layer):
        return []
    return _products(node.path, graph.unwrapped(node.operation), node, ())


def _products(path: str, layer: keras.Layer, node: graph.Node, outer: Positions) -> list[Product]:
    """Return the products of a layer that a call runs at each of the `outer` positions."""
    if isinstance(layer, _FREE):
        return []
    if isinstance(layer, keras.layers.Bidirectional):
        both = (layer.forward_layer, layer.backward_layer)
        return [each for one in both for each in _recurrent(path, one, node)]
    if isinstance(layer, keras.layers.RNN):
        return _recurrent(path, layer, node)
    if isinstance(layer, keras.layers.TimeDistributed):
        return _products(path, layer.layer, node, ((node.outputs[0], 1),))
    if isinstance(layer, _ATTENTION):
        return _attention(path, layer, node)
    kernels = kernels_of(path, layer)
    if not kernels:
        return []
    owner = kernels[0].layer
    tensor = node.inputs[0] if isinstance(owner, _BY_INPUT) else node.outputs[0]
    axes = _axes(owner, len(tensor.shape) - len(outer))
    positions = tuple((tensor, axis + len(outer)) for axis in axes)
    return [Product(path, kernel.variable, (*outer, *positions)) for kernel in kernels]


def _recurrent(path: str, layer: keras.layers.RNN, node: graph.Node) -> list[Product]:
    """Return the products of the cells of a recurrent layer; a convolution has the output's pixels."""
    positions: Positions = ((node.inputs[0], 1),)
    output = node.outputs[0]
    first = 2 if layer.return_sequences else 1
    channels_first = getattr(layer.cell, "data_format", None) == "channels_first"
    pixels = range(first + 1, len(output.shape)) if channels_first else range(first, len(output.shape) - 1)
    positions += tuple((output, axis) for axis in pixels)
    cells = getattr(layer.cell, "cells", [layer.cell])
    return [Product(path, kernel.variable, positions) for cell in cells for kernel in kernels_of(path, cell)]


def _attention(path: str, layer: keras.Layer, node: graph.Node) -> list[Product]:
    given = inspect.signature(layer.call).bind(*node.args, **node.kwargs).arguments
    query, value = given["query"], given["value"]
    key = given["key"] if given.get("key") is not None else value
    read = {"query": query, "attention_output": query, "key": key, "value": value}
    return [
        Product(path, kernel.variable, tuple((read[inner.name], axis) for axis in _pixels(read[inner.name])))
        for inner in graph.inner_layers(layer)
        if inner.name in read
        for kernel in kernels_of(path, inner)
    ]


def _pixels(tensor: keras.KerasTensor) -> range:
    return range(1, len(tensor.shape) - 1)


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
