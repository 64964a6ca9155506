"""The one place that reads Keras's private record of a functional model, and of the layers in a layer.

Keras keeps the calls that made a functional model in `Function._nodes_by_depth` and gives no public way
to read them; `clone_model(call_function=...)` shows one call at a time, without its consumers, and does
not open nested models. The layers that a layer holds are in `Layer._layers`; only a model's are public. The
mask of a sequence travels on its tensor as `_keras_mask`. What layers do to constants, Keras computes at
once; to see it as a part of the graph, `Layer.__call__` is replaced for the moment of a trace.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional


def functional(model: keras.Operation) -> Any:
    """Return the `Functional` model that runs `model`, or None where there is none.

    A subclass with a `call` of its own is none: its graph is only a part of what it computes.
    """
    if isinstance(model, keras.Sequential):
        return model._functional if model.built and type(model).call is keras.Sequential.call else None
    return model if hasattr(model, "_nodes_by_depth") and type(model).call is Functional.call else None


def calls(model: keras.Model) -> Iterator[tuple[keras.Operation, tuple, dict, list[keras.KerasTensor]]]:
    """Yield (operation, args, kwargs, outputs) of every call but the inputs, in an order that runs."""
    by_depth = functional(model)._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if not node.is_input:
                yield node.operation, node.arguments.args, node.arguments.kwargs, node.outputs


def structure(model: keras.Model) -> tuple[Any, Any]:
    """Return the symbolic inputs and outputs as the model was given them: tensor, list, tuple or dict."""
    inner = functional(model)
    return inner.input, inner.output


def call_of(
    tensor: keras.KerasTensor,
) -> tuple[keras.Operation, tuple, dict, list[keras.KerasTensor]] | None:
    """Return (operation, args, kwargs, outputs) of the call that made `tensor`; None for an input."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    if node.is_input:
        return None
    return node.operation, node.arguments.args, node.arguments.kwargs, node.outputs


def mask_of(tensor: keras.KerasTensor) -> keras.KerasTensor | None:
    """Return the mask that layers which read `tensor` get with it, unseen in the graph."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: keras.KerasTensor, mask: keras.KerasTensor) -> None:
    """Let layers that read `tensor` get `mask` with it."""
    tensor._keras_mask = mask


def code_of(layer: keras.layers.Lambda) -> dict[str, Any]:
    """Return the arguments of a Lambda whose values in its config lack what the code reads around it."""
    return {
        "function": layer.function,
        "output_shape": layer._output_shape,
        "mask": layer.mask,
        "arguments": layer.arguments,
    }


def sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """Return every layer inside `layer`, at any depth, each once."""
    return layer._flatten_layers(include_self=False)


def with_mask_of(old: Any, new: Any) -> Any:
    """Return the tensor `new` with the mask that Keras put on `old`, where there is one."""
    mask = getattr(old, "_keras_mask", None)
    if mask is not None and new is not old:
        new._keras_mask = mask
    return new


@contextlib.contextmanager
def constants_as_tensors(symbolic: Callable[[tf.Tensor], keras.KerasTensor]) -> Iterator[None]:
    """Let layers that are called on a constant be called on `symbolic(constant)` instead."""
    original = keras.Layer.__call__

    @functools.wraps(original)
    def call(self: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], tf.Tensor) and tf.executing_eagerly():
            args = (symbolic(args[0]), *args[1:])
        return original(self, *args, **kwargs)

    keras.Layer.__call__ = call
    try:
        yield
    finally:
        keras.Layer.__call__ = original
