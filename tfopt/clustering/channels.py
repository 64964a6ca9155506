"""Which axes of a kernel number the output channels."""

from __future__ import annotations

import keras

from tfopt.measure.kernels import Kernel


def channel_axes(kernel: Kernel) -> tuple[int, ...]:
    """Return the axes of a kernel that number its output channels, counted from the end."""
    layer = kernel.layer
    axes: tuple[int, ...] = (-1,)
    if isinstance(layer, keras.layers.EinsumDense):
        _, weights, outputs = layer.equation.replace("->", ",").replace("...", "").split(",")
        axes = tuple(i - len(weights) for i, label in enumerate(weights) if label in outputs) or axes
    elif "depthwise" in (kernel.constraint_attribute or ""):
        axes = (-2, -1)
    elif isinstance(layer, _TRANSPOSED):
        axes = (-2,)
    return axes


_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)
