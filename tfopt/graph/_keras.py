"""The one place that reads Keras's private record of a functional model, and of the layers in a layer.

Keras keeps the calls that made a functional model in `Function._nodes_by_depth` and gives no public way
to read them; `clone_model(call_function=...)` shows one call at a time, without its consumers, and does
not open nested models. The layers that a layer holds are in `Layer._layers`; only a model's are public.
"""

from collections.abc import Iterator
from typing import Any

import keras


def functional(model: keras.Model) -> Any:
    """Return the `Functional` model that runs `model`, or None where there is none."""
    if isinstance(model, keras.Sequential):
        return model._functional if model.built else None
    return model if hasattr(model, "_nodes_by_depth") else None


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


def sublayers(layer: keras.Layer) -> list[keras.Layer]:
    """Return every layer inside `layer`, at any depth, each once."""
    return layer._flatten_layers(include_self=False)
