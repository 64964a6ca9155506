"""The losses that code adds while it is read."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.added_losses import Loss
from tfopt.graph.tracing.users_code import functions_in, mentions, methods


@contextlib.contextmanager
def recorded_losses(layers: Sequence[keras.Layer]) -> Iterator[list[Any]]:
    """Let the code of `layers` add symbolic losses, and yield the list that they are put into.

    Layers in it that are called with TensorFlow's tensors, to see the shapes that they return, add theirs
    when they are read themselves.

    Args:
        layers: private to the caller.
    """
    losses: list[Any] = []

    def add_loss(loss: Any) -> None:
        for each in keras.tree.flatten(loss):
            if not isinstance(each, keras.KerasTensor | tf.Tensor):
                raise ValueError(f"add_loss() takes tensors, as Keras's does, and was given {each!r}")
            if isinstance(each, keras.KerasTensor) or not tf.is_symbolic_tensor(each):
                losses.append(each)

    own: list[tuple[dict[str, Any], Any]] = [(vars(layer), vars(layer).get("add_loss")) for layer in layers]
    for attributes, _ in own:
        attributes["add_loss"] = add_loss
    try:
        yield losses
    finally:
        for attributes, before in own:
            if before is None:
                del attributes["add_loss"]
            else:
                attributes["add_loss"] = before


def in_both(losses: Sequence[Any], trained: Sequence[Any]) -> list[Loss]:
    """Return what code adds at inference and what it adds in training as one list.

    Args:
        losses, trained: tensors of one graph; what is added in both cases is the same tensor.
    """
    left = list(trained)
    found = []
    for loss in losses:
        place = next((place for place, each in enumerate(left) if each is loss), None)
        if place is not None:
            del left[place]
        found.append(Loss(loss, "inference" if place is None else "always"))
    return [*found, *(Loss(loss, "training") for loss in left)]


def adds_losses(layer: keras.Layer) -> bool:
    """Return whether the code that users wrote for a layer mentions `add_loss`."""
    own = [*(function for _, function in methods(type(layer))), *functions_in(vars(layer).values())]
    return any(mentions(function, "add_loss") for function in own)


def may_add_others_in_training(layer: keras.Layer) -> bool:
    """Return whether code of a layer, or of one in it, adds losses and is told whether it trains."""
    inside = [layer, *_keras.sublayers(layer)]
    return any(map(adds_losses, inside)) and any(map(_is_told_of_training, inside))


def _is_told_of_training(layer: keras.Layer) -> bool:
    own = type(layer).call.__module__.split(".")[0] not in ("keras", "tfopt")
    return own and "training" in inspect.signature(layer.call).parameters
