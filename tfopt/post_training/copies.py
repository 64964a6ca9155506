"""Flat float copies of a model to work on, and what was found put into a copy of the model itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.graph import Node


def flat_copy(model: keras.Model) -> keras.Model:
    """Return the inference form of `model` in float32, nested models flattened.

    Raises:
        UnsupportedModel: the model is subclassed, and its code cannot be read.
        InvalidArgumentError: the model is quantization-aware.
    """
    graph.require_built(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"{model.name!r} is quantization-aware: its weights were trained to be rounded. Corrections are "
            "for models in float."
        )
    return graph.lower(graph.as_functional(graph.copy(model, share_variables=True)))


def with_weights_of(model: keras.Model, flat: keras.Model) -> keras.Model:
    """Return a copy of `model`, functional, with the weights of the layers of its flat copy."""
    result = graph.as_functional(graph.copy(model))
    found = {layer.name: layer for layer in flat.layers}
    for path, layer in graph.layers(result):
        source = found.get(path.replace("/", "."))
        if source is not None and layer.weights:
            layer.set_weights(source.get_weights())
    return result


def uses(model: keras.Model) -> Counter[int]:
    """Return `id` of a tensor -> how often it is read; being an output of the model is reading too."""
    read = Counter(id(tensor) for node in graph.nodes(model) for tensor in node.inputs)
    read.update(id(tensor) for tensor in model.outputs)
    return read


def readers(model: keras.Model) -> dict[int, Node]:
    """Return `id` of a tensor -> the node that reads it, of tensors that are read once, by a node."""
    once = {tensor for tensor, count in uses(model).items() if count == 1}
    found = {id(tensor): node for node in graph.nodes(model) for tensor in node.inputs}
    return {tensor: node for tensor, node in found.items() if tensor in once}


def called_once(nodes: Iterable[Node]) -> set[int]:
    """Return the `id`s of the operations that stand in one node only: shared layers are left out."""
    counts = Counter(id(node.operation) for node in nodes)
    return {operation for operation, count in counts.items() if count == 1}
