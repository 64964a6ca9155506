"""Layers of tf_keras as layers of Keras 3."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.legacy._tf_keras import lookup_layer
from tfopt.legacy.activations import SAME, hard_sigmoid_of_keras_2
from tfopt.legacy.extra_layers import EXTRA
from tfopt.legacy.settings import FUNCTIONS, OBJECTS, PARTS, Omitted, means_nothing, settings_of

_CLASSES: Mapping[str, str] = {
    "SyncBatchNormalization": "BatchNormalization",
}
"""Class in tf_keras -> class in Keras 3, where they differ."""

_RENAMED: Mapping[str, Mapping[str, str]] = {"LeakyReLU": {"alpha": "negative_slope"}}
"""Class -> setting in tf_keras -> setting in Keras 3."""

_OMITTED: Omitted = {
    "adjustment": (None,),
    "data_format": ("channels_last",),
    "has_input_vocabulary": None,
    "batch_input_shape": None,
    "fused": None,
    "groups": (1,),
    "implementation": None,
    "input_length": None,
    "padding": ("valid",),
    "kernel_constraint": (None,),
    "kernel_initializer": None,
    "kernel_regularizer": (None,),
    "key_shape": None,
    "noise_shape": (None,),
    "query_shape": None,
    "ragged": (False,),
    "renorm": (False,),
    "renorm_clipping": None,
    "renorm_momentum": None,
    "rng_type": None,
    "seed": None,
    "softmax_robust_masking": (False,),
    "sparse": (False,),
    "time_major": (False,),
    "trainable": None,
    "value_shape": None,
    "virtual_batch_size": (None,),
    "vocabulary_size": None,
}

_KINDS = {
    "_initializer": keras.initializers,
    "_regularizer": keras.regularizers,
    "_constraint": keras.constraints,
}

_PARTS = {**PARTS, "SpectralNormalization": lambda layer: {"layer": layer.layer}}
"""Layers that hold others -> these, under the names of the arguments."""


def parts(layer: Any) -> dict[str, Any]:
    """Return the layers that a layer was given, under the names of the arguments."""
    return _PARTS[type(layer).__name__](layer) if type(layer).__name__ in _PARTS else {}


def trained_activation(layer: Any) -> Any | None:
    """Return the layer with weights, such as PReLU, that a layer has for its activation, or None."""
    import tf_keras

    activation = getattr(layer, "activation", None)
    return activation if isinstance(activation, tf_keras.layers.Layer) and activation.weights else None


def counterpart(layer: Any, held: Mapping[str, Any], custom_objects: Mapping[str, Any]) -> keras.Layer:
    """Return a Keras 3 layer of the same name and settings, without its `trained_activation`.

    Args:
        layer: a tf_keras layer.
        held: the counterparts of its `parts`.
        custom_objects: Keras 3 classes and functions by the names that the model has for them.

    Raises:
        UnsupportedOperation: Keras 3 has no such layer, or none with these settings.
    """
    name = _CLASSES.get(type(layer).__name__, type(layer).__name__)
    if name in _SPECIAL and name not in custom_objects:
        return _SPECIAL[name](layer)
    made = custom_objects.get(name, EXTRA.get(name, getattr(keras.layers, name, None)))
    if made is None or not (isinstance(made, type) and issubclass(made, keras.Layer)):
        raise UnsupportedOperation(
            f"Keras 3 has no layer for {layer.name!r} of the class {type(layer).__name__}. Write it as a "
            f"subclass of keras.Layer with the same settings and weights and pass "
            f"custom_objects={{{name!r}: YourLayer}}, or leave it out of the model."
        )
    known, renamed, settings = settings_of(made), _RENAMED.get(name, {}), {}
    for old_key, value in layer.get_config().items():
        key = renamed.get(old_key, old_key)
        if key in known:
            settings[key] = value
        elif not means_nothing(_OMITTED, key, value):
            raise UnsupportedOperation(
                f"The layer {layer.name!r} ({type(layer).__name__}) has {key}={value!r}, for which Keras 3's "
                f"{name} has no equal. Save the model without it, or pass "
                f"custom_objects={{{name!r}: YourLayer}} with a Keras 3 layer that does the same."
            )
    settings["name"] = layer.name.replace("/", ".")
    if "dtype" in settings:
        settings["dtype"] = policy(layer)
    for key, value in settings.items():
        if key in FUNCTIONS:
            settings[key] = _function(layer, key, custom_objects)
        elif isinstance(value, dict) and key.endswith(OBJECTS):
            settings[key] = _object(layer, key, value, custom_objects)
    if "cells" in settings:
        held = {"cells": list(held.values())}
    settings = {**settings, **held}
    return _ADJUSTED.get(name, lambda _, kind, settings: kind(**settings))(layer, made, settings)


def policy(layer: Any) -> str:
    """Return the name of a layer's dtype policy."""
    name = layer.dtype_policy.name
    return (layer.dtype or "float32") if name.startswith("_") else name


