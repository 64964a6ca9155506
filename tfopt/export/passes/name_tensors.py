"""Naming a file's tensors, inputs and outputs after the Keras model that it was converted from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.fields import text
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.inputs_outputs import SIGNATURE
from tfopt.export.flatbuffer.tensor_names import unique


def name_tensors(
    file: ParsedFile,
    input_names: tuple[str, ...],
    output_names: tuple[str, ...],
    readable: Callable[[str], str],
) -> bool:
    """Give readable names to tensors, and a signature to inputs and outputs in their order.

    Args:
        file: what the converter wrote.
        input_names, output_names: what the Keras model calls them. Given a signature, the converter itself
            would sort them by name.
        readable: turns the name of a tensor into the one to write.

    Raises:
        ConversionError: the file has not as many inputs or outputs as the model.
    """
    graph = file.model.subgraphs[0]
    if len(graph.inputs) != len(input_names) or len(graph.outputs) != len(output_names):
        raise ConversionError(
            f"The converter made a file of {len(graph.inputs)} inputs and {len(graph.outputs)} outputs from "
            f"a model of {len(input_names)} and {len(output_names)}. Remove inputs that nothing depends on."
        )
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = _named(input_names, graph.inputs)
    signature.outputs = _named(output_names, graph.outputs)
    file.model.signatureDefs = [signature]
    taken: set[str] = set()
    inputs = dict(zip(map(int, graph.inputs), input_names, strict=True))
    for index, tensor in enumerate(graph.tensors):
        tensor.name = unique(inputs.get(index) or readable(text(tensor.name)), taken)
    return True


def _named(names: tuple[str, ...], indices: list[int]) -> list[Any]:
    entries = []
    for name, index in zip(names, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries
