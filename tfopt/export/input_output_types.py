"""Which inputs and outputs of a file are integers, where a quantization-aware model leaves some in float."""

from __future__ import annotations

from collections.abc import Collection

import keras

from tfopt.export.flatbuffer import parse, serialize
from tfopt.export.keras_graph.freeze import names
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


def with_integer_inputs(content: bytes, unquantized: Collection[str]) -> bytes:
    """Return the file with quantized inputs in place of those that a QUANTIZE reads.

    Args:
        content: of a file whose inputs are floats.
        unquantized: the names of the inputs that stay what they are.
    """
    model = parse.read(content, "What the converter wrote")
    graph = model.subgraphs[0]
    for position, index in enumerate(graph.inputs):
        tensor = graph.tensors[index]
        if parse.text(tensor.name) in unquantized:
            continue
        readers = [operator for operator in graph.operators if index in operator.inputs]
        names_ = {parse.operator_name(model, operator) for operator in readers}
        if names_ != {"QUANTIZE"} or len(readers) != 1:
            continue
        made = int(readers[0].outputs[0])
        graph.tensors[made].name = tensor.name
        graph.inputs[position] = made
        for signature in model.signatureDefs or []:
            for entry in signature.inputs:
                entry.tensorIndex = made if entry.tensorIndex == index else entry.tensorIndex
        graph.operators = [operator for operator in graph.operators if operator is not readers[0]]
    return serialize.write(model)
