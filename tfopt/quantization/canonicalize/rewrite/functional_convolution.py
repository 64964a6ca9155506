"""`ops.conv` and `ops.depthwise_conv` with a kernel that the model holds, as layers: own layers call them."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from tfopt.graph import Constant, Node, producer
from tfopt.quantization.canonicalize.masked_kernels import masked_kernel
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.scaling import Scaling

Tensor: TypeAlias = keras.KerasTensor

_LAYERS: dict[tuple[str, int], type[keras.layers.Layer]] = {
    ("Conv", 1): keras.layers.Conv1D,
    ("Conv", 2): keras.layers.Conv2D,
    ("DepthwiseConv", 1): keras.layers.DepthwiseConv1D,
    ("DepthwiseConv", 2): keras.layers.DepthwiseConv2D,
}
"""The operation and its spatial dimensions -> the layer that does the same."""


def layer_of(context: RewriteContext, operation: Any, x: Tensor, kernel: Any) -> Tensor | None:
    """Rewrite a convolution whose kernel is a variable or an array as a layer; None for computed kernels.

    A number that the kernel is multiplied by, as an equalized learning rate has it, comes after the layer.
    A mask of zeros and ones is held by the kernel itself.
    """
    node = producer(kernel) if isinstance(kernel, keras.KerasTensor) else None
    factor = _factor(node)
    if node is not None and factor is not None:
        result = layer_of(context.part("unscaled"), operation, x, node.inputs[0])
        return None if result is None else context.layer(Scaling, factor, 0.0, dtype=x.dtype)(result)
    name = type(operation).__name__
    sizes = kernel.shape
    layer = _LAYERS.get((name, len(sizes) - 2))
    held = masked_kernel(kernel) or _held(context, kernel)
    if layer is None or held is None or operation.data_format == "channels_first":
        return None
    prefix = "depthwise" if name == "DepthwiseConv" else "kernel"
    shared = {
        f"{prefix}_regularizer": held.regularizer,
        f"{prefix}_constraint": held.constraint,
        "strides": operation.strides,
        "padding": operation.padding,
        "dilation_rate": operation.dilation_rate,
        "use_bias": False,
        "trainable": held.trainable,
        "weights": [held.value],
        "dtype": keras.dtype_policies.get(x.dtype),
    }
    if name == "DepthwiseConv":
        convolution = context.layer(layer, sizes[:-2], depth_multiplier=sizes[-1], **shared)
    else:
        groups = x.shape[-1] // sizes[-2]
        convolution = context.layer(layer, sizes[-1], sizes[:-2], groups=groups, **shared)
    convolution.tfopt_of_code = True
    return convolution(x)


def _factor(node: Node | None) -> float | None:
    """Return the number that a call multiplies by, None where it does something else."""
    if node is None or not isinstance(node.operation, Scaling) or node.operation.offset != 0.0:
        return None
    return node.operation.scale if isinstance(node.operation.scale, float) else None


def _held(context: RewriteContext, kernel: Any) -> Constant | None:
    """Return the layer that holds a kernel, None where it is computed."""
    if not isinstance(kernel, keras.KerasTensor):
        return Constant.of(kernel, context.name)
    node = producer(kernel)
    return node.operation if node is not None and isinstance(node.operation, Constant) else None
