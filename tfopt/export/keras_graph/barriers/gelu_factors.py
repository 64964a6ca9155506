"""Multiples of a tensor that the GELU of this tensor computes, too.

TensorFlow's converter makes one operator of `0.5 x erfc(-x / sqrt(2))`, the exact GELU. Before, it makes one
of what is computed twice, and where `0.5 x` or `-x / sqrt(2)` is read elsewhere, as in `gelu(x) - x / 2`, it
finds the GELU no more and ends with "'tf.Erfc' op is neither a custom op nor a flex op".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from tfopt.export.keras_graph.nodes import attribute, node_of

_MULTIPLES = ("Mul", "RealDiv")
_PASSES_ON = ("Identity", "Neg")


def keep_apart_from_gelus(graph_def: tf.compat.v1.GraphDef) -> None:
    """Give the scalar factors of what GELUs read, but for their own, the shape (1,): no two are one then.

    Args:
        graph_def: to change.
    """
    for added_to in (graph_def.node, *(function.node_def for function in graph_def.library.function)):
        nodes = {node.name: node for node in added_to}
        own: set[str] = set()
        sources: set[str] = set()
        for node in added_to:
            factors = [nodes.get(node_of(name)) for name in node.input] if node.op == "Mul" else []
            erfc = next((each for each in factors if each is not None and each.op == "Erfc"), None)
            if erfc is not None:
                own |= {node_of(name) for name in (*node.input, *erfc.input)}
                sources |= {_source(nodes, name) for name in erfc.input}
        if not sources:
            continue
        for node in [node for node in added_to if node.op in _MULTIPLES and node.name not in own]:
            for position, name in enumerate(node.input):
                factor = nodes.get(node_of(name))
                if _is_scalar(factor) and _source(nodes, node.input[1 - position]) in sources:
                    copy = added_to.add()
                    copy.CopyFrom(factor)
                    copy.name = f"{node.name}/factor"
                    copy.attr["value"].tensor.tensor_shape.dim.add(size=1)
                    node.input[position] = name.replace(node_of(name), copy.name, 1)


def _source(nodes: Mapping[str, Any], name: str) -> str:
    """Return the name of the tensor of which another is a multiple by constants, or itself."""
    while (node := nodes.get(node_of(name))) is not None and node.op in (*_PASSES_ON, *_MULTIPLES):
        others = [each for each in node.input if not _is_scalar(nodes.get(node_of(each)))]
        if len(others) != 1:
            break
        name = others[0]
    return name


def _is_scalar(node: Any) -> bool:
    """Return whether a node is a constant without axes; an input of a function is no node of it."""
    return node is not None and node.op == "Const" and not attribute(node, "value").tensor.tensor_shape.dim
