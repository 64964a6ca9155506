"""How much a model computes."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.measure.products import products
from tfopt.measure.sizes import Sizes, is_open

logger = logging.getLogger(__name__)


def macs(model: keras.Model) -> int:
    """Return the multiply-accumulates by weights, for one sample.

    Counted densely, whatever is zero: dense and einsum layers, convolutions of every kind, recurrent layers
    at each time step (also where quantization made a loop of their steps), the projections of attention, and
    what code of your own multiplies by weights or constants with `keras.ops.matmul`, `einsum`, `conv` and
    their like. A shared layer counts once for each call. Biases, activations, normalization, pooling and
    products of two activations (as those of queries and keys) count as 0, and so does padding's saving at the
    borders (as is usual). What a quantization-aware model adds to its loss is not counted.

    Args:
        model: any built model. Layers of the user's own and subclassed models are read as
            `tfopt.quantize_aware` reads them.

    Raises:
        InvalidArgumentError: a size other than the batch's is unknown.
        UnsupportedModel: the model is subclassed and has not been called, or code that multiplies by weights
            cannot be read.
    """
    graph.require_built(model)
    if not _is_plain(model):
        model = graph.decomposed(graph.copy(model, share_variables=True))
    model = graph.without_losses(model)
    return _macs(graph.nodes(model), Sizes(model))


def _is_plain(model: keras.Model) -> bool:
    """Return whether all calls of a model can be seen, and the sizes of all tensors."""
    inner = graph.inner_layers(model)
    if not graph.is_functional(model) or any(map(graph.has_code, inner)):
        return False
    return not (any(map(graph.is_functional, inner)) and any(map(is_open, graph.nodes(model))))


def known_macs(model: keras.Model) -> int | None:
    """Return `macs(model)`; None, and the log says why, where a size is open or code cannot be read."""
    try:
        return macs(model)
    except (InvalidArgumentError, UnsupportedModel) as error:
        logger.warning("The multiply-accumulates of %r are not known: %s", model.name, error)
        return None


def _macs(nodes: Iterable[graph.Node], sizes: Sizes) -> int:
    total = 0
    plain = []
    for node in nodes:
        if getattr(node.operation, "tfopt_bridge", False):
            total += macs(node.operation.source())
        elif isinstance(node.operation, graph.Recurrence):
            loop = node.operation
            total += sum(loop.times(each) * _macs(each.nodes(), sizes) for each in loop.programs)
        else:
            plain.append(node)
    return total + sum(product.macs(sizes) for product in products(plain, sizes, macs))
