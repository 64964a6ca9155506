"""Integer inputs in a file that the converter wrote with float inputs."""

from __future__ import annotations

from collections.abc import Collection

from tfopt.export.flatbuffer.fields import operator_name, text
from tfopt.export.flatbuffer.file import ParsedFile


def quantize_inputs(file: ParsedFile, unquantized: Collection[str]) -> bool:
    """Let whoever runs the file quantize the inputs that only a QUANTIZE reads, which then goes.

    Args:
        file: whose inputs are floats.
        unquantized: the names of the inputs that stay what they are.
    """
    model, graph = file.model, file.model.subgraphs[0]
    changed = False
    for position, index in enumerate(graph.inputs):
        tensor = graph.tensors[index]
        if text(tensor.name) in unquantized:
            continue
        readers = [operator for operator in graph.operators if index in operator.inputs]
        names_ = {operator_name(model, operator) for operator in readers}
        if names_ != {"QUANTIZE"} or len(readers) != 1:
            continue
        made = int(readers[0].outputs[0])
        graph.tensors[made].name = tensor.name
        graph.inputs[position] = made
        for signature in model.signatureDefs or []:
            for entry in signature.inputs:
                entry.tensorIndex = made if entry.tensorIndex == index else entry.tensorIndex
        graph.operators = [operator for operator in graph.operators if operator is not readers[0]]
        changed = True
    return changed
