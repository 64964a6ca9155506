"""The variables and the layers that the code of a layer uses while it is traced.

The layer must be private to the trace: a copy that no user and no other thread can see.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras, _keras_layers
from tfopt.graph.layers.constant import Constant
from tfopt.graph.layers.over_batch import ONE_BATCH, of_one_batch
from tfopt.graph.tracing.assignments import Assignable
from tfopt.graph.tracing.known_sizes import note_sizes
from tfopt.graph.tracing.slots import Slot, slots_of

logger = logging.getLogger(__name__)

InPlace: TypeAlias = Callable[[keras.Layer, tuple, dict[str, Any]], Any]
"""Runs the code of a layer with arguments and keyword arguments, and returns what it returns."""


class Constants:
    """One layer for each variable of a model, however often and wherever its code reads it."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[Any, Constant]] = {}

    def __call__(self, variable: Any, name: str) -> Constant:
        """Return the layer that holds `variable`, called `name` where it is new."""
        if id(variable) not in self._layers:
            hold = Constant.holding if isinstance(variable, keras.Variable) else Constant.of
            self._layers[id(variable)] = variable, hold(variable, name)
        return self._layers[id(variable)][1]

    def __iter__(self) -> Iterator[Constant]:
        """Yield the layers."""
        return (layer for _, layer in self._layers.values())

    def __contains__(self, operation: Any) -> bool:
        """Return whether an operation is one of the layers."""
        return any(operation is layer for _, layer in self._layers.values())


@contextlib.contextmanager
def symbolic(
    layer: keras.Layer,
    reference: keras.KerasTensor,
    constants: Constants,
    in_place: InPlace,
    training: bool | None = None,
) -> Iterator[None]:
    """Let the code of `layer` read symbolic tensors in place of variables, also in lists and in layers in it.

    Layers in it that are called see their real variables; called on a constant, they are called on a
    symbolic tensor of its value, so that a table of positions stays trainable. One that users wrote and
    Keras cannot call on symbolic tensors, since it returns None among tensors or takes arguments that its
    base knows nothing of, runs its code in place.

    Args:
        layer: whose code is going to run.
        reference: a symbolic tensor that the code reads.
        constants: the layers that hold the variables.
        in_place: runs the code of a layer in `layer` with arguments and keyword arguments.
        training: what the code is told. The layers in it that are called are not told: they stand in a graph
            for both.
    """
    reading = _Reading(layer, reference, constants, in_place, training)
    reading.show_tensors()
    try:
        with _keras_layers.calls_replaced(reading.inner, reading.call):
            yield
    finally:
        reading.show_variables()


