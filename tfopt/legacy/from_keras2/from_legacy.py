"""Models of Keras 2 as Keras 3 models."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Mapping
from typing import Any

import keras

from tfopt.errors import (
    ConversionError,
    InvalidArgumentError,
    TfoptError,
    UnsupportedModel,
    UnsupportedOperation,
)
from tfopt.graph.walk import mask_of, tensors_in
from tfopt.legacy import _tf_keras
from tfopt.legacy._keras import name_operations
from tfopt.legacy.from_keras2 import nodes, operations
from tfopt.legacy.from_keras2.layers import counterpart, parts, trained_activation
from tfopt.legacy.settings import REMAKES
from tfopt.legacy.state import Pair, copy_state

_LOST = {"AddLoss", "AddMetric"}
"""Layers that add a symbolic loss or metric and return their input."""


def from_legacy(
    path_or_model: Any, *, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> keras.Model:
    """Return a model of Keras 2 as a Keras 3 model with the same outputs.

    Layers, nested and shared ones too, keep their names, settings, weights and trainable flags. What
    functions of TensorFlow did in the model, `keras.ops` does. Read are also files that
    `keras.models.load_model` refuses.
    The result is not compiled: an optimizer of Keras 2 has no counterpart with the same state.

    Args:
        path_or_model: an `.h5` or `.keras` file or a SavedModel folder that Keras 2 wrote, or a
            `tf_keras.Model`.
        custom_objects: Keras 3 classes and functions by the names that the model has for them.
        safe_mode: whether to refuse files that hold Python code, such as a `Lambda` layer of a lambda. Such
            code runs when the file is read: pass False for files that you trust.

    Raises:
        InvalidArgumentError: it is no such file or model.
        UnsupportedModel: the model is subclassed, or the file holds Python code.
        UnsupportedOperation: Keras 3 has no equal for a layer; the message names it.

    Example:
        ```py
        model = tfopt.from_legacy("mobilenet.h5")
        model.save("mobilenet.keras")
        ```
    """
    custom_objects = dict(custom_objects or {})
    if isinstance(path_or_model, (str, os.PathLike)):
        from tfopt.legacy.from_keras2.read import read

        model = read(os.fspath(path_or_model), custom_objects, safe_mode)
    else:
        model = path_or_model
    _require_legacy(model)
    conversion = _Conversion(custom_objects)
    with keras.saving.custom_object_scope(custom_objects):
        converted = conversion.layer(model)
        copy_state(conversion.pairs)
    return converted


def _require_legacy(model: Any) -> None:
    import tf_keras

    if isinstance(model, keras.Model):
        raise InvalidArgumentError(f"The model {model.name!r} is a Keras 3 model already. Use it as it is.")
    if not isinstance(model, tf_keras.Model):
        raise InvalidArgumentError(
            "Expected the path of a Keras 2 model or a tf_keras.Model, got "
            f"{type(model).__module__}.{type(model).__name__}."
        )


class _Conversion:
    """One conversion: what was made of which layer."""

    def __init__(self, custom_objects: Mapping[str, Any]) -> None:
        self.pairs: list[Pair] = []
        self._custom_objects = custom_objects
        self._made: dict[int, Any] = {}
        self._names: Counter[str] = Counter()
        self._trainable = True

    def layer(self, layer: Any) -> keras.Layer:
        """Return the Keras 3 layer for a layer or model, the same one for the same layer."""
        import tf_keras

        if id(layer) not in self._made:
            made = self._model(layer) if isinstance(layer, tf_keras.Model) else self._layer(layer)
            self._made[id(layer)] = made
        return self._made[id(layer)]

    def _model(self, model: Any) -> keras.Model:
        import tf_keras

        place, outside = len(self.pairs), self._trainable
        # Keras 2 trains what its models let it train, Keras 3 every layer whose own flag is set.
        self._trainable = outside and model.trainable
        if isinstance(model, tf_keras.Sequential):
            layers = [each for layer in model.layers for each in self._in_order(layer)]
            made = keras.Sequential([_sequential_input(model), *layers], name=_name(model))
        elif _tf_keras.functional(model):
            made = self._functional(model)
        else:
            raise UnsupportedModel(
                f"The model {model.name!r} is subclassed ({type(model).__name__}): what it does is Python "
                "code or a TensorFlow graph, and no graph of layers. Write it again in Keras 3 and set the "
                "weights, or run a SavedModel as it is with keras.layers.TFSMLayer."
            )
        self.pairs.insert(place, Pair(model, made, self._trainable, whole=False))
        self._trainable = outside
        return made

    def _functional(self, model: Any) -> keras.Model:
        inputs, outputs = _tf_keras.structure(model)
        new: dict[int, Any] = {id(x): _input(x) for x in keras.tree.flatten(inputs)}

        def fill(value: Any) -> Any:
            return new[id(value)] if _tf_keras.is_tensor(value) else value

        for layer, args, kwargs, tensors in _tf_keras.calls(model):
            args, kwargs = keras.tree.map_structure(fill, (args, kwargs))
            try:
                results = self._call(layer, args, kwargs, tensors)
            except TfoptError:
                raise
            except Exception as error:
                raise ConversionError(
                    f"The layer {layer.name!r} ({type(layer).__name__}) cannot be called in Keras 3: {error}"
                ) from error
            pairs = zip(keras.tree.flatten(tensors), keras.tree.flatten(results), strict=True)
            new |= {id(old): tensor for old, tensor in pairs}
        return keras.Model(
            *(keras.tree.map_structure(lambda x: new[id(x)], end) for end in (inputs, outputs)),
            name=_name(model),
        )

    def _call(self, layer: Any, args: tuple, kwargs: dict[str, Any], outputs: Any) -> Any:
        kind = type(layer).__name__
        if kind in _LOST:
            warnings.warn(
                f"The layer {layer.name!r} ({kind}) is left out: Keras 3 has no symbolic losses and metrics. "
                "Compute what it added in train_step or in a layer of your own.",
                stacklevel=2,
            )
            return args[0]
        if kind == "TensorFlowOpLayer" or _tf_keras.holds_operation(layer):
            if kind == "TensorFlowOpLayer":
                results = nodes.call(layer, args)
            else:
                results = operations.call(layer, args, kwargs, outputs)
            inputs = tensors_in((args, kwargs))
            name_operations(keras.tree.flatten(results), inputs, lambda: self._new_name(layer.name))
            return results
        kwargs = {key: value for key, value in kwargs.items() if value is not None}
        made, *after = self._in_order(layer)
        if isinstance(made, (keras.layers.RNN, keras.layers.Bidirectional)) and isinstance(
            args[0], (list, tuple)
        ):
            first, *state = args[0]
            # Keras 3 forgets the mask of a sequence that comes with a state.
            args, kwargs = (first,), {"mask": mask_of(first)} | kwargs | {"initial_state": state}
        result = made(*args, **kwargs)
        for each in after:
            result = each(result)
        return result

    def _in_order(self, layer: Any) -> list[keras.Layer]:
        """Return the Keras 3 layers that do one after the other what `layer` does.

        There are two where its activation has weights: Keras 3 does not build such an activation.
        """
        activation = trained_activation(layer)
        return [self.layer(each) for each in (layer, activation) if each is not None]

    def _new_name(self, name: str) -> str:
        """Return `name`, or with a number after it where an operation has it already."""
        name = name.replace("/", ".")
        self._names[name] += 1
        return name if self._names[name] == 1 else self._new_name(f"{name}_{self._names[name] - 1}")

    def _layer(self, layer: Any) -> keras.Layer:
        hosted = getattr(layer, "hosted", None)
        if isinstance(hosted, keras.Operation):
            made = type(hosted).from_config(hosted.get_config())
            if isinstance(made, keras.Layer):
                self.pairs.append(Pair(layer, made, self._trainable and layer.trainable))
            return made
        place = len(self.pairs)
        held = {name: self._part(layer, part) for name, part in parts(layer).items()}
        made = counterpart(layer, held, self._custom_objects)
        remakes = type(layer).__name__ in REMAKES
        if remakes:
            del self.pairs[place:]
        trainable = self._trainable and layer.trainable
        self.pairs.insert(place, Pair(layer, made, trainable, whole=remakes or not parts(layer)))
        return made

    def _part(self, holder: Any, layer: Any) -> keras.Layer:
        made, *after = self._in_order(layer)
        if after:
            raise UnsupportedOperation(
                f"The layer {layer.name!r} in {holder.name!r} has the activation {after[0].name!r} with "
                "weights, which Keras 3 builds only as a layer of its own. Make it one and save the model "
                "again."
            )
        return made


def _name(model: Any) -> str:
    return model.name.replace("/", ".")


def _input(tensor: Any) -> keras.KerasTensor:
    if _tf_keras.is_ragged(tensor):
        raise UnsupportedModel(
            f"The input {tensor.name!r} is ragged, which Keras 3 does not train with. Build the model again "
            "with a padded, dense input and a Masking layer or mask_zero=True after it, and set its weights."
        )
    return keras.Input(
        batch_shape=tuple(tensor.shape),
        dtype=tensor.dtype.name,
        name=tensor.name.replace("/", ".").partition(":")[0],
    )


def _sequential_input(model: Any) -> keras.KerasTensor:
    if _tf_keras.functional(model):
        return _input(model.inputs[0])
    shape = _tf_keras.built_shape(model)
    if shape is None:
        raise InvalidArgumentError(
            f"The Sequential model {model.name!r} does not know its input shape. Call "
            "model.build((None, *shape)) on it, or save it after it has seen data."
        )
    return keras.Input(batch_shape=tuple(shape))
