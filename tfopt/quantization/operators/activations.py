"""What quantization knows of each activation of Keras: a table by the names of the functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfopt.quantization.operators.op_traits import Kind, OpTraits, Sign, table_of

_ROWS: tuple[tuple[str, OpTraits], ...] = (
    ("linear", OpTraits(kind=Kind.SAME_SCALE)),
    ("relu relu6", OpTraits(kind=Kind.RELU, sign=Sign.NON_NEGATIVE)),
    ("softmax sigmoid", OpTraits(kind=Kind.SIGMOID, sign=Sign.NON_NEGATIVE)),
    ("tanh", OpTraits(kind=Kind.TANH)),
    ("exponential", OpTraits(kind=Kind.OWN_RANGE, sign=Sign.NON_NEGATIVE)),
    ("leaky_relu gelu", OpTraits(kind=Kind.OWN_RANGE)),
    ("silu", OpTraits(rewrite="activations.silu")),
    ("hard_sigmoid", OpTraits(rewrite="activations.hard_sigmoid")),
    ("hard_silu", OpTraits(rewrite="activations.hard_silu")),
    ("mish", OpTraits(rewrite="activations.mish")),
    ("elu selu celu softplus softsign log_softmax log_sigmoid squareplus", OpTraits(kind=Kind.FLOAT)),
    ("soft_shrink hard_shrink tanh_shrink hard_tanh threshold", OpTraits(kind=Kind.FLOAT)),
    ("sparsemax sparse_plus sparse_sigmoid", OpTraits(kind=Kind.FLOAT)),
)

ACTIVATIONS: Mapping[str, OpTraits] = table_of(_ROWS)
"""The name of an activation -> what is known of it. Its rewrite is that of the operation of its name."""

_NOTHING = OpTraits()


def activation_name(layer: Any) -> str:
    """Return the name of a layer's `activation`, such as `"relu"`."""
    return getattr(layer.activation, "__name__", type(layer.activation).__name__)


def activation_traits(layer: Any) -> OpTraits:
    """Return what is known of a layer's `activation`; nothing of a function that users wrote."""
    return ACTIVATIONS.get(activation_name(layer), _NOTHING)
