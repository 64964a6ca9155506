"""Rewriting a model to fewer kinds of layers, with the same outputs, before it is quantized."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import Copier, Node, nodes, replay
from tfopt.quantization.place import Made, Place
from tfopt.quantization.rewrites import rewritten


def canonical(model: keras.Model) -> tuple[keras.Model, dict[str, str]]:
    """Return a copy of `model` with the same outputs and the path of each of its operations.

    In the copy,

    - nested models are opened,
    - activations stand behind their layer as layers of their own,
    - what `rewrites` has a rule for is made of simpler operations.

    A part that was split off has the path of the whole with its own name behind: `conv1/relu`.
    """
    names = _output_names(model)
    copier = Copier(suffixes=dict.fromkeys(names, ".core"))
    made: Made = {}
    paths: dict[str, str] = {}

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        name = copier.name(node)
        result = rewritten(Place(name, node.path, made, paths), node.operation, args, kwargs)
        if result is not None:
            return result
        paths[name] = node.path
        return copier(node)(*args, **kwargs)

    def emit_output(index: int, tensor: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Identity(name=names[index])(tensor) if names else tensor

    result = replay(model, emit, emit_output=emit_output)
    copier.copy_weights()
    for layer, sources in made.values():
        layer.set_weights([variable.numpy() for variable in sources])
    return result, paths


def _output_names(model: keras.Model) -> list[str]:
    """Return the names that losses and metrics are given by, which are those of the last layers.

    A single output is not addressed by name and outputs in a dictionary are by their key.
    """
    if len(model.outputs) == 1 or isinstance(model.output, dict):
        return []
    producers = {id(tensor): node.path for node in nodes(model) for tensor in node.outputs}
    names = [producers.get(id(tensor), "") for tensor in model.outputs]
    return names if len(set(names)) == len(names) and all(names) else []
