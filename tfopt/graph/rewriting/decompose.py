"""Decomposing what is a graph of its own: layers that are made of others, and subclassed models."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import _keras
from tfopt.graph.added_losses import Loss, with_losses
from tfopt.graph.layers.activity_penalty import ActivityPenalty, ActivityRegularizers, penalties
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.layers.recurrence import Recurrence
from tfopt.graph.tracing.not_symbolic import NotSymbolic
from tfopt.graph.tracing.trace import call_with, traced, without_default_training
from tfopt.graph.tracing.variables import Constants
from tfopt.graph.walk import Node, tensors_in

logger = logging.getLogger(__name__)


class Parts:
    """The layers that one decomposed layer is made of, kept from one of its calls to the next.

    Args:
        constants: the layers that hold variables, in the whole model.
    """

    def __init__(self, constants: Constants | None = None) -> None:
        self._made: dict[str, tuple[keras.Layer, Iterable[Any]]] = {}
        self.names: Counter[str] = Counter()
        self.constants = constants or Constants()

    def __contains__(self, operation: keras.Operation) -> bool:
        """Return whether an operation was made here."""
        return any(operation is layer for layer, _ in self._made.values())

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
        """Give the layers their weights, once they are built; what was not called is not."""
        for name, (layer, weights) in self._made.items():
            if not layer.built:
                continue
            arrays = [as_array(array) for array in weights]
            pairs = zip(layer.weights, arrays, strict=True) if arrays else ()
            layer.set_weights(
                [np.reshape(array, weight.shape) for weight, array in pairs] or layer.get_weights()
            )
            self._made[name] = layer, ()


Decomposition: TypeAlias = Callable[..., Any]
"""Takes parts, the layer and symbolic arguments; returns symbolic outputs, or None to leave it whole."""


class Decomposer:
    """Turns a call of a layer into a functional model of what it is made of.

    Args:
        find: returns the decomposition of an operation, or None where it has none.
    """

    def __init__(self, find: Callable[[keras.Operation], Decomposition | None]) -> None:
        self._find = find
        self._parts: dict[int, tuple[keras.Operation, Parts]] = {}
        self._renamed: list[tuple[keras.Layer, str]] = []
        self.constants = Constants()
        self.regularizers = ActivityRegularizers()
        self.left_whole: dict[str, NotSymbolic] = {}
        """The path of each layer whose code could not be read -> why."""
        self.rewritten: list[keras.Operation] = []
        """The layers that are made of others now, but those whose code runs in place."""

    def __call__(
        self, node: Node, args: tuple, kwargs: dict[str, Any], new: Callable[[Any], Any]
    ) -> tuple[keras.Model, list[keras.KerasTensor]] | None:
        """Return the model and what to call it with, or None where the layer is left whole.

        Args:
            node: the call.
            args, kwargs: what it is called with, in the new model.
            new: returns the tensor of the new model in the place of one of the old.
        """
        # A nested model does not show what becomes of a mask until it is called on a tensor that has one.
        nested = _keras.functional(node.operation) is not None
        decomposition = decompose_call if nested else self._find(node.operation)
        if decomposition is None or not tensors_in((args, kwargs)):
            return None
        tensors, inputs = _inputs_like(node, args, kwargs, new)
        own_args, own_kwargs = keras.tree.map_structure(
            lambda value: inputs.get(id(value), value), (args, kwargs)
        )
        if decomposition is not decompose_call:
            # Keras notes it for every layer in a layer; a model tells it anew.
            own_kwargs.pop("training", None)
        elif not nested:
            own_kwargs = without_default_training(node.operation, own_kwargs)
        # With the operation, for the `id` of one that is gone may be another's.
        _, parts = self._parts.setdefault(id(node.operation), (node.operation, Parts(self.constants)))
        self._make_names_distinct(node.operation)
        regularizer = self.regularizers.taken(node.operation)
        try:
            outputs = decomposition(parts, node.operation, *own_args, **own_kwargs)
        except NotSymbolic as error:
            self.left_whole[node.path], outputs = error, None
            logger.debug("left whole: %s (%s): %s", node.path, type(node.operation).__name__, error)
        if outputs is None:
            self.regularizers.give_back(node.operation)
            return None
        if decomposition is not decompose_call:
            self.rewritten.append(node.operation)
        if regularizer is not None:
            penalty = parts("activity_regularizer", ActivityPenalty, regularizer)
            outputs = with_losses(outputs, [Loss(each) for each in penalties(outputs, penalty)])
        return self._as_model(node, parts, list(inputs.values()), outputs), tensors

    def _as_model(
        self, node: Node, parts: Parts, inputs: list[keras.KerasTensor], outputs: Any
    ) -> keras.Model:
        """Return the functional model of what a layer is made of, with its names and weights."""
        flat = keras.tree.flatten(outputs)
        calls = _keras.calls_between(flat, inputs)
        self._name(node.operation, calls, parts)
        _note_readers(calls)
        model = keras.Model(inputs, flat)
        parts.set_weights()
        names = ", ".join(dict.fromkeys(type(call.operation).__name__ for call in calls))
        logger.debug("decomposed: %s (%s): %s", node.path, type(node.operation).__name__, names)
        return model

    def restore_names(self, inside: Callable[[keras.Layer], keras.Layer | None] = lambda _: None) -> None:
        """Give layers that had to be renamed their names back.

        Args:
            inside: returns the copy of a layer, where that stands inside of another: no graph names it.
        """
        for layer, name in self._renamed:
            for each in (layer, inside(layer)):
                if each is not None:
                    each.name = name

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

    def _name(self, decomposed: keras.Operation, calls: list[_keras.Call], parts: Parts) -> None:
        """Number what a layer is made of from the start in each decomposed layer, not in each process."""
        inner = _keras.sublayers(decomposed) if isinstance(decomposed, keras.Layer) else []
        named = {id(layer) for layer in inner}
        called = [call.operation for call in calls]
        loops = [each for each in called if isinstance(each, Recurrence)]
        inside = [each for loop in loops for each in loop.operations]
        called += [each for each in inside if not isinstance(each, keras.Layer) or each in self.constants]
        operations = list({id(operation): operation for operation in called}.values())
        kept = [each for each in operations if id(each) in named or each in parts]
        taken = {each.name for each in kept}
        for operation in operations:
            if any(operation is each for each in kept):
                continue
            if operation in self.constants:  # the same in each call
                while operation.name in taken:
                    operation.name += "_"
                taken.add(operation.name)
                continue
            name = re.sub(r"_\d+$", "", operation.name)
            operation.name = self._numbered(name, taken, parts)

    @staticmethod
    def _numbered(name: str, taken: set[str], parts: Parts) -> str:
        while True:
            number = parts.names[name]
            parts.names[name] += 1
            found = f"{name}_{number}" if number else name
            if found not in taken:
                return found


def _inputs_like(
    node: Node, args: tuple, kwargs: dict[str, Any], new: Callable[[Any], Any]
) -> tuple[list[keras.KerasTensor], dict[int, keras.KerasTensor]]:
    """Return the tensors of a call with their masks, and inputs like them by the `id` of each.

    Args:
        node: the call in the old model, whose tensors have the masks.
        args, kwargs: what it is called with, in the new model.
        new: returns the tensor of the new model in the place of one of the old.
    """
    tensors = {id(tensor): tensor for tensor in tensors_in((args, kwargs))}
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
    return list(tensors.values()), inputs


def _note_readers(calls: list[_keras.Call]) -> None:
    """Note of each constant whether anything reads it but products with it, and under which masks."""
    for call in calls:
        multiplies = type(call.operation).__name__ == "Matmul" and len(call.args) == 2
        for x in tensors_in((call.args, call.kwargs)):
            constant = _constant(x)
            if constant is not None:
                constant.only_multiplied &= multiplies and x is call.args[1]
                constant.masks.append(_mask_of(call, x, constant.shape))


def _constant(x: Any) -> Constant | None:
    made: Any = _keras.call_of(x) if isinstance(x, keras.KerasTensor) else None
    return made[0] if made is not None and isinstance(made[0], Constant) else None


def _mask_of(call: _keras.Call, x: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """Return the zeros and ones that a call multiplies `x` by, of a shape; None where it does not."""
    if type(call.operation).__name__ != "Multiply" or len(call.args) != 2:
        return None
    other = call.args[1] if call.args[0] is x else call.args[0]
    held = _constant(other)
    if isinstance(other, keras.KerasTensor):
        if held is None or held.trainable:
            return None
        other = held.value
    mask = as_array(other)
    if not np.isin(mask, (0, 1)).all() or np.broadcast_shapes(mask.shape, shape) != shape:
        return None
    return np.broadcast_to(mask, shape).astype(bool)


def decompose_call(parts: Parts, layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
    """Decompose a layer or a subclassed model by running its `call` on symbolic tensors.

    Raises:
        NotSymbolic: that needs more than symbols.
    """

    def code(given: Any, training: bool | None) -> Any:
        return call_with(layer, given[0], given[1], training)

    return traced(layer, (args, kwargs), parts.constants, code)
