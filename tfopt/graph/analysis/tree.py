"""The layers of any model, at any depth: it need not be functional."""

from __future__ import annotations

from collections.abc import Iterator

import keras

from tfopt.graph import _keras
from tfopt.graph.walk import unwrapped


def tree(model: keras.Layer) -> list[tuple[str, keras.Layer]]:
    """Return (path, layer) of every layer in `model`, itself included, each once, the outer ones first.

    A path is made of the names of the layers that one stands in, joined by `/`; the model's own is `""`. What
    a functional model calls comes in the order in which it runs, what else a model or layer holds as it was
    made. The wrappers of tfopt are left out: the wrapped layer has their path.
    """
    return list(_tree("", model, set()))


def _tree(path: str, layer: keras.Layer, seen: set[int]) -> Iterator[tuple[str, keras.Layer]]:
    layer = unwrapped(layer)
    if id(layer) in seen:
        return
    seen.add(id(layer))
    yield path, layer
    prefix = f"{path}/" if path else ""
    for inner in _keras.held_layers(layer):
        yield from _tree(prefix + inner.name, inner, seen)
