"""Weights that several layers of a model share, kept one variable where it is rewritten and saved.

Keras saves a variable with each layer that has it, and a loaded model has as many variables, which train
apart. A layer that can be `Tied` saves whose variable it has.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from tfopt.graph import _keras, _keras_layers
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.layers.tie import Tie
from tfopt.graph.walk import layers


def take_weights(layer: keras.Layer, sources: Sequence[Any]) -> None:
    """Give a built layer its weights: the very variables where they have the shapes, else their values.

    Args:
        layer: whose variables are its own, not those of layers in it.
        sources: variables in the order of the layer's weights; none where it has what it needs.
    """
    for own, source in zip(layer.weights, sources, strict=True) if sources else ():
        alike = isinstance(source, keras.Variable) and (source.shape, source.dtype) == (own.shape, own.dtype)
        if alike:
            _keras_layers.replace_variable(layer, own, source)
        else:
            own.assign(as_array(source))


def warn_of_split(model: keras.Model, rewritten: Iterable[Any]) -> None:
    """Warn of variables that code in a model reads, where the layer that has them is made of others.

    Args:
        model: what the layers were rewritten to. `Constant`s, and layers with `tfopt_of_code`, are from code.
        rewritten: the layers, and operations without variables.
    """
    of_code: set[int] = set()
    held: set[int] = set()
    for layer in _keras.sublayers(model):
        by_code = isinstance(layer, Constant) or getattr(layer, "tfopt_of_code", False)
        (of_code if by_code else held).update(map(id, vars(layer).values()))
    split = sorted(
        {
            f"{variable.name!r} of {layer.name!r}"
            for layer in rewritten
            for variable in getattr(layer, "trainable_variables", ())
            if id(variable) in of_code - held
        }
    )
    if split:
        warnings.warn(
            f"Code reads {', '.join(split)}, and the layer is rewritten to others with weights of their own: "
            "the two train apart. Export without training, or share the weights of a Dense, an Embedding or "
            "a convolution, which stay one.",
            UserWarning,
            stacklevel=4,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Owner:
    """A layer that has a variable as an attribute, and what notes that it is another's, where it can."""

    layer: keras.Layer
    attribute: str
    holder: Any


def tie_shared_variables(model: keras.Model) -> None:
    """Note in the layers of a model which of their variables are those of other layers.

    Where two layers share one and neither can note it, a warning says so.
    """
    found = {id(layer) for _, layer in layers(model)}
    for owners in _owners(model):
        free = [owner for owner in owners if owner.holder is None]
        whole = [owner for owner in owners if not isinstance(owner.layer, Constant)]
        first = (free or whole or owners)[0]
        if len(free) > 1 or (free and id(first.layer) not in found):  # a layer in a layer is not to be found
            names = " and ".join(repr(owner.layer.name) for owner in owners)
            warnings.warn(
                f"The layers {names} share a variable, which Keras saves with each of them: loaded with "
                "keras.models.load_model, they train apart. To train on after a break, make the model again "
                "with quantize_aware and call load_weights on it.",
                UserWarning,
                stacklevel=3,
            )
            continue
        for owner in owners:
            if owner is not first:
                owner.holder.tied_to = Tie(first.layer, first.attribute)


def _owners(model: keras.Model) -> list[list[_Owner]]:
    """Return the owners of each variable that has several."""
    inner = _keras.sublayers(model)
    wrappers = {id(each.layer): each for each in inner if getattr(each, "tfopt_wrapper", False)}
    found: dict[int, list[_Owner]] = {}
    for layer in inner:
        holder = layer if isinstance(layer, Constant) else wrappers.get(id(layer))
        for name, value in vars(layer).items():
            if isinstance(value, keras.Variable):
                found.setdefault(id(value), []).append(_Owner(layer, name, holder))
    return [owners for owners in found.values() if len({id(owner.layer) for owner in owners}) > 1]
