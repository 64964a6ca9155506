"""Kernels that several calls read, each with a scale of its own after it: written once in a file of floats.

TensorFlow's converter multiplies the scale of a BatchNormalization into the kernel before it. A kernel that
is called three times, before three normalizations, would be three constants in the file. A barrier between
them (see `float_barriers`) leaves the scale an operator of its own: a multiplication more, two kernels fewer.
Integer files need none: there the scales differ and the integers are the same.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tfopt.export.keras_graph.nodes import attribute, node_of

SHARED = b"tfopt: a shared kernel ends here"
"""What a barrier says of itself in the graph."""

_WITH_KERNEL = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul", "BatchMatMulV2")
_BETWEEN = ("BiasAdd", "Reshape", "Squeeze", "Identity", "BatchToSpaceND", "StopGradient")
"""What the converter looks through on its way from a scale to a kernel."""
_READ = ("Identity", "Reshape", "ExpandDims", "Cast", "StopGradient")
"""What may stand between a variable and the operation that has it as its kernel."""

_Nodes = Mapping[str, tf.compat.v1.NodeDef]


def separate_shared_kernels(graph_def: tf.compat.v1.GraphDef) -> None:
    """Put a barrier before each scale of a kernel that has several different ones.

    Args:
        graph_def: to change; frozen.
    """
    nodes = {node.name: node for node in graph_def.node}
    calls: dict[str, int] = {}
    for node in graph_def.node:
        if node.op in _WITH_KERNEL and (kernel := _kernel(nodes, node)):
            calls[kernel] = calls.get(kernel, 0) + 1
    scaled: dict[str, list[tuple[tf.compat.v1.NodeDef, int, frozenset[bytes]]]] = {}
    for node in graph_def.node:
        if node.op == "Mul":
            for place in (0, 1):
                kernel = _kernel_before(nodes, node.input[place])
                scale = _constants(nodes, node.input[1 - place])
                if kernel and scale:
                    scaled.setdefault(kernel, []).append((node, place, scale))
    for kernel, scales in scaled.items():
        alike = len(scales) == calls[kernel] and len({scale for *_, scale in scales}) == 1
        if calls[kernel] > 1 and not alike:
            for node, place, _ in scales:
                _insert(graph_def, node, place)


def _insert(graph_def: tf.compat.v1.GraphDef, node: tf.compat.v1.NodeDef, place: int) -> None:
    name = f"{node.name}/shared_kernel"
    barrier = graph_def.node.add(name=name, op="PreventGradient", input=[node.input[place]])
    barrier.attr["T"].type = attribute(node, "T").type
    barrier.attr["message"].s = SHARED
    node.input[place] = name


def _kernel(nodes: _Nodes, node: tf.compat.v1.NodeDef) -> str | None:
    """Return the constant that an operation has as its kernel, None where it is computed."""
    current = nodes[node_of(node.input[1])]
    while current.op in _READ:
        current = nodes[node_of(current.input[0])]
    return current.name if current.op == "Const" else None


def _kernel_before(nodes: _Nodes, tensor: str) -> str | None:
    """Return the kernel of the operation that a tensor comes from, None where no such one made it."""
    node = nodes[node_of(tensor)]
    while node.op in _BETWEEN:
        node = nodes[node_of(node.input[0])]
    return _kernel(nodes, node) if node.op in _WITH_KERNEL else None


def _constants(nodes: _Nodes, tensor: str) -> frozenset[bytes]:
    """Return the values of the constants that a tensor is computed from; none where it is of an input."""
    found: set[bytes] = set()
    left, seen = [node_of(tensor)], set()
    while left:
        node = nodes[left.pop()]
        if node.op == "Placeholder":
            return frozenset()
        if node.name in seen:
            continue
        seen.add(node.name)
        if node.op == "Const":
            found.add(attribute(node, "value").SerializeToString(deterministic=True))
        left.extend(map(node_of, node.input))
    return frozenset(found)
