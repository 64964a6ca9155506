"""Variables that a model assigns when it is called, for which a file has no place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt import graph
from tfopt.errors import UnsupportedOperation
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.keras_graph.inputs_outputs import packed
from tfopt.export.keras_graph.layer_names import tensor_names
from tfopt.export.keras_graph.nodes import all_nodes

_RANDOM_STATE = "seed_generator_state"
"""What Keras calls the variable of a `keras.random.SeedGenerator`."""


def require_no_assignments(
    model: keras.Model,
    lowered: keras.Model,
    graph_def: tf.compat.v1.GraphDef,
    frozen: tf.compat.v1.GraphDef,
    assigned: Sequence[keras.Variable],
    shapes: Sequence[tuple[int | None, ...]],
) -> None:
    """Raise where a variable is assigned that outputs may depend on, and a second call assigns more.

    Layers with dropout move their random states at inference too, and make nothing of them.
    """
    found = [node.name for node in graph_def.node if node.op.startswith("Assign")]
    layers = [layer_of(tensor_names(model, lowered, graph_def).readable(name)) for name in found]
    random = any("Random" in node.op for node in all_nodes(frozen))
    moved = [each for each in assigned if random or each.name != _RANDOM_STATE]
    settled = moved and settling(lowered, moved, shapes)
    for variable in moved:
        if not settled:
            layers += [path for path, layer in graph.layers(lowered) if _holds(layer, variable)]
    if layers:
        raise UnsupportedOperation(
            f"The layer {layers[0]!r} changes a variable when it is called, as those do that draw random "
            "numbers, and a TFLite file cannot: let the model return what goes into it, or take the random "
            "numbers, or the state, as an input."
        )


def settling(
    model: keras.Model, variables: Sequence[keras.Variable], shapes: Sequence[tuple[int | None, ...]]
) -> bool:
    """Return whether a second call, on other inputs, assigns to variables what the first one did.

    So does code that lays a mask on a kernel whenever it is called.

    Args:
        model: lowered.
        variables: of the model, to which a call assigns.
        shapes: of the inputs.
    """
    given: list[tuple[keras.Variable, Any]] = []
    seen = []
    for seed in (0, 1):
        random = np.random.default_rng(seed)
        tensors = [
            tf.cast(random.uniform(size=[size or 1 for size in shape]), x.dtype)
            for shape, x in zip(shapes, model.inputs, strict=True)
        ]
        with keras.StatelessScope(given) as scope:
            model(packed(model, tensors), training=False)
        given = [(each, scope.get_current_value(each)) for each in variables]
        seen.append([keras.ops.convert_to_numpy(array) for _, array in given])
    return all(np.allclose(one, other, rtol=1e-5, atol=1e-7) for one, other in zip(*seen, strict=True))


def _holds(layer: keras.Layer, variable: keras.Variable) -> bool:
    return any(each is variable for each in layer.variables)
