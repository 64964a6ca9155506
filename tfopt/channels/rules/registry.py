"""The rules of all operations, by the names of their classes in Keras."""

from __future__ import annotations

from collections.abc import Mapping

import keras

from tfopt.channels.rules import elementwise, joining, linear, normalization, shapes, windows
from tfopt.channels.rules.rule import Rule, unknown

LAYERS: Mapping[str, Rule] = {
    name: rule
    for part in (linear, normalization, elementwise, windows, joining, shapes)
    for name, rule in part.LAYERS.items()
}
"""Layers of Keras and of `tfopt.graph`."""

OPERATIONS: Mapping[str, Rule] = {
    name: rule for part in (elementwise, joining, shapes) for name, rule in part.OPERATIONS.items()
}
"""Operations of `keras.ops`."""

UNKNOWN = Rule(unknown)


def rule_of(operation: keras.Operation) -> Rule:
    """Return the rule of an operation; one by which everything stays where there is none."""
    if not type(operation).__module__.startswith(("keras.", "tfopt.graph.")):
        return UNKNOWN
    rules = LAYERS if isinstance(operation, keras.Layer) else OPERATIONS
    return rules.get(type(operation).__name__, UNKNOWN)
