"""Activations: most are functions of single elements, some compute with several channels at a time."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.channels.rule import Call, Layout

MIXING = frozenset({"softmax", "log_softmax", "sparsemax", "glu"})
"""Activations that compute with several channels at a time, by name."""


def is_elementwise(activation: Any) -> bool:
    """Return whether an activation is a function of Keras of each element by itself."""
    if activation is None:
        return True
    if isinstance(activation, keras.Layer):
        return False
    name = getattr(activation, "__name__", "")
    return getattr(keras.activations, name, None) is activation and name not in MIXING


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
        fixed = call.fix(layout, f"has the activation {name}, which is not one of Keras's")
    return fixed.with_axes(fixed.axes, zero=False)
