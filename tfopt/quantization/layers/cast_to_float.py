"""Integers and booleans as numbers that can be quantized."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.quantization.canonicalize.rewrite_context import Place
from tfopt.quantization.operators.traits import Kind


@keras.saving.register_keras_serializable(package="tfopt")
class AsFloat(keras.layers.Layer):
    """Returns booleans or integers as numbers of the layer's compute dtype."""

    tfopt_kind = Kind.FLOAT

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the input, cast."""
        return keras.ops.cast(inputs, self.compute_dtype)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the input's shape."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)


def as_float(place: Place, x: keras.KerasTensor, constant: Any = 0.5) -> keras.KerasTensor:
    """Return `x`, as floats where it holds integers and `constant`, which it meets, is no integer."""
    if keras.backend.is_float_dtype(x.dtype) or np.asarray(constant).dtype.kind in "iub":
        return x
    return place.part("as_float").layer(AsFloat, dtype=keras.config.floatx())(x)
