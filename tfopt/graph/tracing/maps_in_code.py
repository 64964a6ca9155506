"""Functions that code maps over the first axis of tensors, in code that is traced.

A graph has no loop for them: the function runs for each place of an axis of known size.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from tfopt.graph.tracing.batch import DependsOnBatch
from tfopt.graph.tracing.not_symbolic import NotSymbolic

LONGEST = 256
"""So many places a function is mapped over; a graph of more takes minutes to make."""


def map_fn(fn: Callable[[Any], Any], elems: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what `tf.map_fn` does, of symbolic tensors too."""
    if not _is_symbolic(elems):
        return tf.map_fn(fn, elems, *args, **kwargs)
    return _mapped("tf.map_fn", fn, elems, ". In a layer in float call tf.vectorized_map in its place")


def vectorized_map(function: Callable[[Any], Any], elements: Any, *args: Any, **kwargs: Any) -> Any:
    """Return what `tf.vectorized_map` and `keras.ops.vectorized_map` do, of symbolic tensors too."""
    if not _is_symbolic(elements):
        return tf.vectorized_map(function, elements, *args, **kwargs)
    return _mapped("vectorized_map", function, elements)


def map(f: Callable[[Any], Any], xs: Any) -> Any:
    """Return what `keras.ops.map` does, of symbolic tensors too."""
    return _mapped("keras.ops.map", f, xs) if _is_symbolic(xs) else ops.map(f, xs)


def _is_symbolic(tensors: Any) -> bool:
    return any(isinstance(each, keras.KerasTensor) for each in keras.tree.flatten(tensors))


def _mapped(name: str, function: Callable[[Any], Any], tensors: Any, change: str = "") -> Any:
    """Return the results of a function of each place, stacked.

    Args:
        name: what the code calls.
        function: takes one place of each of the tensors, in their structure.
        tensors: a structure.
        change: what the code has to call to be left in float.
    """
    size = keras.tree.flatten(tensors)[0].shape[0]
    if size is None or size > LONGEST:
        raise (DependsOnBatch if size is None else NotSymbolic)(
            f"{name} runs its function once for each {'sample' if size is None else f'of {size} places'}, "
            "and a graph has no loop for that. Write the function for all of them at once, on tensors with "
            f"that axis in front, or give a batch a size with keras.Input(batch_shape=(8, ...)){change}"
        )
    results = [function(keras.tree.map_structure(lambda x, n=n: x[n], tensors)) for n in range(size)]
    return keras.tree.map_structure(lambda *each: ops.stack(each, axis=0), *results)
