"""Which variables of a layer are kernels: the weights that are multiplied, worth pruning and counting."""

from __future__ import annotations

import dataclasses

import keras

from tfopt import graph


@dataclasses.dataclass(frozen=True, eq=False)
class Kernel:
    """One kernel of one layer.

    Attributes:
        path: the path of the layer in the model.
        layer: the layer that owns the variable, out of any wrapper that tfopt put around it.
        variable: the weights.
        constraint_attribute: the name of the layer's attribute that holds the constraint of `variable`.
        by_default: whether pruning takes it unasked.
    """

    path: str
    layer: keras.Layer
    variable: keras.Variable
    constraint_attribute: str
    by_default: bool


_KERNEL = (("kernel", "kernel_constraint"),)
_DEPTHWISE = (("kernel", "depthwise_constraint"),)
_SEPARABLE = (("depthwise_kernel", "depthwise_constraint"), ("pointwise_kernel", "pointwise_constraint"))

_ATTRIBUTES: dict[type[keras.Layer], tuple[tuple[str, str], ...]] = {
    keras.layers.Dense: _KERNEL,
    keras.layers.EinsumDense: _KERNEL,
    keras.layers.Conv1D: _KERNEL,
    keras.layers.Conv2D: _KERNEL,
    keras.layers.Conv3D: _KERNEL,
    keras.layers.Conv1DTranspose: _KERNEL,
    keras.layers.Conv2DTranspose: _KERNEL,
    keras.layers.Conv3DTranspose: _KERNEL,
    keras.layers.DepthwiseConv1D: _DEPTHWISE,
    keras.layers.DepthwiseConv2D: _DEPTHWISE,
    keras.layers.SeparableConv1D: _SEPARABLE,
    keras.layers.SeparableConv2D: _SEPARABLE,
    keras.layers.Embedding: (("embeddings", "embeddings_constraint"),),
}

# A row of an embedding is looked up, not multiplied, and rare words have small rows without being
# needless ones: magnitude says little there.
_ON_REQUEST = (keras.layers.Embedding,)

KINDS = ", ".join(kind.__name__ for kind in _ATTRIBUTES)
"""The layer classes that have kernels, for messages."""


def kernels_of(path: str, layer: keras.Layer) -> list[Kernel]:
    """Return the kernels of one layer; none for a layer of another kind. Subclasses count."""
    layer = graph.unwrapped(layer)
    if getattr(layer, "tfopt_bridge", False):
        return layer.kernels(path)
    attributes = next((_ATTRIBUTES[kind] for kind in type(layer).__mro__ if kind in _ATTRIBUTES), ())
    return [
        Kernel(path, layer, getattr(layer, name), constraint, not isinstance(layer, _ON_REQUEST))
        for name, constraint in attributes
    ]


def kernels(model: keras.Model) -> list[Kernel]:
    """Return the kernels of a model, a shared layer's once, in the order in which they run."""
    return [kernel for path, layer in graph.layers(model) for kernel in kernels_of(path, layer)]
