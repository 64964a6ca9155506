"""Which layer of a Keras model the nodes of its graph belong to."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from tfopt import graph
from tfopt.export.flatbuffer.tensor_names import TensorNames, layer_of


def tensor_names(model: keras.Model, lowered: keras.Model, graph_def: tf.compat.v1.GraphDef) -> TensorNames:
    """Return how to read the names of a graph's nodes.

    Args:
        model: after which the layers are called.
        lowered: what `tfopt.graph.lower` makes of it, which was traced.
        graph_def: the graph.
    """
    passed_on = {node.name: node.input[0].split(":")[0] for node in graph_def.node if node.op == "Identity"}
    return TensorNames(model=lowered.name, layers=layer_paths(model, lowered), sources=passed_on)


def layer_paths(model: keras.Model, lowered: keras.Model) -> dict[str, str]:
    """Return the name of each layer of a lowered model -> its path in the model."""
    paths = {path.replace("/", "."): path for path, _ in graph.layers(model)}
    return {name: _path(name, paths) for name, _ in graph.layers(lowered)}


def layers_by_operation(graph_def: tf.compat.v1.GraphDef, names: TensorNames) -> dict[str, tuple[str, ...]]:
    """Return kind of TensorFlow operation -> the layers that compute it."""
    found: dict[str, dict[str, None]] = {}
    for node in graph_def.node:
        found.setdefault(node.op, {})[layer_of(names.readable(node.name))] = None
    return {operation: tuple(layers) for operation, layers in found.items()}


def _path(name: str, paths: Mapping[str, str]) -> str:
    """Return the path of a layer, or of a part that was split off it: `conv/relu` of `conv.relu`."""
    whole = next((each for each in _prefixes(name) if each in paths), None)
    return name if whole is None else paths[whole] + name.removeprefix(whole).replace(".", "/")


def _prefixes(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