class _Reading:
    """The variables and the inner layers of a layer while its code is read; the arguments of `symbolic`."""

    def __init__(
        self,
        layer: keras.Layer,
        reference: keras.KerasTensor,
        constants: Constants,
        in_place: InPlace,
        training: bool | None,
    ) -> None:
        self.inner = _keras.sublayers(layer)
        self._reference, self._in_place, self._training = reference, in_place, training
        self._slots: list[Slot] = []
        seen: set[int] = set()
        for owner, prefix in [(layer, ""), *((each, f"{each.name}_") for each in self.inner)]:
            self._slots += slots_of(owner, prefix, seen)
        self._tensors = [constants(slot.variable, slot.name)(reference) for slot in self._slots]
        for slot, tensor in zip(self._slots, self._tensors, strict=True):
            tensor.variable = Assignable(slot.variable, slot.name, reference, self._change, training)
        self._by_code = True
        """Whether the code that is read calls layers; else a layer of Keras's calls those in it."""
        self._changed: set[int] = set()

    def show_tensors(self) -> None:
        """Put the symbolic tensors where the variables were."""
        for slot, tensor in zip(self._slots, self._tensors, strict=True):
            slot.set(tensor)

    def show_variables(self) -> None:
        """Put the variables back."""
        for slot in self._slots:
            slot.set(slot.variable)

    def _change(self, variable: Any, value: Any) -> None:
        """Let code that reads `variable` from now on read `value`."""
        self._changed.add(id(variable))
        for number, slot in enumerate(self._slots):
            if slot.variable is variable:
                self._tensors[number] = value
                slot.set(value)

    def call(
        self, layer: keras.Layer, original: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
    ) -> Any:
        """Return what a layer in the layer returns, called or with its code run in place.

        Args:
            layer: that is called.
            original: calls it as Keras does.
            args, kwargs: what it is called with.
        """
        if not self._by_code:
            return original(*args, **kwargs)
        if kwargs.get("training") is False:
            freeze(layer)
        elif self._training and kwargs.get("training") is True:
            kwargs = {**kwargs, "training": None}
        if args and tf.executing_eagerly():
            args = _with_symbolic(args[0], self._reference), *args[1:]
        if args and isinstance(layer, ONE_BATCH):
            args = of_one_batch(args[0]), *args[1:]
        reads_changed = any(id(variable) in self._changed for variable in layer.variables)
        if reads_changed or (_is_code(layer) and _has_masks(layer, (args, kwargs))):
            return self._in_place(layer, args, kwargs)
        try:
            return self._called(layer, original, args, kwargs)
        except Exception as error:
            if not _is_code(layer):
                raise
            kind, failure = type(layer).__name__, type(error).__name__
            logger.debug("the code of %s (%s) runs in place: called, it raises %s", layer.name, kind, failure)
        return self._in_place(layer, args, kwargs)

    def _called(
        self, layer: keras.Layer, original: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
    ) -> Any:
        """Return what a layer returns that is called as Keras does, with its variables."""
        attention = isinstance(layer, keras.layers.MultiHeadAttention) and not _is_code(layer)
        if not _is_code(layer) and _keras.functional(layer) is None:
            kwargs = _keras.with_masks(layer, args, kwargs)
        self._by_code = False
        self.show_variables()
        try:
            outputs = original(*args, **kwargs)
            note_sizes(layer, outputs, *args)
            if attention:
                _keras.remove_masks([*args[:3], *(kwargs.get(name) for name in ("query", "value", "key"))])
            return outputs
        finally:
            self.show_tensors()
            self._by_code = True


def _with_symbolic(value: Any, reference: keras.KerasTensor) -> Any:
    """Return what a layer is called with, symbolic where it is constant: its weights are to stay trainable.

    Of several tensors that is done to floats alone: with integers among them, such as edges, code computes.
    """
    if isinstance(value, (list, tuple)):
        flat = keras.tree.flatten(value)
        if any(isinstance(each, keras.KerasTensor) for each in flat):
            return value
        return keras.tree.map_structure(
            lambda each: (
                Constant.of(each, "constant")(reference)
                if isinstance(each, (tf.Tensor, np.ndarray)) and "float" in str(each.dtype)
                else each
            ),
            value,
        )
    if isinstance(value, (tf.Tensor, np.ndarray)):
        return Constant.of(value, "constant")(reference)
    return value


def _is_code(layer: keras.Layer) -> bool:
    """Return whether users wrote the `call` of a layer, and it is no functional model."""
    written = type(layer).call.__module__.split(".")[0]
    return _keras.functional(layer) is None and written not in ("keras", "tfopt")


def _has_masks(layer: keras.Layer, arguments: Any) -> bool:
    """Return whether masks travel in the code of a layer: what it returns may have one, unseen by Keras."""
    given = [x for x in keras.tree.flatten(arguments) if isinstance(x, keras.KerasTensor)]
    return any(_keras.mask_of(x) is not None for x in given) or any(
        isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False)
        for each in _keras.sublayers(layer)
    )


def freeze(layer: keras.Layer) -> None:
    """Keep a layer, and what is in it, at inference in training too: code calls it with `training=False`.

    Keras calls what is in a functional model with its own `training`, whatever a call says.
    """
    for each in (layer, *_keras.sublayers(layer)):
        if isinstance(each, keras.layers.BatchNormalization):
            each.trainable = False
        elif isinstance(each, keras.layers.Dropout):
            each.rate = 0.0
