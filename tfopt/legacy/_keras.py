"""The one place that reads and sets what Keras 3 keeps private about the tensors and operations of a model.

`keras.ops` gives operations names by their kind, which a layer of the model may have too, and Keras refuses a
model with the same name twice. Functions of `keras.ops` take no name, so it is set afterwards; which
operations made a tensor only Keras's private history knows. It also knows the layer of an input, whose name
is not that of the tensor, and a tensor's mask.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import keras


def input_name(tensor: keras.KerasTensor) -> str:
    """Return the name of the input layer that a tensor comes from."""
    return tensor._keras_history.operation.name


def mask_of(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """Return the mask that goes with a tensor."""
    return getattr(tensor, "_keras_mask", None)


def name_operations(
    outputs: Iterable[keras.KerasTensor], inputs: Iterable[keras.KerasTensor], name: Callable[[], str]
) -> None:
    """Give every operation between two sets of tensors a name of its own, the last one first."""
    known = {id(tensor) for tensor in inputs}
    waiting = list(outputs)
    while waiting:
        tensor = waiting.pop(0)
        if id(tensor) in known:
            continue
        history = tensor._keras_history
        if history is None:
            continue
        node = history.operation._inbound_nodes[history.node_index]
        known |= {id(each) for each in node.output_tensors}
        if not isinstance(history.operation, keras.Layer):
            history.operation.name = name()
        waiting += node.input_tensors
