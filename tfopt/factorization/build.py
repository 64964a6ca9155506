"""The model of a plan: layers in the place of layers, and nothing decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt import graph
from tfopt.factorization.methods.base import Factor

_BETWEEN = {
    "activation": "linear",
    "use_bias": False,
    "bias_axes": None,
    "activity_regularizer": None,
}
"""What factors before the last do not have."""

FACTOR = "_factor"
"""After the name of a layer, with a number: one of the factors before the last, which keeps the name."""


def built(model: keras.Model, factors: Mapping[str, list[Factor]]) -> keras.Model:
    """Return a copy of a model, nested models flattened, in which some layers are several.

    The last factor has the name, bias and activation of the layer; the others are called after it, with
    `_factor1`, `_factor2`. A shared layer becomes shared factors.

    Args:
        model: functional.
        factors: path of a layer -> what comes in its place.
    """
    copies = graph.Copier()
    nodes = graph.nodes(model)
    taken = {copies.name(node) for node in nodes}
    replaced = {id(node.operation): factors[node.path] for node in nodes if node.path in factors}
    made: dict[int, list[Any]] = {}

    def emit(node: graph.Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        key = id(node.operation)
        if key not in replaced:
            return copies(node)(*args, **kwargs)
        if key not in made:
            made[key] = _layers(node.operation, replaced[key], copies.name(node), taken)
        (tensor,) = graph.tensors_in((args, kwargs))
        for layer in made[key]:
            tensor = layer(tensor)
        return tensor

    with model.distribute_strategy.scope():
        result = graph.replay(model, emit)
        for node in nodes:
            _set_weights(
                node.operation, made.get(id(node.operation), []), replaced.get(id(node.operation), [])
            )
        result.output_names = list(getattr(model, "output_names", result.output_names))
        return graph.with_class_of(model, result)


def _set_weights(layer: Any, made: list[Any], factors: list[Factor]) -> None:
    for each, factor in zip(made, factors, strict=True):
        each.kernel.assign(factor.kernel)
    if made and layer.bias is not None:
        made[-1].bias.assign(layer.bias)


def _layers(layer: Any, factors: list[Factor], name: str, taken: set[str]) -> list[Any]:
    """Return the factors of a layer, in the order in which they run; they get their weights once built."""
    config = layer.get_config()
    *before, last = factors
    configs = []
    for number, factor in enumerate(before, 1):
        between = {key: value for key, value in _BETWEEN.items() if key in config}
        own = f"{name}{FACTOR}{number}"
        while own in taken:
            own += "_"
        taken.add(own)
        configs.append(config | between | factor.config | {"name": own})
    configs.append(config | last.config | {"name": name})
    made = [type(layer).from_config(each) for each in configs]
    for each in made:
        each.trainable = layer.trainable
    return made
