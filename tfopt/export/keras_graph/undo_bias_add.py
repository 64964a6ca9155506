"""Sums that Keras 3 computes as adding a bias, such as `x + b` of an attention over time steps.

On TensorFlow, `keras.ops.add` takes its second tensor for a bias where that has one axis that is not of size
1, as long as the last or the second of the first tensor. In a graph of one sample that is any tensor of the
shape `(batch, steps, 1)`: wrong where there are as many channels as steps. And TensorFlow's converter turns a
BiasAdd of the second axis round, and ends with "'tf.Transpose' op x should be of the same rank with y" where
fake quantization is around it.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfopt.export.keras_graph.nodes import attribute, node_of

_PASSES_ON = ("Identity", "Reshape", "Squeeze", "StopGradient")


def undo_bias_add(graph_def: tf.compat.v1.GraphDef) -> None:
    """Make a sum of each BiasAdd that was one: of two tensors, or of a constant of the second axis.

    Args:
        graph_def: to change.
    """
    nodes = {node.name: node for node in graph_def.node}
    found = [
        (node, nodes[node_of(node.input[1])])
        for node in graph_def.node
        if node.op == "BiasAdd" and nodes[node_of(node.input[1])].op == "Squeeze"
    ]
    for node, squeeze in found:
        of_second_axis = attribute(node, "data_format").s == b"NCHW"
        if _computed(nodes, squeeze) or (of_second_axis and _ends_with_one(nodes, squeeze)):
            node.op = "AddV2"
            node.input[1] = squeeze.input[0]
            del node.attr["data_format"]


def _computed(nodes: Mapping[str, tf.compat.v1.NodeDef], node: tf.compat.v1.NodeDef) -> bool:
    """Return whether the values of a node depend on the inputs of the graph."""
    seen: set[str] = set()
    left = [node]
    while left:
        current = left.pop()
        if current.op == "Placeholder":
            return True
        names = {node_of(name) for name in current.input} - seen
        seen |= names
        left.extend(nodes[name] for name in names)
    return False


def _ends_with_one(nodes: Mapping[str, tf.compat.v1.NodeDef], node: tf.compat.v1.NodeDef) -> bool:
    """Return whether the values are of a constant that broadcasts along the last axis, as NumPy does it."""
    while node.op in _PASSES_ON or node.op.startswith("FakeQuant"):
        node = nodes[node_of(node.input[0])]
    sizes = [dim.size for dim in attribute(node, "value").tensor.tensor_shape.dim]
    return len(sizes) > 1 and sizes[-1] == 1
