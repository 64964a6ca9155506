"""Weights and trainable flags, from the layers of one Keras to those of the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from tfopt.errors import ConversionError

_SAME = {"depthwise_kernel": "kernel", "sn_u": "vector_u"}
"""Names that one Keras has for a weight -> names that the other has."""


_WITHOUT_WEIGHTS = (
    keras.layers.Discretization,
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
    keras.layers.TextVectorization,
)
"""Layers of Keras 3 whose state is a setting, which they were made with."""


class Pair(NamedTuple):
    """A layer and what was made of it in the other Keras.

    Attributes:
        old, new: the layers or models.
        trainable: the flag that the new one gets.
        whole: whether it holds its weights itself, and not in layers that are pairs of their own.
    """

    old: Any
    new: Any
    trainable: bool
    whole: bool = True


def copy_state(pairs: Sequence[Pair]) -> None:
    """Give the second layer of every pair its trainable flag and the weights of the first.

    Models must come before their layers, for setting a model's flag sets theirs.

    Raises:
        ConversionError: weights do not fit.
    """
    for old, new, trainable, whole in pairs:
        if new.trainable != trainable:
            new.trainable = trainable
        if whole and not isinstance(new, _WITHOUT_WEIGHTS):
            _copy_weights(old, new)
            if hasattr(new, "finalize_state"):
                new.finalize_state()


def _copy_weights(old: Any, new: Any) -> None:
    """Copy weights by name where names tell them apart, else by order."""
    sources, targets = getattr(old, "restored", None) or _own_weights(old), list(new.weights)
    names = [_name(weight) for weight in sources]
    if len({*names}) == len(names) and {*names} == {_name(weight) for weight in targets}:
        by_name = dict(zip(names, sources, strict=True))
        sources = [by_name[_name(weight)] for weight in targets]
    shapes = [[tuple(weight.shape) for weight in weights] for weights in (sources, targets)]
    if shapes[0] != shapes[1]:
        raise ConversionError(
            f"The layer {old.name!r} ({type(old).__name__}) has weights of the shapes {shapes[0]}, and its "
            f"counterpart in the other Keras has {shapes[1]}. Leave the layer out, or report this model."
        )
    for source, target in zip(sources, targets, strict=True):
        target.assign(np.asarray(source))


def _own_weights(layer: Any) -> list[Any]:
    """Return a layer's weights without those of its activation, which is a layer of its own in Keras 3."""
    of_activation = {id(weight) for weight in getattr(getattr(layer, "activation", None), "weights", ())}
    return [weight for weight in layer.weights if id(weight) not in of_activation]


def _name(weight: Any) -> str:
    name = weight.name.rpartition("/")[2].partition(":")[0]
    return _SAME.get(name, name)
