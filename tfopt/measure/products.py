"""What the calls of a model multiply by weights, and at how many positions."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras

from tfopt import graph
from tfopt.errors import UnsupportedModel
from tfopt.measure.kernels import kernels_of
from tfopt.measure.products_in_code import FUNCTIONS, Positions, batch_axis
from tfopt.measure.sizes import Sizes

# Where each weight is used once for every position of the input; elsewhere, of the output.
_BY_INPUT = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)

_ATTENTION = (keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention)

_REVERSIBLE = getattr(keras.layers, "ReversibleEmbedding", ())
"""Since Keras 3.12."""


@dataclasses.dataclass(frozen=True, eq=False)
class Product:
    """What one call multiplies by weights.

    Attributes:
        path: of the call.
        kernel: each of its weights is used once for every position; None where `positions` have all sizes.
        positions: where, batch aside.
        factor: how often that is done for one sample.
    """

    path: str
    kernel: keras.Variable | None
    positions: Positions
    factor: int = 1

    def macs(self, sizes: Sizes) -> int:
        """Return the multiply-accumulates for one sample.

        Raises:
            InvalidArgumentError: a size is unknown.
        """
        weights = 1 if self.kernel is None else math.prod(self.kernel.shape)
        return self.factor * weights * math.prod(sizes.of(self.path, *each) for each in self.positions)


Count: TypeAlias = Callable[[keras.Model], int]
"""Returns the multiply-accumulates of a model."""


def products(nodes: Iterable[graph.Node], sizes: Sizes, count: Count) -> list[Product]:
    """Return what calls multiply by weights, batch aside.

    Kernels of recurrent layers are used at each time step, those of attention at each position of the query,
    the key or the value that it projects. Functions such as `keras.ops.matmul` count where one operand is
    made of weights or constants alone.

    Args:
        nodes: in an order that runs, layers of the user's own decomposed.
        sizes: of their tensors.
        count: counts the inner model of a layer that runs one at each time step.

    Raises:
        UnsupportedModel: what a layer multiplies is not known.
    """
    constant: set[int] = set()
    found: list[Product] = []
    for node in nodes:
        operation = node.operation
        read = set(map(id, node.inputs))
        if isinstance(operation, graph.Constant) or (read and read <= constant):
            constant |= set(map(id, node.outputs))
            continue
        if isinstance(operation, keras.Layer):
            made, first = _products(node.path, graph.unwrapped(operation), node, (), count), True
        else:
            made, first = _of_function(node, constant), batch_axis(node) == 0
        times = sizes.rows(node.outputs[0]) if first else 1
        found += [dataclasses.replace(each, factor=each.factor * times) for each in made]
    return found


def _of_function(node: graph.Node, constant: set[int]) -> list[Product]:
    """Return the products of a call that is no layer's."""
    function = FUNCTIONS.get(type(node.operation).__name__)
    if function is None:
        return []
    return [Product(node.path, None, positions) for positions in function(node, constant)]


def _products(
    path: str, layer: keras.Layer, node: graph.Node, outer: Positions, count: Count
) -> list[Product]:
    """Return the products of a layer that a call runs at each of the `outer` positions."""
    if isinstance(layer, keras.layers.Embedding):
        return _embedding(path, layer, node)
    if isinstance(layer, keras.layers.Bidirectional):
        both = (layer.forward_layer, layer.backward_layer)
        return [each for one in both for each in _recurrent(path, one, node, count)]
    if isinstance(layer, keras.layers.RNN):
        return _recurrent(path, layer, node, count)
    if isinstance(layer, keras.layers.TimeDistributed):
        return _at_each_step(path, layer.layer, node, (*outer, (node.outputs[0], 1 + len(outer))), count)
    if isinstance(layer, keras.layers.SpectralNormalization):
        return _products(path, layer.layer, node, outer, count)
    if isinstance(layer, _ATTENTION):
        return _attention(path, layer, node)
    kernels = kernels_of(path, layer)
    if not kernels:
        _require_known(path, layer)
        return []
    owner = kernels[0].layer
    tensor = node.inputs[0] if isinstance(owner, _BY_INPUT) else node.outputs[0]
    axes = _axes(owner, len(tensor.shape) - len(outer))
    positions = tuple((tensor, axis + len(outer)) for axis in axes)
    return [Product(path, kernel.variable, (*outer, *positions)) for kernel in kernels]


