"""What `keras.ops` and the layers of Keras 3 do not offer when a model is converted.

`keras.ops` gives operations names by their kind, which a layer of the model may have too, and Keras refuses a
model with the same name twice. Functions of `keras.ops` take no name, so it is set afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras

from tfopt import graph


def given_output_shape(layer: keras.layers.Lambda) -> Any:
    """Return the output shape, or the function that computes it, that a `Lambda` was given.

    Its config holds the bytecode of a function. The attribute is private, as in Keras 3.15.
    """
    return layer._output_shape


def name_operations(
    outputs: Iterable[keras.KerasTensor], inputs: Iterable[keras.KerasTensor], name: Callable[[], str]
) -> None:
    """Give every operation between two sets of tensors a name of its own, the last one first."""
    known = {id(tensor) for tensor in inputs}
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop(0)
        node = None if id(tensor) in known else graph.producer(tensor)
        if node is None:
            continue
        known |= {id(each) for each in node.outputs}
        if not isinstance(node.operation, keras.Layer):
            node.operation.name = name()
        waiting += node.inputs
