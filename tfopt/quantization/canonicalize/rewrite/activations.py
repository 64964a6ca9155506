"""Activations made of operators that have fast int8 kernels.

HARD_SWISH and a standalone clip run 30 to 50 times slower in int8 than in float where the delegate does
not take them; the sums, products and ReLU6 that they are made of do not.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.named_functions import named
from tfopt.quantization.canonicalize.rewrite.arithmetic import product, scaled
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.operators.activations import ACTIVATIONS, activation_traits

Tensor: TypeAlias = keras.KerasTensor


def activated(context: RewriteContext, function: Any, x: Tensor) -> Tensor:
    """Return `function(x)`, of simpler operations where there is a rule."""
    known = ACTIVATIONS.get(getattr(function, "__name__", ""))
    if known is not None and known.rewrite is not None:
        return named("rewrite", known.rewrite)(context, None, x)
    return _layer(context, function, x)


def activation(context: RewriteContext, layer: Any, x: Tensor) -> Tensor | None:
    """Rewrite the layer Activation."""
    rewrite = activation_traits(layer).rewrite
    return None if rewrite is None else named("rewrite", rewrite)(context, layer, x)


def relu(context: RewriteContext, layer: Any, x: Tensor) -> Tensor | None:
    """Rewrite a ReLU with a slope, or with a ceiling other than 6, the only one that LiteRT fuses."""
    if layer.threshold != 0:
        return None
    slope, ceiling = float(layer.negative_slope), layer.max_value
    if slope and ceiling is None:
        return context.layer(keras.layers.LeakyReLU, slope, dtype=x.dtype)(x)
    return None if slope or ceiling in (None, 6) or ceiling <= 0 else _capped(context, x, float(ceiling))


def clip(context: RewriteContext, clip: Any, x: Tensor) -> Tensor | None:
    """Rewrite `clip(x, low, high)` as a ReLU with a ceiling: `low + relu(x - low, high - low)`."""
    limits = clip.x_min, clip.x_max
    if not all(isinstance(limit, (int, float)) for limit in limits) or not limits[0] < limits[1]:
        return None
    low, height = float(limits[0]), float(limits[1] - limits[0])
    above = scaled(context.part("above"), x, 1.0, -low)
    if above is None:
        return None
    return scaled(context, _capped(context.part("capped") if low else context, above, height), 1.0, low)


def _capped(context: RewriteContext, x: Tensor, ceiling: float) -> Tensor:
    if ceiling == 6.0:
        return _layer(context, "relu6", x)
    x = scaled(context.part("to_6"), x, 6.0 / ceiling, 0.0)
    return scaled(context, _layer(context.part("relu6"), "relu6", x), ceiling / 6.0, 0.0)


def silu(context: RewriteContext, _: Any, x: Tensor) -> Tensor:
    """Rewrite `x * sigmoid(x)`."""
    return product(context, x, _layer(context.part("sigmoid"), "sigmoid", x))


def hard_sigmoid(context: RewriteContext, _: Any, x: Tensor) -> Tensor:
    """Rewrite `relu6(x + 3) / 6`."""
    x = scaled(context.part("plus_3"), x, 1.0, 3.0)
    return scaled(context, _layer(context.part("relu6"), "relu6", x), 1.0 / 6.0, 0.0)


def hard_silu(context: RewriteContext, _: Any, x: Tensor) -> Tensor:
    """Rewrite `x * hard_sigmoid(x)`."""
    return product(context, x, hard_sigmoid(context.part("hard_sigmoid"), None, x))


def mish(context: RewriteContext, _: Any, x: Tensor) -> Tensor:
    """Rewrite `x * tanh(softplus(x))`."""
    softplus = _layer(context.part("softplus"), "softplus", x)
    return product(context, x, _layer(context.part("tanh"), "tanh", softplus))


def _layer(context: RewriteContext, function: Any, x: Tensor) -> Tensor:
    if isinstance(function, keras.Layer):
        config = {key: value for key, value in function.get_config().items() if key != "name"}
        return context.layer(type(function), weights=function.weights, **config)(x)
    return context.layer(keras.layers.Activation, function, dtype=x.dtype)(x)
