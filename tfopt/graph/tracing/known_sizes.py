"""Sizes that Keras knows and does not say.

An EinsumDense returns the sizes that it was told, `output_shape=(None, heads, size)`, where its input says
how many steps there are. Code that asks for them would get None.
"""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import _keras


def note_sizes(layer: Any, result: Any, x: Any = None, *_: Any) -> None:
    """Let the result of an EinsumDense have the sizes that its equation takes from `x`, its input."""
    tensors = isinstance(x, keras.KerasTensor) and isinstance(result, keras.KerasTensor)
    if not isinstance(layer, keras.layers.EinsumDense) or not tensors:
        return
    terms, made = layer.equation.replace(" ", "").split("->")
    read = terms.split(",")[0]
    if "..." in layer.equation or None not in result.shape or len(read) != len(x.shape):
        return
    sizes = dict(zip(read, x.shape, strict=True))
    shape = tuple(
        sizes.get(axis) if size is None else size for axis, size in zip(made, result.shape, strict=True)
    )
    _keras.set_shape(result, shape)
