"""Keras 3 models as models of Keras 2."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras

from tfopt.errors import ConversionError, TfoptError
from tfopt.graph import _keras, operation_of, require_functional
from tfopt.graph.walk import tensors_in
from tfopt.legacy.settings import REMAKES
from tfopt.legacy.state import Pair, copy_state
from tfopt.legacy.to_keras2.layers import counterpart, parts
from tfopt.legacy.to_keras2.operations import function_of

_NONE: Mapping[str, Any] = MappingProxyType({})


def to_legacy(model: keras.Model) -> Any:
    """Return `model` as a `tf_keras.Model`, for tools that know Keras 2 alone.

    Layers, nested and shared ones too, keep their names, settings, weights and trainable flags, and
    operations become the layers that tf_keras makes of TensorFlow's functions. What tf_keras lacks, such as
    `RMSNormalization` or a layer of your own, still runs in Keras 3 inside a tf_keras layer
    (`tfopt.legacy.hosted.KerasThree`), which trains and is saved with the model. Outputs are the same up to
    float32 rounding. The result shares nothing with `model` and is not compiled.

    Args:
        model: a built Sequential or functional model.

    Raises:
        InvalidArgumentError: it is no Keras 3 model, or one that does not know its input shape.
        UnsupportedModel: it is subclassed.
        ConversionError: a layer does in Keras 2 not what it does in Keras 3; the message names it.

    Example:
        ```python
        old = tfopt.to_legacy(model)
        old.save("model.h5")
        ```
    """
    require_functional(model)
    conversion = _Conversion()
    converted = conversion.layer(model)
    copy_state(conversion.pairs)
    return converted


class _Conversion:
    """One conversion: what was made of which layer."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._made: dict[int, Any] = {}

    def layer(self, layer: keras.Layer, args: tuple = (), kwargs: Mapping[str, Any] = _NONE) -> Any:
        """Return the tf_keras layer for a layer, the same one for the same layer.

        `args` and `kwargs` are what it is called with in the Keras 3 model.
        """
        if id(layer) not in self._made:
            if isinstance(layer, keras.Model):
                made = self._model(layer, nested=bool(args))
            else:
                made = self._part(layer) or self._hosted(layer, layer.name, args, kwargs)
            self._made[id(layer)] = made
        return self._made[id(layer)]

    def _model(self, model: keras.Model, nested: bool) -> Any:
        import tf_keras

        inputs, outputs = _keras.structure(model)
        new: dict[int, Any] = {id(x): _input(x) for x in keras.tree.flatten(inputs)}
        place = len(self.pairs)
        if isinstance(model, keras.Sequential):
            layers = [self.layer(layer, args, kwargs) for layer, args, kwargs, _ in _keras.calls(model)]
            made = tf_keras.Sequential([new[id(model.inputs[0])], *layers], name=model.name)
        else:
            calls = list(_keras.calls(model))
            names = _names([operation for operation, *_ in calls])
            for (operation, args, kwargs, tensors), name in zip(calls, names, strict=True):
                try:
                    results = self._call(new, operation, name, args, kwargs, tensors)
                except TfoptError:
                    raise
                except Exception as error:
                    raise ConversionError(
                        f"The layer {operation.name!r} ({type(operation).__name__}) cannot be called in "
                        f"Keras 2: {error}"
                    ) from error
                new |= {id(x): y for x, y in zip(tensors, keras.tree.flatten(results), strict=True)}
            ends = [keras.tree.map_structure(lambda x: new[id(x)], end) for end in (inputs, outputs)]
            made = tf_keras.Model(*ends, name=model.name)
        # Keras 3 trains every layer whose own flag is set, Keras 2 what the models around it let it train.
        inside = any(pair.trainable for pair in self.pairs[place:])
        self.pairs.insert(place, Pair(model, made, model.trainable or (nested and inside), whole=False))
        return made

    def _call(
        self,
        new: dict[int, Any],
        operation: keras.Operation,
        name: str,
        args: tuple,
        kwargs: dict,
        tensors: list,
    ) -> Any:
        """Call what is made of a layer, or of an operation under `name`, on the new tensors."""

        def fill(value: Any) -> Any:
            return new[id(value)] if isinstance(value, keras.KerasTensor) else value

        # Keras 3 notes a layer's default for `training` down too, and lets the model's take its place.
        kwargs = {key: value for key, value in kwargs.items() if key != "training"}
        new_args, new_kwargs = keras.tree.map_structure(fill, (args, kwargs))
        if isinstance(operation, keras.Layer):
            return self.layer(operation, args, kwargs)(*new_args, **new_kwargs)
        found = function_of(operation, [*tensors_in((args, kwargs)), *tensors], new_args)
        if found is None:
            return self._hosted(operation, name, args, kwargs)(*new_args, **new_kwargs)
        make, new_args, settings = found
        return make(name)(*new_args, **new_kwargs, **settings)

    def _part(self, layer: keras.Layer) -> Any | None:
        """Return the counterpart of a layer with what it holds, or None where tf_keras has none."""
        if isinstance(layer, keras.Model):
            return self.layer(layer)
        place = len(self.pairs)
        held = {name: self._part(each) for name, each in parts(layer).items()}
        made = None if None in held.values() else counterpart(layer, held)
        remakes = type(layer).__name__ in REMAKES
        if made is None or remakes:
            del self.pairs[place:]
        if made is not None:
            self.pairs.insert(place, Pair(layer, made, layer.trainable, whole=remakes or not held))
        return made

    def _hosted(self, operation: keras.Operation, name: str, args: tuple, kwargs: Mapping[str, Any]) -> Any:
        """Return a tf_keras layer that runs a copy of a Keras 3 layer or operation."""
        from tfopt.legacy.hosted import KerasThree

        copied = type(operation).from_config(operation.get_config())
        if isinstance(operation, keras.Layer):
            # Called on tensors of its own, so that the model that is converted is not touched.
            specs = keras.tree.map_structure(_spec, (args, dict(kwargs)))
            copied(*specs[0], **specs[1])
            copied.set_weights(operation.get_weights())
            return KerasThree(copied, name=name, trainable=operation.trainable, dtype="float32")
        return KerasThree(copied, name=name)


def _names(operations: Sequence[keras.Operation]) -> list[str]:
    """Return the name of what each call becomes: an operation that is called twice becomes two layers."""
    taken = {operation.name for operation in operations}
    names: list[str] = []
    for operation in operations:
        name = operation.name
        if name in names and not isinstance(operation, keras.Layer):
            numbered = (f"{name}_{number}" for number in itertools.count(1))
            name = next(each for each in numbered if each not in taken and each not in names)
        names.append(name)
    return names


def _input(tensor: keras.KerasTensor) -> Any:
    import tf_keras

    batch, *shape = tensor.shape
    name = operation_of(tensor).name
    return tf_keras.Input(shape, batch, name=name, dtype=tensor.dtype, sparse=tensor.sparse)


def _spec(value: Any) -> Any:
    return keras.KerasTensor(value.shape, value.dtype) if isinstance(value, keras.KerasTensor) else value
