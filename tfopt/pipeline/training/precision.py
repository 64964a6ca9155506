"""The precision that a run trains in: that of its model, or one that is asked for."""

from __future__ import annotations

from typing import Literal, get_args

import keras

from tfopt import _validation, graph

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]


def with_precision(caller: str, model: keras.Model, precision: Precision | None) -> keras.Model:
    """Return a copy of a model that computes in a precision, its weights in float32; the model for `None`.

    The layers that make the outputs compute in float32, as Keras advises: a loss of probabilities in 16 bits
    is none. Layers with another policy, such as float64, keep it.

    Args:
        caller: whom errors name.
        model: functional or Sequential.
        precision: the name of a dtype policy.

    Raises:
        InvalidArgumentError: it is another name.
    """
    if precision is None:
        return model
    _validation.choice(caller, "precision", precision, get_args(Precision))
    copied = graph.copy(model)
    last = {id(graph.operation_of(tensor)) for tensor in copied.outputs}
    for layer in graph.sublayers(copied):
        if isinstance(layer, keras.layers.InputLayer) or layer.dtype_policy.name not in get_args(Precision):
            continue
        layer.dtype_policy = keras.DTypePolicy("float32" if id(layer) in last else precision)
    return copied


def scaled(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> keras.optimizers.Optimizer:
    """Return an optimizer with a loss scale around it where layers of `model` compute in float16.

    Keras adds one by the policy of the model itself, which files do not hold: gradients of a model that was
        loaded
    would become zero.
    """
    half = any(layer.compute_dtype == "float16" for layer in graph.sublayers(model))
    if half and not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
