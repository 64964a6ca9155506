"""The table of rewritings: the name of a Keras class -> the simpler operations that it is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt.quantization import (
    activation_rewrites,
    arg_max,
    arithmetic_rewrites,
    error_function,
    finite_gradients,
    functional_convolution,
    kernels_in_code,
    layer_rewrites,
    mask_rewrites,
    norm_rewrites,
    shape_rewrites,
    softmax_rewrites,
)
from tfopt.quantization.place import Place

Rewrite = Callable[..., Any]
"""Called with a place, the operation and its arguments; returns its output, or None to keep the operation."""

REWRITES: dict[str, Rewrite] = {
    **dict.fromkeys(("Conv1D", "Conv2D", "Conv2DTranspose", "Dense"), layer_rewrites.split_activation),
    **dict.fromkeys(
        ("DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose", "Conv3D"), layer_rewrites.split_activation
    ),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D"), layer_rewrites.split_separable),
    **dict.fromkeys(("Conv", "DepthwiseConv"), functional_convolution.layer_of),
    "Activation": activation_rewrites.activation,
    "ActivityRegularization": layer_rewrites.activity_regularization,
    "ReLU": activation_rewrites.relu,
    "Silu": activation_rewrites.operation("silu"),
    "HardSigmoid": activation_rewrites.operation("hard_sigmoid"),
    "HardSilu": activation_rewrites.operation("hard_silu"),
    "Clip": activation_rewrites.clip,
    "Add": mask_rewrites.add,
    "Subtract": mask_rewrites.subtract,
    "Multiply": mask_rewrites.multiply,
    "TrueDivide": mask_rewrites.divide,
    "Divide": mask_rewrites.divide,
    "Reciprocal": arithmetic_rewrites.reciprocal,
    "Negative": arithmetic_rewrites.negative,
    "Square": arithmetic_rewrites.square,
    "Power": arithmetic_rewrites.power,
    **{
        name.capitalize(): finite_gradients.rewriting(name)
        for name in ("sqrt", "rsqrt", "log", "log2", "log10", "cbrt")
    },
    "Std": finite_gradients.rewriting("std", "axis", "keepdims"),
    "Norm": finite_gradients.rewriting("norm", "ord", "axis", "keepdims"),
    "Cast": shape_rewrites.cast,
    "Take": shape_rewrites.take,
    "Average": arithmetic_rewrites.average,
    "Maximum": arithmetic_rewrites.maximum,
    "Minimum": arithmetic_rewrites.minimum,
    "CustomScaleLayer": arithmetic_rewrites.scaled_sum,
    "Rescaling": arithmetic_rewrites.rescaling,
    "Normalization": arithmetic_rewrites.normalization,
    "LayerNormalization": norm_rewrites.layer,
    "RMSNormalization": norm_rewrites.rms,
    "GroupNormalization": norm_rewrites.group,
    "UnitNormalization": norm_rewrites.unit,
    "Normalize": norm_rewrites.normalize,
    "LayerNorm": norm_rewrites.layer_operation,
    "RMSNorm": norm_rewrites.rms_operation,
    "Softmax": softmax_rewrites.softmax,
    "Matmul": kernels_in_code.matmul,
    "Where": mask_rewrites.where,
    "Argmax": arg_max.rewriting(smallest=False),
    "Argmin": arg_max.rewriting(smallest=True),
    "Reshape": shape_rewrites.reshape,
    "ConvertToTensor": shape_rewrites.same,
    "Copy": shape_rewrites.same,
    "Real": shape_rewrites.same,
    "Conjugate": shape_rewrites.same,
    "NanToNum": shape_rewrites.same,
    "ZerosLike": shape_rewrites.filled(0.0),
    "OnesLike": shape_rewrites.filled(1.0),
    "Squeeze": shape_rewrites.squeeze,
    "Erf": error_function.erf,
    "BroadcastTo": shape_rewrites.broadcast_to,
    "Tile": shape_rewrites.tile,
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
