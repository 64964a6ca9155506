"""Softmax under a mask, as a softmax of scores that the mask has pushed down."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import Constant
from tfopt.quantization.arithmetic_rewrites import scaled
from tfopt.quantization.operations import Kind
from tfopt.quantization.place import Place

Tensor: TypeAlias = keras.KerasTensor

DOWN = -128.0
"""What is added to a masked score. Keras adds -1e9, and integers would know nothing but that."""

MINUS_INFINITY = -1e3
"""A constant below it in the place of a score stands for a mask."""

BELOW = 16.0
"""How far below the smallest score a masked one stays: `exp(-16)` is a hundred-thousandth of an int8 step."""


@keras.saving.register_keras_serializable(package="tfopt")
class MaskedScores(keras.layers.Layer):
    """Returns `scores + bias`, cut off at `BELOW` under the smallest score, which keeps the range narrow.

    Exported as a sum: the range of what follows cuts off by itself.
    """

    tfopt_kind = Kind.SUM

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the masked scores, of the shape of the scores."""
        scores, bias = inputs
        floor = tf.stop_gradient(tf.reduce_min(scores)) - tf.cast(BELOW, scores.dtype)
        return tf.maximum(scores + tf.cast(bias, scores.dtype), floor)

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Return the shape of the scores."""
        return tuple(input_shape[0])

    def lower(self) -> keras.layers.Layer:
        """Return a sum."""
        return keras.layers.Add(name=self.name, dtype="float32")


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


def softmax(place: Place, layer: Any, x: Tensor, mask: Any = None) -> Tensor | None:
    """Rewrite a Softmax over the last axis that has a mask: a tensor or array, 1 where scores count.

    A row that is masked altogether becomes uniform, as in Keras's fused attention; its layer returns zeros.
    """
    axes = layer.axis if isinstance(layer.axis, (tuple, list)) else (layer.axis,)
    if [axis % len(x.shape) for axis in axes] != [len(x.shape) - 1]:
        return None
    if mask is None:
        return None if layer.axis == -1 else _softmax(place, x)
    return _softmax(place, _masked(place, x, mask))


def where(place: Place, _: Any, mask: Any, x: Any, other: Any) -> Tensor | None:
    """Rewrite `where(mask, scores, -1e9)`, which is a mask too."""
    if not isinstance(x, keras.KerasTensor) or isinstance(other, keras.KerasTensor) or np.ndim(other) > 0:
        return None
    known_shape = len(mask.shape) <= len(x.shape) and keras.backend.is_float_dtype(x.dtype)
    return _masked(place, x, mask) if float(other) <= MINUS_INFINITY and known_shape else None


def _masked(place: Place, x: Tensor, mask: Any) -> Tensor:
    if isinstance(mask, keras.KerasTensor):
        kept = mask
        if not keras.backend.is_float_dtype(mask.dtype):
            kept = place.part("kept").layer(AsFloat, dtype=x.dtype)(mask)
        bias = scaled(place.part("bias"), kept, -DOWN, DOWN)
    else:
        array = (np.asarray(mask).astype("float32") > 0.5).astype("float32")
        bias = place.part("bias").layer(Constant.of, (1.0 - array) * DOWN)(place.reference)
    return place.part("masked").layer(MaskedScores, dtype=x.dtype)([x, bias])


def _softmax(place: Place, x: Tensor) -> Tensor:
    return place.layer(keras.layers.Softmax, dtype=x.dtype)(x)
