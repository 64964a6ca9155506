"""Rewriting a model to fewer kinds of layers, with the same outputs, before it is quantized."""

from __future__ import annotations

import itertools
import logging
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
from tfopt.quantization.canonicalize.decompose.registry import decomposer
from tfopt.quantization.canonicalize.masked_kernels import require_masked
from tfopt.quantization.canonicalize.rewrite.registry import rewritten
from tfopt.quantization.canonicalize.rewrite_context import Created, Paths, RewriteContext
from tfopt.quantization.canonicalize.sequence_masks import require_none_lost
from tfopt.quantization.operators.traits import traits_of

logger = logging.getLogger(__name__)


def canonical(
    model: keras.Model, int16: Callable[[str], bool] = lambda _: False
) -> tuple[keras.Model, Paths]:
    """Return a model with the same outputs and variables, and the path of each of its operations.

    In it,

    - nested models and layers made of others are decomposed, see `decompose`,
    - activations are layers of their own after their layer,
    - what `rewrite` has a rule for is computed by simpler operations,
    - variables and arrays that operations are called with are layers,
    - nothing adds to the loss, but a layer whose code could not be read: what was added is in the `losses` of
      the paths.

    A part that was split off has the path of the whole, followed by its own name: `conv1/relu`.

    Args:
        model: functional, of layers that nobody else has: reading them may change them.
        int16: returns whether the activations of the operation of a path have 16 bits: some have operators in
            these alone.
    """
    require_none_lost(model)
    run = _Canonicalization(model, int16)
    try:
        result = replay(model, run.call, run.input, run.output, run.decomposer, name_loop=run.loop)
    finally:
        run.decomposer.restore_names()
    for layer, sources in run.created.values():
        take_weights(layer, sources)
    for path, reason in run.paths.left_whole.items():
        logger.info("%s is left whole: %s", path, reason)
    require_masked(run.decomposer.constants)
    # The code of Attention itself reads its scale, where it is decomposed.
    replaced = [each for each in run.decomposer.rewritten if not isinstance(each, keras.layers.Attention)]
    warn_of_split(result, replaced)
    return result, run.paths


class _Canonicalization:
    """What becomes of each call of a model.

    Args:
        model: that is canonicalized.
        int16: whether the activations of the operation of a path have 16 bits.
    """

    def __init__(self, model: keras.Model, int16: Callable[[str], bool]) -> None:
        self.decomposer = decomposer()
        self.created: Created = {}
        self.paths = Paths()
        self.paths.left_whole = self.decomposer.left_whole
        self._int16 = int16
        self._output_names = _output_names(model)
        self._copier = Copier(_without_mask, dict.fromkeys(self._output_names, ".core"), share_variables=True)
        self._inputs: list[keras.KerasTensor] = []

    def input(self, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Note an input of the new model, and return it."""
        self._inputs.append(tensor)
        return tensor

    def output(self, index: int, tensor: keras.KerasTensor) -> keras.KerasTensor:
        """Return an output of the new model, under the name that losses and metrics are given by."""
        names = self._output_names
        return keras.layers.Identity(name=names[index])(tensor) if names else tensor

    def loop(self, node: Node) -> str:
        """Return the name of a loop."""
        name = self._copier.name(node)
        self.paths[name] = node.path
        return name

    def call(self, node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return the outputs of a call in the new model."""
        name = self._copier.name(node)
        near = next(iter(tensors_in((args, kwargs))), self._inputs[0])
        context = RewriteContext(name, node.path, self.created, self.paths, near, self._int16(node.path))
        args, kwargs = _with_layers(context, keras.Variable, args, kwargs)
        if args and isinstance(node.operation, ONE_BATCH):
            args = of_one_batch(args[0], lambda *key: _over_batch(context, *key)), *args[1:]
        if isinstance(node.operation, AddedLosses):
            return self._without_losses(node.operation, args)
        regularizer = None
        if type(node.operation).__module__.startswith("keras."):  # a config of others may tell of it anew
            regularizer = self.decomposer.regularizers.taken(node.operation)
        result = rewritten(context, node.operation, args, kwargs)
        if result is None:
            result = self._copied(context, node, args, kwargs)
        else:
            self.decomposer.rewritten.append(node.operation)
        if regularizer is not None:
            penalty = context.part("activity_regularizer").layer(ActivityPenalty, regularizer)
            self.paths.losses += [Loss(each) for each in penalties(result, penalty)]
        return result

    def _without_losses(self, operation: AddedLosses, args: tuple) -> Any:
        """Return the tensor that carries losses, and note these."""
        carrier, *losses = args[0]
        self.paths.losses += [Loss(*pair) for pair in zip(losses, operation.when, strict=True)]
        if operation.unread is not None:
            self.paths.unread_losses.append(operation.unread)
        return carrier

    def _copied(self, context: RewriteContext, node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return the outputs of a copy of the operation."""
        if traits_of(node.operation).quantizes_constants:
            args, kwargs = _with_layers(context, (np.ndarray, tf.Tensor), args, kwargs)
        self.paths[context.name] = node.path
        return self._copier(node)(*args, **kwargs)


def _over_batch(context: RewriteContext, number: int, dtype: str) -> keras.Layer:
    return context.part(f"over_batch_{number}").layer(OverBatch, dtype=dtype)


def _without_mask(layer: keras.Layer) -> None:
    """Let a layer make no mask: what reads one is called with it already."""
    if getattr(layer, "mask_zero", False):
        layer.mask_zero = False


def _with_layers(
    context: RewriteContext, kinds: Any, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Return arguments with a layer that holds a constant for each value of the classes `kinds`."""
    count = itertools.count()

    def lifted(value: Any) -> Any:
        if not isinstance(value, kinds):
            return value
        number = next(count)
        part = context.part(f"constant_{number}" if number else "constant")
        return part.layer(Constant.of, value)(context.reference)

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
