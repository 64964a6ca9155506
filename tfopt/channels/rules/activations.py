"""Activations: most are functions of single elements, some compute with several channels at a time."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.channels.rule import Call, Layout
from tfopt.graph import Node, NotSymbolic, nodes, traced
from tfopt.graph.tracing.variables import Constants

MIXING = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})
"""Activations that compute with several channels at a time, by name."""


FUNCTIONS = (
    "Absolute Fabs Negative Square Sqrt Rsqrt Cbrt Reciprocal Sign Signbit Exp Exp2 Expm1 Log Log10 "
    "Log1p Log2 Sin Cos Tan Sinc Arcsin Arccos Arctan Arcsinh Arccosh Arctanh Sinh Cosh Tanh Erf Erfc "
    "Erfinv I0 Deg2rad Rad2deg Floor Ceil Round Trunc Relu Relu6 Sigmoid SparseSigmoid Softplus "
    "Softsign SoftShrink SparsePlus Silu Squareplus LogSigmoid LeakyRelu HardSigmoid HardSilu Elu Selu "
    "Gelu Celu TanhShrink HardTanh HardShrink Threshold Clip NanToNum Isfinite Isinf Isnan Isneginf "
    "Isposinf LogicalNot Real Conjugate Copy StopGradient Cast SaturateCast ConvertToTensor ZerosLike "
    "OnesLike"
)
"""Operations on single elements of one tensor."""

_OF_TWO = (
    "Add Subtract Multiply Divide TrueDivide Maximum Minimum Power Where Greater GreaterEqual Less LessEqual"
)
_LAYERS = "Activation ReLU LeakyReLU ELU Identity"

_ELEMENTWISE = frozenset(f"{FUNCTIONS} {_OF_TWO} {_LAYERS}".split())


def is_elementwise(activation: Any) -> bool:
    """Return whether an activation is a function of each element by itself: Keras's, or code of such ones."""
    if activation is None or is_of_keras(activation):
        return getattr(activation, "__name__", None) not in MIXING
    if isinstance(activation, keras.Layer) and activation.variables:
        return False
    inputs = keras.Input((3, 5))
    try:
        outputs = traced(keras.layers.Identity(), inputs, Constants(), lambda x, _: activation(x))
    except NotSymbolic:
        return False
    graph = keras.Model(inputs, outputs)
    called = nodes(graph)
    return all(_is_of_single(node) for node in called) and graph.outputs[0].shape == inputs.shape


def is_of_keras(activation: Any) -> bool:
    """Return whether an activation is one of `keras.activations`."""
    return getattr(keras.activations, getattr(activation, "__name__", ""), None) is activation


def _is_of_single(node: Node) -> bool:
    """Return whether a call of Keras computes with single elements, and with numbers that are for all."""
    operation = node.operation
    if isinstance(operation, keras.layers.Activation):
        return is_elementwise(operation.activation)
    arrays = [x for x in keras.tree.flatten((node.args, node.kwargs)) if hasattr(x, "shape")]
    alone = all(isinstance(x, keras.KerasTensor) or not x.shape for x in arrays)
    known = type(operation).__name__ in _ELEMENTWISE and type(operation).__module__.startswith("keras.")
    return known and alone


def at_zero(function: Any) -> float:
    """Return what a function of single elements, or an operation that is one, makes of zero."""
    if function is None:
        return 0.0
    with np.errstate(all="ignore"):
        return float(np.asarray(function(np.zeros(1, "float32"))).astype("float32")[0])


def keeps_zero(function: Any) -> bool:
    """Return whether a function of single elements makes zero of zero."""
    return at_zero(function) == 0.0


def activated(call: Call, layout: Layout, activation: Any) -> Layout:
    """Return the layout after an activation; some let the units that they read stay.

    Args:
        call: of the layer that has it.
        layout: of what it is given.
        activation: a function or a layer; None for none.
    """
    if layout.fixed:
        return layout
    if is_elementwise(activation):
        return layout.with_axes(layout.axes, layout.zero and keeps_zero(activation))
    name = getattr(activation, "__name__", type(activation).__name__)
    if name in MIXING:
        others = range(len(layout.axes) - 1)
        fixed = call.fix(layout, f"has the activation {name}, which computes with all channels", but=others)
    else:
        fixed = call.fix(layout, f"has the activation {name}, whose code could not be followed")
    return fixed.with_axes(fixed.axes, zero=False)
