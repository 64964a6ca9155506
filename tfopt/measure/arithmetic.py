"""How much arithmetic one inference costs."""

from __future__ import annotations

import keras

from tfopt import graph
from tfopt.measure.products import products_of


def macs(model: keras.Model) -> int:
    """Return the multiply-accumulates of the layers with kernels, for one sample.

    Counted densely, whatever is zero: dense and einsum layers, convolutions of every kind, recurrent layers
    at each time step (also where quantization made a loop of their steps), the projections of attention. A
    shared layer counts once for each call. Biases, activations, normalization, pooling and operations without
    weights (as the products of queries and keys) count as 0, and so does padding's saving at the borders (as
    is usual). What a quantization-aware model adds to its loss is not counted.

    Raises:
        InvalidArgumentError: a size other than the batch's is unknown.
        UnsupportedModel: the model is subclassed.
    """
    graph.require_functional(model)
    return sum(_macs(node) for node in graph.nodes(graph.without_losses(model)))


def _macs(node: graph.Node) -> int:
    if getattr(node.operation, "tfopt_bridge", False):
        return macs(node.operation.source())
    if isinstance(node.operation, graph.Recurrence):
        loop = node.operation
        return sum(loop.times(each) * sum(map(_macs, each.nodes())) for each in loop.programs)
    return sum(product.macs() for product in products_of(node))
