"""Integers and booleans as numbers that can be quantized."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.cast_to_float import AsFloat


def as_float(context: RewriteContext, x: keras.KerasTensor, constant: Any = 0.5) -> keras.KerasTensor:
    """Return `x`, as floats where it holds integers and `constant`, which it meets, is no integer."""
    if keras.backend.is_float_dtype(x.dtype) or np.asarray(constant).dtype.kind in "iub":
        return x
    return context.part("as_float").layer(AsFloat, dtype=keras.config.floatx())(x)
