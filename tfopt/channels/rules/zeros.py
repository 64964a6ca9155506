"""What functions of single elements make of zero."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

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


def keeps_zero(function: Any) -> bool:
    """Return whether a function of each element, or an operation that is one, makes zero of zero."""
    if function is None:
        return True
    with np.errstate(all="ignore"):
        value = np.asarray(function(np.zeros(1, "float32")))
    return bool((value == 0).all())


def finite_at_zero(function: Any) -> bool:
    """Return whether a function of each element makes a finite number of zero."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.asarray(function(np.zeros(1, "float32"))).astype("float32")).all())
