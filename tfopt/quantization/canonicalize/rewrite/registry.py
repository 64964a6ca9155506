"""The table of rewritings: the name of a Keras class -> the simpler operations that it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt.quantization.canonicalize.rewrite import (
    activations,
    arg_max,
    arithmetic,
    attention_masks,
    error_function,
    finite_gradients,
    functional_convolution,
    functional_dense,
    linear_layers,
    normalization,
    shapes,
    softmax,
)
from tfopt.quantization.canonicalize.rewrite_context import Place

Rewrite = Callable[..., Any]
"""Called with a place, the operation and its arguments; returns its output, or None to keep the operation."""

REWRITES: dict[str, Rewrite] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv2DTranspose", "Dense"), linear_layers.split_activation),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv3D"), linear_layers.split_activation
    ),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), linear_layers.split_separable),
    **dict.fromkeys(("Conv", "DepthwiseConv"), functional_convolution.layer_of),
    "Activation": activations.activation,
    "ActivityRegularization": linear_layers.activity_regularization,
    "ReLU": activations.relu,
    "Silu": activations.operation("silu"),
    "HardSigmoid": activations.operation("hard_sigmoid"),
    "HardSilu": activations.operation("hard_silu"),
    "Clip": activations.clip,
    "Add": attention_masks.add,
    "Subtract": attention_masks.subtract,
    "Multiply": attention_masks.multiply,
    "TrueDivide": attention_masks.divide,
    "Divide": attention_masks.divide,
    "Reciprocal": arithmetic.reciprocal,
    "Negative": arithmetic.negative,
    "Square": arithmetic.square,
    "Power": arithmetic.power,
    **{
        name.capitalize(): finite_gradients.rewriting(name)
        for name in ("sqrt", "rsqrt", "log", "log2", "log10", "cbrt")
    },
    "Std": finite_gradients.rewriting("std", "axis", "keepdims"),
    "Norm": finite_gradients.rewriting("norm", "ord", "axis", "keepdims"),
    "Cast": shapes.cast,
    "Take": shapes.take,
    "Average": arithmetic.average,
    "Maximum": arithmetic.maximum,
    "Minimum": arithmetic.minimum,
    "CustomScaleLayer": arithmetic.scaled_sum,
    "Rescaling": arithmetic.rescaling,
    "Normalization": arithmetic.normalization,
    "LayerNormalization": normalization.layer,
    "RMSNormalization": normalization.rms,
    "GroupNormalization": normalization.group,
    "UnitNormalization": normalization.unit,
    "Normalize": normalization.normalize,
    "LayerNorm": normalization.layer_operation,
    "RMSNorm": normalization.rms_operation,
    "Softmax": softmax.softmax,
    "Matmul": functional_dense.matmul,
    "Where": attention_masks.where,
    "Argmax": arg_max.rewriting(smallest=False),
    "Argmin": arg_max.rewriting(smallest=True),
    "Reshape": shapes.reshape,
    "ConvertToTensor": shapes.same,
    "Copy": shapes.same,
    "Real": shapes.same,
    "Conjugate": shapes.same,
    "NanToNum": shapes.same,
    "ZerosLike": shapes.filled(0.0),
    "OnesLike": shapes.filled(1.0),
    "Squeeze": shapes.squeeze,
    "Erf": error_function.erf,
    "BroadcastTo": shapes.broadcast_to,
    "Tile": shapes.tile,
}


def rewritten(place: Place, operation: keras.Operation, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Return the output of simpler operations in place of `operation`, or None where it stays.

    Args:
        place: where the new layers go.
        operation: what the model calls.
        args, kwargs: what it is called with, in the new model.
    """
    if not type(operation).__module__.startswith("keras."):
        return None  # a user's subclass may do anything
    rewrite = REWRITES.get(type(operation).__name__)
    if rewrite is None:
        return None
    # Keras notes for every layer in a layer whether it trains; a functional model tells it anew.
    kwargs = {name: value for name, value in kwargs.items() if name != "training"}
    return rewrite(place, operation, *args, **kwargs)
