"""Which inputs and outputs of a file are integers, where a quantization-aware model leaves some in float."""

from __future__ import annotations

import keras

from tfopt.export.keras_graph.inputs_outputs import names
from tfopt.graph import Node, nodes, without_losses
from tfopt.quantization.operators.traits import Kind, kind
from tfopt.quantization.quantizers.weight import WeightQuantizer


def float_inputs(model: keras.Model) -> frozenset[str]:
    """Return the names of the float inputs that something in a file reads which is no quantizer."""
    readers = [(node, {id(x) for x in node.inputs}) for node in nodes(without_losses(model))]
    return frozenset(
        name
        for name, tensor in zip(names(model)[0], model.inputs, strict=True)
        if keras.backend.is_float_dtype(tensor.dtype)
        and any(id(tensor) in read and not _quantizes(node) for node, read in readers)
    )


def has_integer_outputs(model: keras.Model) -> bool:
    """Return whether an output is quantized, or has the scale of what is."""
    found: set[int] = set()
    for node in nodes(model):
        keeps = kind(node.operation) in (Kind.SAME_SCALE, Kind.AVERAGE)
        if _quantizes(node) or (keeps and any(id(x) in found for x in node.inputs)):
            found.update(id(x) for x in node.outputs)
    return any(id(x) in found for x in model.outputs)


def _quantizes(node: Node) -> bool:
    layer = node.operation
    return getattr(layer, "tfopt_quantizer", False) and not isinstance(layer, WeightQuantizer)
