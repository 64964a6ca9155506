"""The one place that reads what tf_keras keeps private, and that makes layers of TensorFlow operations.

Of a tf_keras model the calls that made it are in `_nodes_by_depth` alone, as in Keras 3. The layers that
hold TensorFlow operations are public only in files: calling an operation on a symbolic tensor makes one,
but under a name that cannot be chosen. All of it is so in tf_keras 2.21.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any


def operation(function: Callable[..., Any], name: str) -> Any:
    """Return a layer called `name` that calls a function of TensorFlow's public API."""
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    return TFOpLambda(function, name=name)


def getitem(name: str) -> Any:
    """Return a layer called `name` that takes a tensor and indices or slices."""
    import tensorflow as tf
    from tf_keras.src.layers.core.tf_op_layer import SlicingOpLambda

    return SlicingOpLambda(tf.__operators__.getitem, name=name)


def functional(model: Any) -> bool:
    """Return whether a tf_keras model knows the calls that made it."""
    return bool(getattr(model, "_is_graph_network", False))


def calls(model: Any) -> Iterator[tuple[Any, tuple, dict[str, Any], Any]]:
    """Yield (layer, args, kwargs, outputs) of every call but the inputs, in an order that runs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                yield node.layer, tuple(node.call_args), dict(node.call_kwargs), node.outputs


def structure(model: Any) -> tuple[Any, Any]:
    """Return the symbolic inputs and outputs as the model was given them: tensor, list, tuple or dict."""
    return model._nested_inputs, model._nested_outputs


def is_tensor(value: Any) -> bool:
    """Return whether `value` is a symbolic tensor of tf_keras."""
    return hasattr(value, "_keras_history")


def is_ragged(tensor: Any) -> bool:
    """Return whether a symbolic tensor has rows of different lengths."""
    import tensorflow as tf

    return isinstance(tensor.type_spec, tf.RaggedTensorSpec)


def built_shape(model: Any) -> Any | None:
    """Return the input shape of a Sequential model that was built without being told its input."""
    return model._build_input_shape


def lookup_layer(layer: Any) -> Any:
    """Return the layer that holds the vocabulary of a `TextVectorization`; of others, the layer itself."""
    return getattr(layer, "_lookup_layer", layer)


def reading_code() -> AbstractContextManager[None]:
    """Return a context in which this thread's tf_keras reads the bytecode of `Lambda` layers."""
    from tf_keras.src.saving.serialization_lib import SafeModeScope

    return SafeModeScope(safe_mode=False)


def holds_operation(layer: Any) -> bool:
    """Return whether a layer is a function of TensorFlow that tf_keras made a layer of."""
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    return isinstance(layer, TFOpLambda)
