"""The layer Masking: in the graph its mask is an operation of its own."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Parts


def masking(_: Parts, layer: Any, x: keras.KerasTensor) -> keras.KerasTensor:
    """Decompose Masking into what it returns: its input, for steps that it masks are zero already.

    Raises:
        UnsupportedOperation: it masks another value than 0, which a grid of integers may not hold.
    """
    if layer.mask_value != 0:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} (Masking) masks steps of the value {layer.mask_value}, and only 0 is "
            "in every grid of integers: pad sequences with 0 and build it with mask_value=0."
        )
    return x
