"""The outputs of the Keras model, to compare those of a file with."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

from tfopt import graph
from tfopt.data.sets import fixed_batch
from tfopt.errors import InvalidArgumentError
from tfopt.export.keras_graph.inputs_outputs import names, packed
from tfopt.export.runtime.verify import TOLERANCES, Tolerance

BATCH = 128


def outputs_of(model: keras.Model, arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Return output name -> the model's values at inference, samples first, in its order.

    Args:
        model: built; of any kind, for its own code runs.
        arrays: one an input, in the model's order.
    """
    model = graph.as_graph(model)
    if len(arrays) != len(model.inputs):
        raise InvalidArgumentError(
            f"The model {model.name!r} has {len(model.inputs)} inputs, the file {len(arrays)}. Verify a file "
            "with its own model."
        )
    batches: list[list[np.ndarray]] = []
    samples, fixed = len(arrays[0]), fixed_batch([tensor.shape for tensor in model.inputs])
    for start in range(0, samples, fixed or BATCH):
        stop = start + fixed if fixed else min(start + BATCH, samples)
        rows = np.minimum(np.arange(start, stop), samples - 1)  # a last batch of a fixed size is filled up
        batch = packed(model, [array[rows] for array in arrays])
        # Not predict(): it would trace anew, and spread over the devices of a strategy.
        outputs = keras.tree.flatten(model(batch, training=False))
        batches.append([keras.ops.convert_to_numpy(keras.ops.cast(x, "float32")) for x in outputs])
    columns = zip(*batches, strict=True)
    return {name: np.concatenate(kept)[:samples] for name, kept in zip(names(model)[1], columns, strict=True)}


def is_own(model: keras.Model) -> bool:
    """Return whether a model computes on the grids of its file."""
    return graph.is_quantized(model)


def default_tolerance(model: keras.Model, scheme: str) -> Tolerance:
    """Return how far a sound file of `scheme` may be from `model`.

    A quantization-aware model rounds its activations, a float file of it does not: that one may be as far
    off as an int8 file.
    """
    return TOLERANCES["int8" if graph.is_quantized(model) else scheme]
