"""Sums that Keras 3 computes as a bias of the second axis, such as `x + b` of an attention over time steps.

On TensorFlow, `keras.ops.add` of a tensor of shape `(batch, steps, 1)` and one of shape `(steps, 1)` is a
BiasAdd in the layout NCHW. TensorFlow's converter turns that layout round, and ends with "'tf.Transpose' op x
should be of the same rank with y" where fake quantization stands around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import tensorflow as tf

_PASSES_ON = ("Identity", "Reshape", "StopGradient")


def with_plain_sums(graph_def: tf.compat.v1.GraphDef, quantizers: Iterable[str]) -> None:
    """Make the sum again of each BiasAdd over the second axis that was one.

    Args:
        graph_def: to change.
        quantizers: the kinds of operation that quantize.
    """
    passing = {*_PASSES_ON, *quantizers}
    nodes = {node.name: node for node in graph_def.node}
    for node in graph_def.node:
        if node.op != "BiasAdd" or node.attr["data_format"].s != b"NCHW":
            continue
        squeeze = nodes[node.input[1].split(":")[0]]
        if squeeze.op == "Squeeze" and _ends_with_one(_source(nodes, squeeze.input[0], passing)):
            node.op = "AddV2"
            node.input[1] = squeeze.input[0]
            del node.attr["data_format"]


def _source(nodes: Mapping[str, Any], tensor: str, passing: Iterable[str]) -> Any:
    """Return the node that the values of a tensor come from."""
    node = nodes[tensor.split(":")[0]]
    return _source(nodes, node.input[0], passing) if node.op in passing else node


def _ends_with_one(node: Any) -> bool:
    """Return whether a node is a constant that broadcasts along the last axis, as NumPy does it."""
    sizes = [dim.size for dim in node.attr["value"].tensor.tensor_shape.dim] if node.op == "Const" else []
    return len(sizes) > 1 and sizes[-1] == 1
