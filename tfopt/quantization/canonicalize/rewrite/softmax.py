"""Softmax under a mask, as a softmax of scores that the mask has pushed down."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import Constant
from tfopt.quantization.canonicalize.rewrite.arithmetic import of_rank, product, scaled
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.cast_to_float import AsFloat
from tfopt.quantization.operators.op_traits import Kind, OpTraits

Tensor: TypeAlias = keras.KerasTensor

DOWN = -128.0
"""What is added to a masked score. Keras adds -1e9, which would take all of a range."""

BELOW = 16.0
"""How far below the smallest score a masked one stays: `exp(-16)` is a hundred-thousandth of an int8 step."""


@keras.saving.register_keras_serializable(package="tfopt")
class MaskedScores(keras.layers.Layer):
    """Returns `scores + bias`, cut off at `BELOW` under the smallest score, which keeps the range small.

    Exported as a sum: the range of what follows cuts off by itself.

    Args:
        in_float: whether the sum stays in float, where no range does. Then it is exported as it is.
    """

    tfopt_traits = OpTraits(kind=Kind.SUM)

    def __init__(self, in_float: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.in_float = in_float

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the masked scores, of the shape that the scores and the bias have together."""
        scores, bias = inputs
        floor = tf.stop_gradient(tf.reduce_min(scores)) - tf.cast(BELOW, scores.dtype)
        return tf.maximum(scores + tf.cast(bias, scores.dtype), floor)

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Return the shape of the sum: one that is broadcast has a size of 1."""
        return tuple(
            other if size == 1 else size for size, other in zip(*map(tuple, input_shape), strict=True)
        )

    def lower(self) -> keras.layers.Layer:
        """Return a sum, or this layer in float."""
        if self.in_float:
            return type(self)(in_float=True, name=self.name, dtype="float32")
        return keras.layers.Add(name=self.name, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "in_float": self.in_float}


def softmax(context: RewriteContext, layer: Any, x: Tensor, mask: Any = None) -> Tensor | None:
    """Rewrite a Softmax over the last axis that has a mask: a tensor or array, 1 where scores count.

    In a row that is masked altogether all scores are alike: the uniform row is multiplied by 0, as Keras's
    layer answers zeros.
    """
    axes = layer.axis if isinstance(layer.axis, (tuple, list)) else (layer.axis,)
    if [axis % len(x.shape) for axis in axes] != [len(x.shape) - 1]:
        return None
    if mask is None:
        return None if layer.axis == -1 else _softmax(context, x)
    counts = _rows(context, x, mask)
    if counts is None:
        return _softmax(context, masked(context, x, mask))
    return product(context, _softmax(context.part("weights"), masked(context, x, mask)), counts)


def _rows(context: RewriteContext, x: Tensor, mask: Any) -> Tensor | None:
    """Return 1 for rows in which any score counts, 0 for others; None where all rows have one."""
    if isinstance(mask, keras.KerasTensor):
        return keras.ops.max(_kept(context, x, mask), axis=-1, keepdims=True)
    rows = (np.asarray(mask).astype("float32") > 0.5).any(axis=-1, keepdims=True)
    if rows.all():
        return None
    return context.part("rows").layer(Constant.of, rows.astype("float32"))(context.reference)


def masked(context: RewriteContext, x: Tensor, mask: Any) -> Tensor:
    """Return scores that a mask has pushed down: a tensor or array, 1 or True where scores count."""
    if isinstance(mask, keras.KerasTensor):
        bias = scaled(context.part("bias"), _kept(context, x, mask), -DOWN, DOWN)
    else:
        array = (np.asarray(mask).astype("float32") > 0.5).astype("float32")
        bias = context.part("bias").layer(Constant.of, (1.0 - array) * DOWN)(context.reference)
    return pushed_down(context, x, bias)


def _kept(context: RewriteContext, x: Tensor, mask: Tensor) -> Tensor:
    """Return a mask as numbers of the type of `x`."""
    if keras.backend.is_float_dtype(mask.dtype):
        return mask
    return context.part("kept").layer(AsFloat, dtype=x.dtype)(mask)


def pushed_down(context: RewriteContext, x: Tensor, bias: Tensor) -> Tensor:
    """Return scores plus 0 where they count and `DOWN` where they do not."""
    x, bias = of_rank(x, len(bias.shape)), of_rank(bias, len(x.shape))
    return context.part("masked").layer(MaskedScores, dtype=x.dtype)([x, bias])


def _softmax(context: RewriteContext, x: Tensor) -> Tensor:
    return context.layer(keras.layers.Softmax, dtype=x.dtype)(x)
