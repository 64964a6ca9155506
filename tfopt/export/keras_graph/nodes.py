"""Reading nodes of a TensorFlow graph without changing them."""

from __future__ import annotations

from collections.abc import Iterator

import tensorflow as tf


def node_of(tensor: str) -> str:
    """Return the name of the node that makes a tensor, or that a control input waits for."""
    return tensor.lstrip("^").split(":")[0]


def attribute(node: tf.compat.v1.NodeDef, name: str) -> tf.compat.v1.AttrValue:
    """Return an attribute of a node, an empty one where it has none of that name.

    `node.attr[name]` adds what it does not find. TensorFlow takes an attribute without a value for a
    placeholder, and refuses the body of a loop that has one: "Failed to bind all placeholders".
    """
    return node.attr[name] if name in node.attr else tf.compat.v1.AttrValue()


def all_nodes(graph_def: tf.compat.v1.GraphDef) -> Iterator[tf.compat.v1.NodeDef]:
    """Yield the nodes of a graph and of the functions in it."""
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def
