"""The rules of all operations, by the names of their classes in Keras."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import keras

from tfopt.channels.rule import Rule, unknown
from tfopt.channels.rules import (
    attention,
    axes,
    elementwise,
    linear,
    normalization,
    pieces,
    products,
    recurrent,
    reductions,
    shapes,
    tables,
    windows,
    wrappers,
)

_PARTS = (elementwise, linear, normalization, windows, shapes, axes, pieces, products, reductions)

LAYERS: dict[str, Rule] = dict(
    itertools.chain.from_iterable(part.LAYERS.items() for part in (*_PARTS, tables, recurrent, attention))
)
"""Layers of Keras and of `tfopt.graph`."""

OPERATIONS: Mapping[str, Rule] = dict(
    itertools.chain.from_iterable(getattr(part, "OPERATIONS", {}).items() for part in _PARTS)
)
"""Operations of `keras.ops`."""

UNKNOWN = Rule(unknown)


def rule_of(operation: keras.Operation) -> Rule:
    """Return the rule of an operation; one by which everything stays where there is none."""
    if not type(operation).__module__.startswith(("keras.", "tfopt.graph.")):
        return UNKNOWN
    rules = LAYERS if isinstance(operation, keras.Layer) else OPERATIONS
    return rules.get(type(operation).__name__, UNKNOWN)


LAYERS.update(wrappers.rules(rule_of))
