"""Two readings of one code, as at inference and as in training, in one graph: what both do is done once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.tracing.batch import described


def joined(first: Any, second: Any, inputs: Sequence[keras.KerasTensor]) -> Any:
    """Return `second`, made of the tensors that make `first` wherever both readings do the same.

    Args:
        first, second: structures of what came of the two readings.
        inputs: of both.
    """
    known = _keras.calls_between(first, inputs)
    made: dict[int, keras.KerasTensor] = {}

    def place(value: Any) -> Any:
        return made.get(id(value), value)

    for call in _keras.calls_between(second, inputs):
        args, kwargs = keras.tree.map_structure(place, (call.args, call.kwargs))
        equal = (
            each
            for each in known
            if _do_the_same(each.operation, call.operation)
            and _equal((each.args, each.kwargs), (args, kwargs))
        )
        found = next(equal, None)
        new = keras.tree.flatten(call.operation(*args, **kwargs)) if found is None else found.outputs
        made.update({id(old): tensor for old, tensor in zip(call.outputs, new, strict=True)})
    return keras.tree.map_structure(place, second)


def _do_the_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, Constant):
        return not (one.trainable or other.trainable) and _equal(as_array(one.value), as_array(other.value))
    if isinstance(one, keras.Layer) and (one.weights or other.weights):
        return False
    return _equal(described(one), described(other))


def _equal(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, keras.KerasTensor) or isinstance(other, keras.KerasTensor):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, slice) and isinstance(other, slice):
        return all(_equal(getattr(one, name), getattr(other, name)) for name in ("start", "stop", "step"))
    if isinstance(one, (tf.Tensor, np.ndarray)) and isinstance(other, (tf.Tensor, np.ndarray)):
        return bool(np.array_equal(as_array(one), as_array(other)))
    return type(one) is type(other) and bool(one == other)
