"""A model before quantization: nested models flattened, separable convolutions split in two.

tensorflow-model-optimization refuses the first, and splits the second itself under names that tell nothing,
so that masks would not find their kernels.
"""

from __future__ import annotations

from typing import Any

import keras

from tfopt import graph

DEPTHWISE, POINTWISE = "_depthwise", "_pointwise"
"""What the names of the two parts of a separable convolution end in."""

_BOTH = ("padding", "data_format", "trainable", "dtype")
_DEPTHWISE = ("kernel_size", "strides", "dilation_rate", "depth_multiplier", "depthwise_regularizer")
_POINTWISE = (
    "filters",
    "use_bias",
    "activation",
    "bias_regularizer",
    "bias_constraint",
    "activity_regularizer",
)


def decomposed(model: keras.Model) -> keras.Model:
    """Return a copy of `model` with nested models flattened and each `SeparableConv2D` split."""
    copier = graph.Copier()
    parts: dict[int, tuple[keras.Layer, keras.Layer, keras.Layer]] = {}

    def emit(node: graph.Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        layer = node.operation
        if not isinstance(layer, keras.layers.SeparableConv2D):
            return copier(node)(*args, **kwargs)
        if id(layer) not in parts:
            parts[id(layer)] = (layer, *_split(layer, copier.name(node)))
        _, depthwise, pointwise = parts[id(layer)]
        return pointwise(depthwise(args[0]))

    result = graph.replay(model, emit)
    for layer, depthwise, pointwise in parts.values():
        first, *rest = layer.get_weights()
        depthwise.set_weights([first])
        pointwise.set_weights(rest)
    return result


def _split(layer: keras.layers.SeparableConv2D, name: str) -> tuple[keras.Layer, keras.Layer]:
    config = layer.get_config()
    both = {key: config[key] for key in _BOTH}
    first = both | {key: config[key] for key in _DEPTHWISE}
    second = both | {key: config[key] for key in _POINTWISE if key in config}
    first |= {"use_bias": False, "depthwise_constraint": config["depthwise_constraint"]}
    second |= {
        "kernel_size": 1,
        "kernel_regularizer": config["pointwise_regularizer"],
        "kernel_constraint": config["pointwise_constraint"],
    }
    return (
        keras.layers.DepthwiseConv2D.from_config(first | {"name": name + DEPTHWISE}),
        keras.layers.Conv2D.from_config(second | {"name": name + POINTWISE}),
    )
