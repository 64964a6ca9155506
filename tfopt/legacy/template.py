"""What a function is called with, as JSON: the form in which a layer keeps the call of a TensorFlow function.

A place where a tensor goes holds its number. What JSON has no form for is a dict with one of the keys below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


def to_template(value: Any, tensors: list[Any]) -> Any:
    """Return a structure as JSON values; the symbolic tensors in it are appended to `tensors`."""
    if isinstance(value, keras.KerasTensor):
        tensors.append(value)
        return {"__input__": len(tensors) - 1}
    if isinstance(value, dict):
        return {key: to_template(each, tensors) for key, each in value.items()}
    if isinstance(value, slice):
        return {"__slice__": [to_template(n, tensors) for n in (value.start, value.stop, value.step)]}
    if isinstance(value, (list, tuple)):
        return [to_template(each, tensors) for each in value]
    if value is Ellipsis:
        return {"__ellipsis__": True}
    if isinstance(value, tf.DType):
        return {"__dtype__": value.name}
    if hasattr(value, "numpy"):
        value = value.numpy()
    if isinstance(value, np.ndarray) and value.ndim:
        plain = [each.decode() if isinstance(each, bytes) else each for each in value.ravel().tolist()]
        return {"__array__": plain, "shape": list(value.shape), "dtype": tf.as_dtype(value.dtype).name}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.item()
    return value


def from_template(template: Any, tensors: Sequence[Any]) -> Any:
    """Return the structure that `to_template` described, with `tensors` in their places."""
    if isinstance(template, Mapping):
        kind = next((_KINDS[key] for key in template if key in _KINDS), None)
        if kind is not None:
            return kind(template, tensors)
        return {key: from_template(each, tensors) for key, each in template.items()}
    if isinstance(template, (list, tuple)):
        return [from_template(each, tensors) for each in template]
    return template


def _array(template: Mapping[str, Any], tensors: Sequence[Any]) -> Any:  # noqa: ARG001
    return tf.constant(template["__array__"], template["dtype"], template["shape"])


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Sequence[Any]], Any]] = {
    "__array__": _array,
    "__dtype__": lambda template, tensors: tf.as_dtype(template["__dtype__"]),  # noqa: ARG005
    "__ellipsis__": lambda template, tensors: Ellipsis,  # noqa: ARG005
    "__input__": lambda template, tensors: tensors[template["__input__"]],
    "__slice__": lambda template, tensors: slice(*from_template(template["__slice__"], tensors)),
}
"""Key -> what a dict that has it stands for."""
