"""Keeping the class of a model, and so its own training step, when its graph is rewritten."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph._keras_objects import COMPILED
from tfopt.graph.reached import holds_any
from tfopt.graph.structural_copy import StructuralCopy

TRAINING = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "compile", "fit")
"""The methods of a model that say how it is trained."""


def own_training(model: keras.Model) -> list[str]:
    """Return the names of the methods in `TRAINING` that the class of a model has of its own."""
    return [name for name in TRAINING if not _is_of_keras(type(model), name)]


def with_class_of(model: keras.Model, graph: keras.Model) -> keras.Model:
    """Return `graph` as a model of the class of `model`, where that class trains in a way of its own.

    What the model holds besides its graph, such as metrics and factors, goes with it. A class whose methods
    reach into the graph cannot be kept: they would train the layers that were replaced. A warning says so.

    Args:
        model: what was rewritten.
        graph: the functional model that came of it; it is used up.
    """
    own = own_training(model)
    if not own:
        return graph
    extra = {name: value for name, value in vars(model).items() if name not in {*vars(graph), *COMPILED}}
    parts = {id(each) for each in (*_keras.sublayers(model), *model.variables)}
    inside = sorted(name for name, value in extra.items() if holds_any(value, parts))
    if _keras.functional(model) is not model or inside:
        reason = (
            f"its attributes {', '.join(map(repr, inside))} are parts of the model in float"
            if inside
            else "it has no functional constructor"
        )
        methods = " and ".join(f"{name}()" for name in own)
        warnings.warn(
            f"The class of {model.name!r}, {type(model).__name__}, cannot be kept, for {reason}: its "
            f"{methods} will not be used, and the model trains with the loss given to compile(). To train "
            "it in your own way, apply tfopt to the inner models that are exported, and put the results in "
            "their place.",
            UserWarning,
            stacklevel=3,
        )
        return graph
    new = keras.Layer.__new__(type(model))
    made_anew = {name: value for name, value in vars(new).items() if name in ("build", "quantize")}
    copy = StructuralCopy()
    kept = {name: copy(value) for name, value in extra.items()}
    vars(new).update({**vars(graph), **kept, **made_anew})
    return new


def _is_of_keras(kind: type, name: str) -> bool:
    method: Any = getattr(kind, name)
    return method.__module__.startswith("keras.")
