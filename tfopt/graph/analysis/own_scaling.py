"""Whether a model scales its inputs by itself, found by what its first layers with weights see.

Layers such as `Rescaling` and `Normalization`, the preprocessing of `keras.applications`, and code that
divides by 255 all do it. So the model is asked, not read: training goes well on numbers around zero of about
unit size, and bytes that are scaled twice, or not at all, are far from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.data import Dataset
from tfopt.data.scale import BYTES, Scale
from tfopt.data.structure import count as count_of
from tfopt.data.structure import fits, leaves
from tfopt.graph.analysis.evaluate import EvaluatedStep, evaluate
from tfopt.graph.analysis.running import running
from tfopt.graph.walk import input_names, is_functional

_SAMPLES = 8
_CLEARLY = 2.0
"""By so much one way of scaling must be better than another before anything is said."""
_INDICES = ("Embedding", "ReversibleEmbedding", "CategoryEncoding", "Hashing", "IntegerLookup", "OneHot")
"""What reads numbers as places in a table."""


def as_taken(model: keras.Model, data: Dataset) -> Dataset:
    """Return the data with images as bytes, 0 to 255, where they were scaled by default and `model` does it.

    Args:
        model: functional; of others nothing is known, and the data is returned as it is.
        data: its inputs in the model's order.
    """
    default = [scale.default for _, scale in leaves(data.scale)]
    if not any(default) or not _fitting(model, data):
        return data
    inputs = _inputs(model, data)
    raw = first_seen(
        model, [np.round(x * BYTES) if chosen else x for x, chosen in zip(inputs, default, strict=True)]
    )
    scaled = first_seen(model, inputs)
    wants = [
        index in raw
        and (raw[index] is None or _distance(raw[index]) + _CLEARLY / 4 < _distance(scaled[index]))
        for index, chosen in enumerate(default)
        if chosen
    ]
    # Images of one model are scaled alike.
    return data.unscaled() if all(wants) else data


def scaled_twice(model: keras.Model, data: Dataset) -> list[str]:
    """Return the names of the inputs that come scaled to a model that scales them by itself."""
    if not _fitting(model, data):
        return []
    inputs = _inputs(model, data)
    bytes_ = [_undone(x, scale) for x, (_, scale) in zip(inputs, leaves(data.scale), strict=True)]
    if all(each is None for each in bytes_):
        return []
    seen = first_seen(model, inputs)
    found = []
    for index, (name, undone) in enumerate(zip(input_names(model), bytes_, strict=True)):
        if undone is None or seen.get(index) is None or not _changed(inputs[index], seen[index]):
            continue
        other = first_seen(model, [*inputs[:index], undone, *inputs[index + 1 :]])[index]
        if _distance(other) + _CLEARLY < _distance(seen[index]):
            found.append(name)
    return found


def first_seen(model: keras.Model, inputs: Sequence[np.ndarray]) -> dict[int, list[np.ndarray] | None]:
    """Return, by the number of an input, the tensors that the first layers with weights read of it.

    `None` stands for an input that is read as integers: indices are not scaled.
    """
    origins: dict[int, frozenset[int]] = {}
    values: dict[int, np.ndarray] = {}
    found: dict[int, list[np.ndarray] | None] = {
        number: None for number, tensor in enumerate(model.inputs) if "int" in tensor.dtype
    }

    def visit(step: EvaluatedStep, value: Any) -> Any:
        if step.operation is None:
            if not step.sources and step.number < len(inputs):
                origins[step.number] = frozenset([step.number])
        elif step.sources and all(source in origins for source in step.sources):
            read = frozenset.union(*(origins[source] for source in step.sources))
            if type(step.operation).__name__ in _INDICES:
                found.update(dict.fromkeys(read))
            elif _has_weights(step.operation):
                for number in read:
                    if found.setdefault(number, []) is not None:
                        found[number] += [values[source] for source in step.sources]  # type: ignore[operator]
            else:
                origins[step.number] = read
        if step.number in origins:
            values[step.number] = np.asarray(keras.ops.convert_to_numpy(value), np.float32)
        return value

    with running(model):
        evaluate(model, inputs, visit)
    return found


def _has_weights(operation: Any) -> bool:
    return not isinstance(operation, keras.layers.Normalization) and bool(getattr(operation, "weights", ()))


def _fitting(model: keras.Model, data: Dataset) -> bool:
    """Return whether a model can be run operation by operation on the data."""
    shapes = [array.shape[1:] for _, array in leaves(data.x_train)]
    return (
        is_functional(model)
        and len(model.inputs) == len(shapes)
        and all(fits(shape, x.shape[1:]) for shape, x in zip(shapes, model.inputs, strict=True))
    )


def _inputs(model: keras.Model, data: Dataset) -> list[np.ndarray]:
    """Return a few samples, as many as the model takes at once where it says so."""
    count = model.inputs[0].shape[0] or _SAMPLES
    chosen = np.linspace(0, count_of(data.x_train) - 1, count).astype(int)
    return [x[chosen] for _, x in leaves(data.x_train)]


def _distance(seen: list[np.ndarray] | None) -> float:
    """Return how far numbers are from those around zero of unit size, as a mean over tensors."""
    scores = []
    for values in seen or ():
        spread = float(np.std(values))
        if spread > 0 and np.isfinite(spread):
            scores.append(abs(float(np.mean(values))) / spread + abs(float(np.log(spread))))
    return float(np.mean(scores)) if scores else 0.0


def _changed(values: np.ndarray, seen: list[np.ndarray] | None) -> bool:
    """Return whether the model has scaled or moved an input before its first weights."""
    mean, spread = float(np.mean(values)), float(np.std(values)) or 1.0
    return any(
        not 0.5 < float(np.std(each)) / spread < 2 or abs(float(np.mean(each)) - mean) > 2 * spread
        for each in seen or ()
    )


def _undone(values: np.ndarray, scale: Scale) -> np.ndarray | None:
    """Return an input as bytes would be, 0 to 255, if it can have been scaled from them."""
    low, high = float(np.min(values)), float(np.max(values))
    if low < -1 or high > 1 or values.ndim < 3:
        return None
    return (values + 1) * (BYTES / 2) if low < 0 or scale.name == "-1..1" else values * np.float32(BYTES)