def _require_known(path: str, layer: keras.Layer) -> None:
    """Raise where a layer without known kernels runs code of the user's own that has any."""
    if graph.is_own(layer) and any(len(weight.shape) > 1 for weight in layer.weights):
        raise UnsupportedModel(
            f"What {path!r} ({type(layer).__name__}) multiplies by its weights is not known: its code cannot "
            "be read as operations. Use only layers and keras.ops in its call()."
        )


def _embedding(path: str, layer: keras.Layer, node: graph.Node) -> list[Product]:
    """Return the products of an embedding: none of a lookup, those of all rows where it runs in reverse."""
    if not (isinstance(layer, _REVERSIBLE) and _arguments(layer, node).get("reverse")):
        return []
    table = layer.embeddings if layer.tie_weights else layer.reverse_embeddings
    (tensor,) = node.inputs
    return [Product(path, table, tuple((tensor, axis) for axis in _pixels(tensor)))]


def _at_each_step(
    path: str, layer: keras.Layer, node: graph.Node, outer: Positions, count: Count
) -> list[Product]:
    """Return the products of what a call runs at each of the `outer` positions: a layer, or a model."""
    if not (graph.is_functional(layer) or graph.has_code(layer)):
        return _products(path, layer, node, outer, count)
    model = layer
    if not graph.is_functional(layer):
        tensor = node.inputs[0]
        inputs = keras.Input(batch_shape=(None, *tensor.shape[1 + len(outer) :]), dtype=tensor.dtype)
        model = keras.Model(inputs, layer(inputs))
    return [Product(path, None, outer, count(model))]


def _recurrent(path: str, layer: keras.layers.RNN, node: graph.Node, count: Count) -> list[Product]:
    """Return the products of the cells of a recurrent layer; a convolution has the output's pixels."""
    positions: Positions = ((node.inputs[0], 1),)
    output = node.outputs[0]
    first = 2 if layer.return_sequences else 1
    channels_first = getattr(layer.cell, "data_format", None) == "channels_first"
    pixels = range(first + 1, len(output.shape)) if channels_first else range(first, len(output.shape) - 1)
    cells = getattr(layer.cell, "cells", [layer.cell])
    found = []
    for cell in cells:
        if graph.is_own(cell):
            return [Product(path, None, positions, count(_one_step(layer, node.inputs[0])))]
        at = (*positions, *((output, axis) for axis in pixels))
        found += [Product(path, kernel.variable, at) for kernel in kernels_of(path, cell)]
    return found


def _one_step(layer: keras.layers.RNN, tensor: keras.KerasTensor) -> keras.Model:
    """Return the model of one time step of a recurrent layer that is called with `tensor`."""
    inputs = keras.Input(batch_shape=(None, *tensor.shape[2:]), dtype=tensor.dtype)
    x, given = inputs, [inputs]
    for cell in getattr(layer.cell, "cells", [layer.cell]):
        sizes = keras.tree.flatten(cell.state_size)
        states = [keras.Input((size,), dtype=tensor.dtype) for size in sizes]
        x, _ = cell(x, states)
        given += states
    return keras.Model(given, x)


def _attention(path: str, layer: keras.Layer, node: graph.Node) -> list[Product]:
    given = _arguments(layer, node)
    query, value = given["query"], given["value"]
    key = given["key"] if given.get("key") is not None else value
    read = {"query": query, "attention_output": query, "gate": query, "key": key, "value": value}
    return [
        Product(path, kernel.variable, tuple((read[name], axis) for axis in _pixels(read[name])))
        for name, inner in graph.attention_projections(layer).items()
        for kernel in kernels_of(path, inner)
    ]


def _arguments(layer: keras.Layer, node: graph.Node) -> dict[str, Any]:
    return inspect.signature(layer.call).bind(*node.args, **node.kwargs).arguments


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
