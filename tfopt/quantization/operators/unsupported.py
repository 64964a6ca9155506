"""Operations that no TFLite file can hold, in integers or in float, and what to do instead."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Node

_OUTSIDE = (
    "A TFLite file has no operator for it, in float neither: preprocess outside the model, for example in "
    "tf.data, and start the model behind it"
)
_RANDOM = (
    "It draws random numbers at inference too, and a TFLite file has no operator for that: let the model "
    "return what they are drawn with, such as mean and variance, or take the random numbers as an input"
)
_OTHERWISE = (
    "A TFLite file has no operator for it, in float neither: compute it outside the model, or of other "
    "operations"
)

_INSTEAD: dict[str, str] = {
    **dict.fromkeys(
        ("Hashing", "HashedCrossing", "IntegerLookup", "StringLookup", "TextVectorization"), _OUTSIDE
    ),
    **dict.fromkeys(("FFT", "FFT2", "IFFT2", "Diagonal", "Erfinv", "I0", "Signbit"), _OTHERWISE),
    **dict.fromkeys(("Arccos", "Arccosh", "Arcsin", "Arcsinh", "Arctan", "Arctanh"), _OTHERWISE),
    **dict.fromkeys(("Cosh", "Sinh", "Tan", "Nextafter"), _OTHERWISE),
    **dict.fromkeys(("Cumprod", "Cholesky", "Det", "Eig", "Eigh", "Inv", "Pinv"), _OTHERWISE),
    **dict.fromkeys(("Logdet", "IRFFT", "Qr", "Slogdet", "Solve", "SVD"), _OTHERWISE),
}
"""The name of a Keras class -> what to do, as a sentence without its full stop."""


def require_in_files(path: str, node: Node) -> None:
    """Raise where no rule can bring an operation into a file.

    Args:
        path: what it is called in rules.
        node: a call of it.

    Raises:
        UnsupportedOperation: it is such a one.
    """
    name = type(node.operation).__name__
    keras_own = type(node.operation).__module__.startswith("keras.")
    instead = _INSTEAD.get(name) if keras_own else _RANDOM if _draws(node) else None
    if instead is not None:
        raise UnsupportedOperation(f"No rule helps {path!r} ({name}). {instead}.")


def _draws(node: Node) -> bool:
    """Return whether a layer that stayed closed changes the state of a random generator at inference."""
    held = vars(node.operation).values()
    if not any(isinstance(value, keras.random.SeedGenerator) for value in held):
        return False

    def call(*tensors: tf.Tensor) -> Any:
        values = iter(tensors)
        args, kwargs = keras.tree.map_structure(
            lambda value: next(values) if isinstance(value, keras.KerasTensor) else value,
            (node.args, node.kwargs),
        )
        return node.operation(*args, **kwargs)

    specs = [tf.TensorSpec([size or 1 for size in x.shape], x.dtype) for x in node.inputs]
    graph = tf.function(call).get_concrete_function(*specs).graph
    return any(operation.type.startswith("Assign") for operation in graph.get_operations())
