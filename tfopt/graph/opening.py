"""Opening what is a graph of its own: layers made of others, and subclassed models."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import _keras
from tfopt.graph.constant import as_array
from tfopt.graph.trace import traced
from tfopt.graph.walk import Node, tensors_in


class Parts:
    """The layers that one opened layer is made of, kept from one of its calls to the next."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[keras.Layer, Iterable[Any]]] = {}
        self.names: Counter[str] = Counter()

    def __call__(
        self,
        name: str,
        make: Callable[..., keras.Layer],
        *args: Any,
        weights: Iterable[Any] = (),
        **config: Any,
    ) -> keras.Layer:
        """Return the layer `name`, made by `make(*args, **config)` in the first call.

        Args:
            name: what its path ends in.
            make: a layer's class.
            weights: arrays or variables, in the order of the layer's weights; reshaped where they differ.
            args, config: for `make`.
        """
        if name not in self._made:
            self._made[name] = make(*args, **config, name=name), tuple(weights)
        return self._made[name][0]

    def set_weights(self) -> None:
        """Give the layers their weights, once they are built."""
        for name, (layer, weights) in self._made.items():
            arrays = [as_array(array) for array in weights]
            pairs = zip(layer.weights, arrays, strict=True) if arrays else ()
            layer.set_weights(
                [np.reshape(array, weight.shape) for weight, array in pairs] or layer.get_weights()
            )
            self._made[name] = layer, ()


Opening: TypeAlias = Callable[..., Any]
"""Takes parts, the layer and symbolic arguments; returns symbolic outputs, or None to leave it closed."""


class Opener:
    """Turns a call of a layer into a functional model of what it is made of.

    Args:
        find: returns the opening of an operation, or None where it is none's.
    """

    def __init__(self, find: Callable[[keras.Operation], Opening | None]) -> None:
        self._find = find
        self._parts: dict[int, Parts] = {}
        self._renamed: list[tuple[keras.Layer, str]] = []

    def __call__(
        self, node: Node, args: tuple, kwargs: dict[str, Any], new: Callable[[Any], Any]
    ) -> tuple[keras.Model, list[keras.KerasTensor]] | None:
        """Return the model and what to call it with, or None where the layer stays closed.

        Args:
            node: the call.
            args, kwargs: what it is called with, in the new model.
            new: returns the tensor of the new model in the place of one of the old.
        """
        # A nested model does not show what becomes of a mask until it is called on a tensor that has one.
        nested = _keras.functional(node.operation) is not None
        opening = open_call if nested else self._find(node.operation)
        tensors = {id(tensor): tensor for tensor in tensors_in((args, kwargs))}
        if opening is None or not tensors:
            return None
        masks: dict[int, int] = {}
        for old in node.inputs:
            if (old_mask := _keras.mask_of(old)) is not None:
                mask = new(old_mask)
                tensors[id(mask)] = mask
                masks[id(new(old))] = id(mask)
        inputs = {
            key: keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype) for key, tensor in tensors.items()
        }

        for key, mask_key in masks.items():
            _keras.set_mask(inputs[key], inputs[mask_key])

        def own(value: Any) -> Any:
            return inputs.get(id(value), value)

        own_args, own_kwargs = keras.tree.map_structure(own, (args, kwargs))
        if opening is not open_call:  # Keras notes it for every layer in a layer; a model tells it anew
            own_kwargs.pop("training", None)
        parts = self._parts.setdefault(id(node.operation), Parts())
        self._make_names_distinct(node.operation)
        outputs = opening(parts, node.operation, *own_args, **own_kwargs)
        if outputs is None:
            return None
        model = keras.Model(list(inputs.values()), keras.tree.flatten(outputs))
        parts.set_weights()
        self._name(model, parts)
        return model, list(tensors.values())

    def close(self) -> None:
        """Give layers that had to be renamed their names back."""
        for layer, name in self._renamed:
            layer.name = name

    def _make_names_distinct(self, operation: keras.Operation) -> None:
        """Number the layers in a layer that have the same name, for a functional model allows none."""
        if not isinstance(operation, keras.Layer):
            return
        seen: Counter[str] = Counter()
        for layer in _keras.sublayers(operation):
            name = layer.name
            if seen[name]:
                self._renamed.append((layer, name))
                layer.name = f"{name}_{seen[name]}"
            seen[name] += 1

    @staticmethod
    def _name(model: keras.Model, parts: Parts) -> None:
        """Number operations from the start in each opened layer, not in each process."""
        outer = [operation for operation, *_ in _keras.calls(model)]
        looped = [each for loop in outer for each in getattr(loop, "operations", ())]
        for operation in (*outer, *looped):
            if isinstance(operation, keras.Layer):
                continue
            name = re.sub(r"_\d+$", "", operation.name)
            number = parts.names[name]
            parts.names[name] += 1
            operation.name = f"{name}_{number}" if number else name


def open_call(_: Parts, layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
    """Open a layer or a subclassed model by running its `call`; None where that needs more than symbols."""
    reference = tensors_in((args, kwargs))[0]
    try:
        outputs = traced(layer, lambda: layer.call(*args, **kwargs), reference)
    except Exception:  # noqa: BLE001 (users' code; that the layer stays closed is said where it matters)
        return None
    flat = keras.tree.flatten(outputs)
    symbolic = all(isinstance(output, keras.KerasTensor) for output in flat)
    return outputs if flat and symbolic else None
