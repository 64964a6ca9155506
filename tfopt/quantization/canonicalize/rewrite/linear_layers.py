"""Layers that are several operators in a file, such as a kernel with an activation, or none."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from tfopt.graph import StructuralCopy
from tfopt.quantization.canonicalize.rewrite.activations import activated
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.operators.activations import activation_name

Tensor: TypeAlias = keras.KerasTensor


def split_activation(context: RewriteContext, layer: Any, x: Tensor) -> Tensor:
    """Return the layer without its activation, and that after it.

    It keeps its very variables, which code may read too: `x @ ops.transpose(self.dense.kernel)`.
    """
    inner = {id(weight) for weight in getattr(layer.activation, "weights", ())}
    if not inner:
        return _activated(context, layer, context.layer(lambda name: _linear(layer, name))(x))
    config = layer.get_config() | {"activation": "linear"}
    del config["name"]
    weights = [weight for weight in layer.weights if id(weight) not in inner]
    bare = context.layer(lambda name: type(layer).from_config(config | {"name": name}), weights=weights)
    return _activated(context, layer, bare(x))


def _linear(layer: Any, name: str) -> keras.Layer:
    bare = StructuralCopy(share_variables=True)(layer)
    bare.activation, bare.name = keras.activations.linear, name
    return bare


def split_separable(context: RewriteContext, layer: Any, x: Tensor) -> Tensor:
    """Return a depthwise convolution, then a pointwise one, then the activation."""
    two = isinstance(layer, keras.layers.SeparableConv2D)
    shared = {
        "padding": layer.padding,
        "data_format": layer.data_format,
        "dtype": layer.dtype_policy,
        "trainable": layer.trainable,
    }
    depthwise = context.part("depthwise").layer(
        keras.layers.DepthwiseConv2D if two else keras.layers.DepthwiseConv1D,
        layer.kernel_size,
        strides=layer.strides,
        dilation_rate=layer.dilation_rate,
        depth_multiplier=layer.depth_multiplier,
        use_bias=False,
        depthwise_regularizer=layer.depthwise_regularizer,
        depthwise_constraint=layer.depthwise_constraint,
        weights=[layer.depthwise_kernel],
        **shared,
    )
    pointwise = context.part("pointwise").layer(
        keras.layers.Conv2D if two else keras.layers.Conv1D,
        layer.filters,
        1,
        use_bias=layer.use_bias,
        kernel_regularizer=layer.pointwise_regularizer,
        kernel_constraint=layer.pointwise_constraint,
        bias_regularizer=layer.bias_regularizer,
        bias_constraint=layer.bias_constraint,
        weights=[layer.pointwise_kernel, *([layer.bias] if layer.use_bias else [])],
        **{**shared, "padding": "valid"},
    )
    return _activated(context, layer, pointwise(depthwise(x)))


def activity_regularization(context: RewriteContext, layer: Any, x: Tensor) -> Tensor:
    """Return the input: without its penalty, which is added elsewhere, nothing is left of the layer."""
    same = x.dtype == layer.compute_dtype
    return x if same else context.layer(keras.layers.Identity, dtype=layer.compute_dtype)(x)


def _activated(context: RewriteContext, layer: Any, x: Tensor) -> Tensor:
    name = activation_name(layer)
    return x if name == "linear" else activated(context.part(name), layer.activation, x)
