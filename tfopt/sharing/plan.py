"""Which layers of a model become one: decided before anything is changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.rules import matched_part, resolve

logger = logging.getLogger(__name__)

Rules = Mapping[str, str | None]
"""Layer path pattern -> the name of a group, None for layers that are left as they are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TiedLayers:
    """Layers that become one.

    Attributes:
        name: of the group, as the rules call it; of a part of a group of models, with its path in these.
        paths: of the layers in the order in which they run. The first gives the one layer its name.
        layers: those layers.
    """

    name: str
    paths: tuple[str, ...]
    layers: tuple[keras.Layer, ...]

    @property
    def spared(self) -> int:
        """How many weights the model has fewer."""
        return (len(self.layers) - 1) * self.layers[0].count_params()


def checked_rules(rules: Rules) -> dict[str, str | None]:
    """Return rules that are a dict of names.

    Raises:
        InvalidArgumentError: they are not.
    """
    good = isinstance(rules, Mapping) and all(
        isinstance(pattern, str) and (name is None or (isinstance(name, str) and name))
        for pattern, name in rules.items()
    )
    if not good or not any(rules.values()):
        raise InvalidArgumentError(
            "tie: expected rules to be a dict, pattern of layer paths -> the name of a group, such as "
            f"{{'block*_conv': 'conv'}}, with None for layers that are left as they are, got {rules!r}."
        )
    return dict(rules)


def planned(model: keras.Model, rules: Rules) -> list[TiedLayers]:
    """Return the groups of layers that become one, in the order in which their first layers run.

    Args:
        model: functional or a built Sequential, in float.
        rules: as `tfopt.tie` takes them.

    Raises:
        InvalidArgumentError: a rule matches nothing, a group has one layer, or its layers differ.
        UnsupportedModel: the model is subclassed.
    """
    rules = checked_rules(rules)
    graph.require_functional(model)
    if graph.is_quantized(model):
        raise InvalidArgumentError(
            f"The model {model.name!r} is quantization-aware: each of its layers has ranges of its own. Tie "
            "the layers of the float model, then call quantize_aware on what tie returns."
        )
    layers = {path: layer for path, layer in graph.layers(model) if layer.weights}
    matched: dict[str, tuple[str, str | None] | None] = resolve(
        {pattern: (pattern, name) for pattern, name in rules.items()}, layers, None
    )
    found: dict[tuple[str, str], list[str]] = {}
    for path, match in matched.items():
        pattern, name = match or ("", None)
        if name is None:
            continue
        inside = path[len(matched_part(path, pattern)) :]
        if inside and isinstance(layers[path], keras.layers.BatchNormalization):
            logger.info("%s keeps its own statistics; name it in a rule to tie it too", path)
            continue
        found.setdefault((name, inside), []).append(path)
    groups = [
        TiedLayers(name=name + inside, paths=tuple(paths), layers=tuple(layers[path] for path in paths))
        for (name, inside), paths in found.items()
    ]
    for group in groups:
        _check(group, layers)
        logger.info("%s becomes one layer: %s", group.name, ", ".join(group.paths))
    return groups


def _check(group: TiedLayers, layers: Mapping[str, keras.Layer]) -> None:
    """Raise where the layers of a group cannot be one."""
    first, *others = group.paths
    if not others:
        raise InvalidArgumentError(
            f"tie: the group {group.name!r} has one layer, {first!r}, so that there is nothing to tie. Give "
            f"the same group to another one, or leave it out by {{{first!r}: None}} before the other rules. "
            f"Layers with weights: {', '.join(layers)}."
        )
    for other in others:
        difference = _difference(layers[first], layers[other])
        if difference:
            raise InvalidArgumentError(
                f"tie: {first!r} and {other!r} cannot be one layer of the group {group.name!r}: {difference}"
                ". Give them groups of their own, or leave one out by None before the other rules."
            )


def _difference(first: keras.Layer, other: keras.Layer) -> str:
    """Return in what two layers differ, `""` where one can stand for the other."""
    kinds = [type(each).__name__ for each in (first, other)]
    shapes = [_shapes(each) for each in (first, other)]
    if type(first) is not type(other):
        return f"one is a {kinds[0]}, the other a {kinds[1]}"
    if shapes[0] != shapes[1]:
        return f"their weights have the shapes {shapes[0]} and {shapes[1]}"
    if first.dtype_policy.name != other.dtype_policy.name:
        return f"they compute in {first.dtype_policy.name} and {other.dtype_policy.name}"
    try:
        configs = [each.get_config() | {"trainable": each.trainable} for each in (first, other)]
    except NotImplementedError:
        return f"{kinds[0]} has no get_config that tells how it was made"
    for key in dict.fromkeys((*configs[0], *configs[1])):
        values = [_plain({key: config.get(key)}) for config in configs]
        if values[0] != values[1]:
            return f"{key} is {configs[0].get(key)!r} of the one and {configs[1].get(key)!r} of the other"
    return ""


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


_OF_ONE = ("name", "dtype", "build_config", "shared_object_id", "quantization_config")
"""What the configs of two layers that compute the same may differ in; and the initializers."""


def _plain(value: Any) -> Any:
    """Return a config without what says nothing about what a layer computes."""
    if isinstance(value, Mapping):
        return {
            key: _plain(each)
            for key, each in value.items()
            if key not in _OF_ONE and not str(key).endswith("_initializer")
        }
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
