"""All kernels of a model at the values that a file will hold."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.graph import Node
from tfopt.post_training.copies import readers
from tfopt.post_training.kernels import (
    Bits,
    Kernel,
    bits_by_name,
    channels,
    kernels_of,
    nearest,
    norm_factors,
    normalizes_channels,
    steps,
    value,
)


def round_kernels(model: keras.Model, bits: Bits, per_channel: bool) -> None:
    """Move every kernel of a flat copy to the nearest values of its grid."""
    for node, kernel, step in grids(model, bits, per_channel):
        layer = node.operation
        getattr(layer, kernel.name).assign(nearest(value(layer, kernel), step))


def grids(model: keras.Model, bits: Bits, per_channel: bool) -> list[tuple[Node, Kernel, np.ndarray]]:
    """Return each kernel that will be in integers, with the steps of its grid.

    Args:
        model: a flat copy.
        bits: in which the weights will be held; by path of the model that was copied.
        per_channel: whether each output channel will have a scale of its own.
    """
    reader = readers(model)
    nodes = graph.nodes(model)
    wanted = bits_by_name(bits, [node.path for node in nodes])
    found = {}
    for node in nodes:
        for kernel in kernels_of(node.operation):
            fewest = wanted[node.path]
            if fewest is not None:
                weights = value(node.operation, kernel)
                factors = _factors(node, kernel, reader, channels(weights, kernel.outputs))
                width = max(fewest, kernel.least_bits)
                step = steps(weights, kernel.outputs, width, factors, per_channel)
                found[id(node.operation), kernel.name] = (node, kernel, step)
    return list(found.values())


def _factors(node: Node, kernel: Kernel, reader: dict[int, Node], count: int) -> np.ndarray:
    """Return what the batch normalization behind a layer multiplies its channels by; else ones."""
    layer: Any = node.operation
    behind = reader.get(id(node.outputs[0]))
    last = kernel is kernels_of(layer)[-1]
    if behind is None or not last or not normalizes_channels(behind):
        return np.ones(count, np.float32)
    bare = layer.activation is keras.activations.linear
    return norm_factors(behind.operation) if bare else np.ones(count, np.float32)
