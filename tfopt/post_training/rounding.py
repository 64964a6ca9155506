"""All kernels of a model at the values that a file will hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.graph import Node
from tfopt.post_training.copies import readers
from tfopt.post_training.kernels import (
    Bits,
    KernelAxes,
    bits_by_name,
    channels,
    kernels_of,
    nearest,
    norm_factors,
    norm_offset,
    normalizes_channels,
    scales,
    value,
)

SMALLEST_FACTOR = 1e-9
"""A batch normalization that multiplies a channel by 0 leaves nothing of its weights, whatever they are."""


@dataclass(frozen=True, eq=False)
class KernelGrid:
    """The values that a file will have for a kernel.

    Attributes:
        node: the call of the layer.
        kernel: which of its kernels it is.
        scale: the distance of two neighbouring values; it broadcasts against the kernel.
        norm: the batch normalization before the layer that the converter takes into the kernel, if it does.
            What that adds to each input is multiplied with the weights before they are rounded.
    """

    node: Node
    kernel: KernelAxes
    scale: np.ndarray
    norm: Any


def round_kernels(
    model: keras.Model, bits: Bits, per_channel: bool, *, biases_move: bool = False
) -> dict[int, tuple[Any, np.ndarray]]:
    """Move every kernel of a flat copy to the nearest values of its grid; arguments as of `grids`.

    Returns:
        `id` of a batch normalization that is taken into the kernel of a Dense layer after it -> that layer,
        and what rounding has taken from its weights: what these lose of the offset, its bias has.
    """
    taken = {}
    for grid in grids(model, bits, per_channel, biases_move=biases_move):
        layer: Any = grid.node.operation
        exact = value(layer, grid.kernel)
        rounded = nearest(exact, grid.scale)
        getattr(layer, grid.kernel.name).assign(rounded)
        if grid.norm is not None:
            layer.bias.assign_add(norm_offset(grid.norm) @ (exact - rounded))
            taken[id(grid.norm)] = (layer, exact - rounded)
    return taken


def grids(
    model: keras.Model, bits: Bits, per_channel: bool, *, biases_move: bool = False
) -> list[KernelGrid]:
    """Return the grid of each kernel that will be in integers.

    Args:
        model: a flat copy.
        bits: in which the weights will be held; by path of the model that was copied.
        per_channel: whether each output channel will have a scale of its own.
        biases_move: whether biases that are zero now will not be.
    """
    nodes = graph.nodes(model)
    norms = _Norms(nodes, readers(model), biases_move)
    wanted = bits_by_name(bits, [node.path for node in nodes])
    found = {}
    for node in nodes:
        for kernel in kernels_of(node.operation):
            fewest = wanted[node.path]
            if fewest is not None:
                weights = value(node.operation, kernel)
                after, norm = norms.after(node, kernel), norms.before(node)
                before = np.ones(1, np.float32) if norm is None else norm_factors(norm)[:, np.newaxis]
                width = max(fewest, kernel.least_bits)
                factors = np.ones(channels(weights, kernel.outputs), np.float32) if after is None else after
                scale = scales(weights * before, kernel.outputs, width, factors, per_channel)
                scale = scale / np.maximum(np.abs(before), SMALLEST_FACTOR)
                found[id(node.operation), kernel.name] = KernelGrid(node, kernel, scale, norm)
    return list(found.values())


class _Norms:
    """Which kernels the converter multiplies batch normalizations into, and by what.

    One after a layer goes into it; but one right before a Dense layer with a bias that is not zero goes into
    that, unless a convolution stands before it.
    """

    def __init__(self, nodes: Sequence[Node], reader: Mapping[int, Node], biases_move: bool) -> None:
        self._reader = reader
        self._maker = {id(tensor): node for node in nodes for tensor in node.outputs}
        self._biases_move = biases_move

    def after(self, node: Node, kernel: KernelAxes) -> np.ndarray | None:
        """Return what multiplies each output channel of a kernel, or None where nothing does."""
        layer: Any = node.operation
        norm = self._reader.get(id(node.outputs[0]))
        last = kernel is kernels_of(layer)[-1]
        if norm is None or not last or not normalizes_channels(norm):
            return None
        if layer.activation is not keras.activations.linear or self._taken_by_dense(norm):
            return None
        return norm_factors(norm.operation)

    def before(self, node: Node) -> Any:
        """Return the batch normalization that multiplies the inputs of a kernel, or None."""
        norm = self._maker.get(id(node.inputs[0]))
        dense = self._taken_by_dense(norm) if norm is not None and normalizes_channels(norm) else None
        taken = norm is not None and dense is not None and dense.operation is node.operation
        return norm.operation if norm is not None and taken else None

    def _taken_by_dense(self, norm: Node) -> Node | None:
        dense = self._reader.get(id(norm.outputs[0]))
        source = self._maker.get(id(norm.inputs[0]))
        if dense is None or not _is_dense(dense):
            return None
        layer: Any = dense.operation
        biased = layer.bias is not None and (self._biases_move or np.any(layer.bias.numpy()))
        return dense if biased and not _takes_in(source) else None


def _takes_in(node: Node | None) -> bool:
    """Return whether a call is of a convolution that a batch normalization after it goes into."""
    if node is None or not kernels_of(node.operation) or _is_dense(node):
        return False
    layer: Any = node.operation
    return layer.activation is keras.activations.linear


def _is_dense(node: Node) -> bool:
    return type(node.operation).__name__ == "Dense"
