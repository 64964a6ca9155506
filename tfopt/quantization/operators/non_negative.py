"""Which tensors cannot be negative: nobody has to search for their minimum."""

from __future__ import annotations

import keras

from tfopt.graph import nodes
from tfopt.quantization.operators.traits import activation_name

_MAKES = frozenset({"ReLU", "Relu", "Relu6", "Sigmoid", "Softmax", "Absolute", "Square", "Exp"})
_ACTIVATIONS = frozenset({"relu", "relu6", "sigmoid", "softmax", "exponential"})
_KEEPS = (
    "MaxPooling1D MaxPooling2D MaxPool GlobalMaxPooling1D GlobalMaxPooling2D Max Min Maximum Minimum "
    "AveragePooling1D AveragePooling2D AveragePool GlobalAveragePooling1D GlobalAveragePooling2D Mean Sum "
    "Add Multiply Concatenate Stack Split GetItem Flatten Reshape Permute Transpose ExpandDims Squeeze "
    "RepeatVector Identity ZeroPadding1D ZeroPadding2D Cropping1D Cropping2D UpSampling1D Dropout "
    "SpatialDropout1D SpatialDropout2D StopGradient"
)
"""Operations that make no negative value of values that are not."""


def nonnegative_tensors(model: keras.Model) -> set[int]:
    """Return the `id` of each tensor of a canonical model that holds no negative value for any input."""
    found: set[int] = set()
    for node in nodes(model):
        operation = node.operation
        name = type(operation).__name__
        if not type(operation).__module__.startswith("keras."):
            continue  # a user's class of the same name may do anything
        if name == "ReLU":
            made = operation.negative_slope == 0 and operation.threshold >= 0
        elif name == "Activation":
            made = activation_name(operation) in _ACTIVATIONS
        else:
            made = name in _MAKES
        # Numbers among the arguments, as in `maximum(x, -1)`, would have to be looked at.
        kept = name in _KEEPS.split() and len(node.inputs) == len(keras.tree.flatten(node.args))
        if made or (kept and node.inputs and all(id(tensor) in found for tensor in node.inputs)):
            found.update(id(tensor) for tensor in node.outputs)
    return found
