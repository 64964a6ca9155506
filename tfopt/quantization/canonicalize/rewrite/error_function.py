"""The error function, for which LiteRT has no operator, in elementary ones."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.operators.op_traits import Kind, OpTraits

_P = 0.3275911
_COEFFICIENTS = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


@keras.saving.register_keras_serializable(package="tfopt")
class ErrorFunction(keras.layers.Layer):
    """`erf(x)` to 1.5e-7.

    Reference:
        Abramowitz and Stegun, 1964, Handbook of Mathematical Functions, formula 7.1.26.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT)

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the error function of each element."""
        size = ops.abs(x)
        t = 1.0 / (1.0 + _P * size)
        series = ops.zeros_like(t)
        for coefficient in _COEFFICIENTS:
            series = (series + coefficient) * t
        return ops.sign(x) * (1.0 - series * ops.exp(-size * size))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape


def erf(context: RewriteContext, _: Any, x: keras.KerasTensor) -> keras.KerasTensor:
    """Rewrite `ops.erf`, such as that in a GELU that is written out."""
    return context.layer(ErrorFunction, dtype=x.dtype)(x)
