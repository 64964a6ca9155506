"""A rounding between a transposition and the operations of a PReLU.

TensorFlow's converter moves transpositions after operations on each element. Of the operations of a PReLU it
moves some and not all, recognizes a PReLU in them no more, and leaves all in float. It moves none over a
rounding; a second one to the same grid changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from tfopt.export.keras_graph.nodes import node_of

_VIEWS = ("Transpose", "Reshape", "Squeeze", "ExpandDims", "Identity")


def round_after_transposing(graph_def: tf.compat.v1.GraphDef, quantizers: Sequence[str]) -> None:
    """Round what is transposed once more where a PReLU reads it.

    Args:
        graph_def: to change.
        quantizers: the kinds of operation that quantize.
    """
    nodes = {node.name: node for node in graph_def.node}
    readers: dict[str, list[Any]] = {}
    for node in graph_def.node:
        for name in node.input:
            readers.setdefault(node_of(name), []).append(node)
    for node in [node for node in graph_def.node if node.op == "Transpose"]:
        found = readers.get(node.name, ())
        if not {"Relu", "Neg"} <= {reader.op for reader in found}:
            continue
        source = node
        while source.op in _VIEWS:
            source = nodes[node_of(source.input[0])]
        if source.op not in quantizers:
            continue
        again = graph_def.node.add()
        again.CopyFrom(source)
        again.name = f"{node.name}/rounded"
        again.attr.pop("_output_shapes", None)
        again.input[0] = node.name
        for reader in found:
            reader.input[:] = [again.name if node_of(name) == node.name else name for name in reader.input]
