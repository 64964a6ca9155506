"""Rewriting a model to fewer kinds of layers, with the same outputs, before it is quantized."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import (
    ONE_BATCH,
    ActivityPenalty,
    AddedLosses,
    Constant,
    Copier,
    Loss,
    Node,
    OverBatch,
    of_one_batch,
    output_producers,
    penalties,
    replay,
    take_weights,
    tensors_in,
    warn_of_split,
)
from tfopt.quantization.canonicalize.decompose.registry import opener
from tfopt.quantization.canonicalize.masked_kernels import require_masked
from tfopt.quantization.canonicalize.rewrite.registry import rewritten
from tfopt.quantization.canonicalize.rewrite_context import Made, Paths, Place
from tfopt.quantization.canonicalize.sequence_masks import require_none_lost


def canonical(model: keras.Model, wide: Callable[[str], bool] = lambda _: False) -> tuple[keras.Model, Paths]:
    """Return a model with the same outputs and variables, and the path of each of its operations.

    In it,

    - nested models and layers made of others are opened, see `openings`,
    - activations stand behind their layer as layers of their own,
    - what `rewrites` has a rule for is made of simpler operations,
    - variables and arrays that operations are called with are layers,
    - nothing adds to the loss, but a layer whose code could not be read: what was added is in the `losses` of
      the paths.

    A part that was split off has the path of the whole with its own name behind: `conv1/relu`.

    Args:
        model: functional, of layers that nobody else has: reading them may change them.
        wide: returns whether the activations of the operation of a path have 16 bits: some have operators in
            these alone.
    """
    require_none_lost(model)
    names = _output_names(model)
    copier = Copier(_without_mask, dict.fromkeys(names, ".core"), share_variables=True)
    made: Made = {}
    paths = Paths()
    inputs: list[keras.KerasTensor] = []

    def emit_input(tensor: keras.KerasTensor) -> keras.KerasTensor:
        inputs.append(tensor)
        return tensor

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        name = copier.name(node)
        near = next(iter(tensors_in((args, kwargs))), inputs[0])
        place = Place(name, node.path, made, paths, near, wide(node.path))
        args, kwargs = _with_layers(place, keras.Variable, args, kwargs)
        if args and isinstance(node.operation, ONE_BATCH):
            args = of_one_batch(args[0], lambda *key: _over_batch(place, *key)), *args[1:]
        if isinstance(node.operation, AddedLosses):
            carrier, *losses = args[0]
            paths.losses += [Loss(*pair) for pair in zip(losses, node.operation.when, strict=True)]
            if node.operation.unread is not None:
                paths.unread_losses.append(node.operation.unread)
            return carrier
        regularizer = None
        if type(node.operation).__module__.startswith("keras."):  # a config of others may tell of it anew
            regularizer = opening.regularizers.taken(node.operation)
        result = rewritten(place, node.operation, args, kwargs)
        if result is None:
            if type(node.operation).__name__ in _TAKE_CONSTANTS:
                args, kwargs = _with_layers(place, (np.ndarray, tf.Tensor), args, kwargs)
            paths[name] = node.path
            result = copier(node)(*args, **kwargs)
        else:
            opening.rewritten.append(node.operation)
        if regularizer is not None:
            penalty = place.part("activity_regularizer").layer(ActivityPenalty, regularizer)
            paths.losses += [Loss(each) for each in penalties(result, penalty)]
        return result

    def emit_output(index: int, tensor: keras.KerasTensor) -> keras.KerasTensor:
        return keras.layers.Identity(name=names[index])(tensor) if names else tensor

    def name_loop(node: Node) -> str:
        name = copier.name(node)
        paths[name] = node.path
        return name

    opening = opener()
    paths.closed = opening.left_whole
    try:
        result = replay(model, emit, emit_input, emit_output, opening, name_loop=name_loop)
    finally:
        opening.restore_names()
    for layer, sources in made.values():
        take_weights(layer, sources)
    require_masked(opening.constants)
    warn_of_split(result, opening.rewritten)
    return result, paths


def _over_batch(place: Place, number: int, dtype: str) -> keras.Layer:
    return place.part(f"over_batch_{number}").layer(OverBatch, dtype=dtype)


def _without_mask(layer: keras.Layer) -> None:
    """Let a layer make no mask: what reads one is called with it already."""
    if getattr(layer, "mask_zero", False):
        layer.mask_zero = False


_TAKE_CONSTANTS = {"Add", "Subtract", "Multiply", "Maximum", "Minimum", "Matmul", "Concatenate"}
"""The operations whose operands must have a range each, constants too."""


def _with_layers(
    place: Place, kinds: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Return arguments with layers that hold a constant in place of the values of the classes `kinds`."""
    count = itertools.count()

    def lifted(value: Any) -> Any:
        if not isinstance(value, kinds):
            return value
        number = next(count)
        part = place.part(f"constant_{number}" if number else "constant")
        return part.layer(Constant.of, value)(place.reference)

    return keras.tree.map_structure(lifted, (args, kwargs))


def _output_names(model: keras.Model) -> list[str]:
    """Return the names that losses and metrics are given by, which are those of the last layers.

    Also of outputs in a dictionary, for Keras lets these be named in both ways. A single one's name is kept
    by `quantize_aware`, for its layer is the one that people look for.
    """
    if len(model.outputs) == 1:
        return []
    names = output_producers(model)
    return names if len(set(names)) == len(names) and all(names) else []
