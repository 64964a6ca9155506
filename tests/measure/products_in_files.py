"""Multiply-accumulates by constants of a float32 file, by a count that knows nothing of Keras."""

import math

from tfopt.export.flatbuffer.fields import constant, operator_name
from tfopt.export.flatbuffer.read import parse


def macs_of_file(content):
    """Return how many there are; None where the file has a loop, whose steps it does not tell."""
    model = parse(bytes(content))
    graph, *others = model.subgraphs
    if others:
        return None
    known = {number for number, tensor in enumerate(graph.tensors) if constant(model, tensor) is not None}
    total = 0
    for operator in graph.operators:
        inputs, name = [each for each in operator.inputs if each >= 0], operator_name(model, operator)
        if inputs and known.issuperset(inputs):
            known |= set(operator.outputs)
        elif known.intersection(inputs[:2]):
            total += _macs(
                name, [_shape(graph, each) for each in inputs], _shape(graph, operator.outputs[0]), operator
            )
    return total


def _shape(graph, number):
    return [int(size) for size in graph.tensors[number].shape]


def _macs(name, inputs, output, operator):
    if name == "FULLY_CONNECTED":
        return math.prod(output) * inputs[1][-1]
    if name == "CONV_2D":
        return math.prod(output) * math.prod(inputs[1][1:])
    if name == "CONV_3D":
        return math.prod(output) * math.prod(inputs[1][:-1])
    if name == "DEPTHWISE_CONV_2D":
        return math.prod(output) * math.prod(inputs[1][1:3])
    if name == "TRANSPOSE_CONV":
        return math.prod(inputs[2][:-1]) * math.prod(inputs[1])
    if name == "BATCH_MATMUL":
        return math.prod(output) * inputs[0][-2 if operator.builtinOptions.adjX else -1]
    return 0