def _function(layer: Any, key: str, custom_objects: Mapping[str, Any]) -> Any:
    """Return what Keras 3 calls an activation function."""
    import tf_keras

    if not hasattr(layer, key):  # read from a SavedModel without the function
        raise UnsupportedOperation(
            f"The {key} of the layer {layer.name!r} is {layer.get_config()[key]!r}, which neither Keras "
            "knows. Pass a function written for Keras 3 under that name: custom_objects={name: function}."
        )
    function = getattr(layer, key)
    if key == "activation" and trained_activation(layer) is not None:
        return None
    if isinstance(function, tf_keras.layers.Layer):
        return counterpart(function, {}, custom_objects)
    name = getattr(function, "__name__", "")
    if name in custom_objects:
        return custom_objects[name]
    if function is tf_keras.activations.hard_sigmoid:
        return hard_sigmoid_of_keras_2
    library = getattr(function, "__module__", "").partition(".")[0]
    return name if name in SAME and library in {"tensorflow", "tf_keras"} else function


def _object(layer: Any, key: str, config: dict[str, Any], custom_objects: Mapping[str, Any]) -> Any:
    """Return an initializer, regularizer or constraint of Keras 3.

    An initializer that Keras 3 lacks is left out, for the weights are there.
    """
    name = config["class_name"]
    kinds = next(kinds for end, kinds in _KINDS.items() if key.endswith(end))
    kind = custom_objects.get(name, getattr(kinds, name, None))
    if kind is not None:
        known = settings_of(kind)
        return kind(**{key: value for key, value in config["config"].items() if key in known})
    if kinds is keras.initializers:
        return None
    raise UnsupportedOperation(
        f"Keras 3 has no {name!r}, which is the {key} of the layer {layer.name!r}. Pass "
        f"custom_objects={{{name!r}: YourClass}} with a Keras 3 class that does the same."
    )


def _one_axis(layer: Any, kind: type, settings: dict[str, Any]) -> keras.Layer:
    """Give as a number what Keras 2 keeps as a list of one axis."""
    axis = settings["axis"]
    if isinstance(axis, (list, tuple)):
        if len(axis) > 1 and kind is keras.layers.BatchNormalization:
            raise UnsupportedOperation(
                f"The batch normalization {layer.name!r} has the axes {list(axis)}; Keras 3's has one. Put a "
                "Reshape before and after it that makes the axes one, and save the model again."
            )
        settings["axis"] = axis[0] if len(axis) == 1 else list(axis)
    if type(layer).__name__ == "SyncBatchNormalization":
        settings["synchronized"] = True
    return kind(**settings)


def _with_vocabulary(layer: Any, kind: type, settings: dict[str, Any]) -> keras.Layer:
    """Give as a setting what Keras 2 keeps as a table."""
    vocabulary = layer.get_vocabulary(include_special_tokens=False)
    settings["vocabulary"] = list(vocabulary)
    if settings.get("output_mode") != "int":
        settings["dtype"] = keras.config.floatx()
    if settings.get("output_mode") == "tf_idf":
        weights = lookup_layer(layer).idf_weights.numpy()
        settings["idf_weights"] = weights[len(weights) - len(vocabulary) :]
    return kind(**settings)


def _with_boundaries(layer: Any, kind: type, settings: dict[str, Any]) -> keras.Layer:
    boundaries = [float(each) for each in layer.bin_boundaries]
    return kind(**settings | {"bin_boundaries": boundaries, "num_bins": None})


_ADJUSTED: Mapping[str, Callable[[Any, type, dict[str, Any]], keras.Layer]] = {
    "BatchNormalization": _one_axis,
    "Discretization": _with_boundaries,
    "IntegerLookup": _with_vocabulary,
    "LayerNormalization": _one_axis,
    "StringLookup": _with_vocabulary,
    "TextVectorization": _with_vocabulary,
}
"""Class -> what makes a layer of the settings, where they need more than new names."""


def _lambda(layer: Any) -> keras.Layer:
    return keras.layers.Lambda(
        layer.function, arguments=layer.arguments, mask=layer.mask, name=layer.name, dtype=policy(layer)
    )


def _without_chance(layer: Any) -> keras.Layer:
    warnings.warn(
        f"Keras 3 has no layer that does what {type(layer).__name__} does, so {layer.name!r} leaves "
        "nothing to chance any more: it does in training what it does in inference.",
        stacklevel=2,
    )
    if type(layer).__name__ == "RandomCrop":
        return keras.layers.Resizing(layer.height, layer.width, crop_to_aspect_ratio=True, name=layer.name)
    return keras.layers.Identity(name=layer.name)


_SPECIAL: Mapping[str, Callable[[Any], keras.Layer]] = {
    "Lambda": _lambda,
    "RandomCrop": _without_chance,
    "RandomHeight": _without_chance,
    "RandomWidth": _without_chance,
}
"""Class -> what makes a layer that has other settings."""
