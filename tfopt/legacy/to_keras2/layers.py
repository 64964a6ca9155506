"""Layers of Keras 3 as layers of tf_keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.legacy._keras import given_output_shape
from tfopt.legacy.activations import SAME
from tfopt.legacy.settings import FUNCTIONS, OBJECTS, PARTS, Omitted, means_nothing, settings_of

_RENAMED = {"LeakyReLU": {"negative_slope": "alpha"}}
"""Class -> setting in Keras 3 -> setting in tf_keras."""

_OMITTED: Omitted = {
    "antialias": (False,),
    "data_format": ("channels_last",),
    "fill_mode": ("constant",),
    "fill_value": (0.0,),
    "noise_shape": (None,),
    "oov_method": ("floormod",),
    "pad_to_aspect_ratio": (False,),
    "quantization_config": (None,),
    "renorm": (False,),
    "renorm_clipping": None,
    "renorm_momentum": None,
    "rms_scaling": (False,),
    "salt": (None,),
    "seed": None,
    "sliding_window": (None,),
    "synchronized": None,
    "use_gate": (False,),
    "zero_output_for_mask": (False,),
}

_GIVEN: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "Lambda": lambda layer: {
        "function": layer.function,
        "output_shape": given_output_shape(layer),
        "mask": layer.mask,
        "arguments": layer.arguments,
    }
}
"""Class -> the settings that its config holds as bytecode or text, as they were given."""

_BROKEN = {"SpectralNormalization"}
"""What tf_keras has and cannot build next to Keras 3: it asks `tf.keras`, then Keras 3, for a part of it."""


def parts(layer: keras.Layer) -> dict[str, keras.Layer]:
    """Return the layers that a layer was given, under the names of the arguments."""
    return PARTS[type(layer).__name__](layer) if type(layer).__name__ in PARTS else {}


def counterpart(layer: keras.Layer, held: Mapping[str, Any]) -> Any | None:
    """Return a tf_keras layer of the same name and settings, or None where there is none.

    Args:
        layer: a Keras 3 layer.
        held: the counterparts of its `parts`.
    """
    import tf_keras

    name = type(layer).__name__
    made = getattr(tf_keras.layers, name, None)
    if not type(layer).__module__.startswith("keras.") or made is None or name in _BROKEN:
        return None
    known = settings_of(made) | ({"zero_output_for_mask"} if issubclass(made, tf_keras.layers.RNN) else set())
    renamed = _RENAMED.get(name, {})
    settings = {}
    for key, value in layer.get_config().items():
        key = renamed.get(key, key)
        if key in known:
            settings[key] = value
        elif not means_nothing(_OMITTED, key, value):
            return None
    settings |= _GIVEN[name](layer) if name in _GIVEN else {}
    settings["dtype"] = layer.dtype_policy.name
    for key, value in settings.items():
        if key in FUNCTIONS and not (value is None or (isinstance(value, str) and value in SAME)):
            settings[key] = _function(getattr(layer, key))
        elif isinstance(value, dict) and key.endswith(OBJECTS):
            settings[key] = _object(value, getattr(layer, key, None))
    if "cells" in settings:
        held = {"cells": list(held.values())}
    return made(**{**settings, **held})


def _object(config: dict[str, Any], value: Any) -> Any:
    """Return an initializer, regularizer or constraint of tf_keras, or Keras 3's where it has none."""
    import tf_keras

    for kinds in (tf_keras.initializers, tf_keras.regularizers, tf_keras.constraints):
        kind = getattr(kinds, config["class_name"], None)
        if kind is not None and config["module"] == "keras." + kinds.__name__.rpartition(".")[2]:
            known = settings_of(kind)
            return kind(**{key: each for key, each in config["config"].items() if key in known})
    return None if isinstance(value, keras.initializers.Initializer) else value


def _function(activation: Any) -> Any:
    """Return an activation function so that tf_keras can save it."""
    import tf_keras

    if isinstance(activation, keras.Layer):
        return counterpart(activation, {})
    name = getattr(activation, "__name__", type(activation).__name__)
    return tf_keras.saving.register_keras_serializable("tfopt", name)(activation)
