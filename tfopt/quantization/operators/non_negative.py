"""Which tensors are non-negative: nobody has to search for their minimum."""

from __future__ import annotations

import keras

from tfopt.graph import nodes
from tfopt.quantization.operators.op_traits import Sign
from tfopt.quantization.operators.traits import traits_of


def nonnegative_tensors(model: keras.Model) -> set[int]:
    """Return the `id` of each tensor of a canonical model that holds no negative value for any input."""
    found: set[int] = set()
    for node in nodes(model):
        sign = traits_of(node.operation).sign_of(node.operation)
        # Numbers among the arguments, as in `maximum(x, -1)`, would have to be looked at.
        of_tensors = bool(node.inputs) and len(node.inputs) == len(keras.tree.flatten(node.args))
        kept = sign is Sign.KEPT and of_tensors and all(id(tensor) in found for tensor in node.inputs)
        if sign is Sign.NON_NEGATIVE or kept:
            found.update(id(tensor) for tensor in node.outputs)
    return found
