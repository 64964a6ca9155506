"""Operations that no TFLite file can hold, in integers or in float, and what to do instead."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Node
from tfopt.quantization.operators.traits import traits_of

_RANDOM = (
    "It draws random numbers at inference too, and a TFLite file has no operator for that: let the model "
    "return what they are drawn with, such as mean and variance, or take the random numbers as an input"
)


def require_in_files(path: str, node: Node) -> None:
    """Raise where no rule can bring an operation into a file.

    Args:
        path: what it is called in rules.
        node: a call of it.

    Raises:
        UnsupportedOperation: it is such a one.
    """
    operation = node.operation
    keras_own = type(operation).__module__.startswith("keras.")
    instead = traits_of(operation).unsupported if keras_own else _RANDOM if _draws(node) else None
    if instead is not None:
        raise UnsupportedOperation(f"No rule helps {path!r} ({type(operation).__name__}). {instead}.")


def _draws(node: Node) -> bool:
    """Return whether a layer that is left whole changes the state of a random generator at inference."""
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
