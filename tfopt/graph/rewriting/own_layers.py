"""A model without code of the user's own: layers of Keras, those of tfopt, and operations alone."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt.graph.added_losses import unread_losses, warn_of_unread
from tfopt.graph.rewriting.decompose import Decomposer, Decomposition, decompose_call
from tfopt.graph.rewriting.model_class import with_class_of
from tfopt.graph.rewriting.rebuild import Copier, copy, replay
from tfopt.graph.tracing.trace import as_functional
from tfopt.graph.walk import Node, nodes, tensors_in

logger = logging.getLogger(__name__)


def is_own(operation: Any) -> bool:
    """Return whether an operation is a layer of the user's own: of a class of neither Keras nor tfopt."""
    return isinstance(operation, keras.Layer) and not type(operation).__module__.startswith(
        ("keras.", "tfopt.")
    )


def has_code(operation: Any) -> bool:
    """Return whether an operation runs code of the user's own: a layer of their own, or a `Lambda`."""
    return is_own(operation) or isinstance(operation, keras.layers.Lambda)


def with_own_layers_decomposed(
    model: keras.Model, decompose: Callable[[Any], bool] = has_code
) -> keras.Model:
    """Return a functional model that computes the same, in which layers of the user's own are decomposed.

    A subclassed model becomes functional, and nested models are flattened. Layers of Keras stay what they
    are, also those that are made of others, such as attention. A layer whose code cannot be read is left
    whole. The result has weights of its own, and the class of `model` where that trains in a way of its own.

    Args:
        model: any built model.
        decompose: returns whether an operation that runs code of the user's own is decomposed.

    Raises:
        UnsupportedModel: the model is subclassed and has not been called, or its code cannot be read.
        InvalidArgumentError: it is no Keras 3 model.
    """
    copied = copy(model)
    graph = decomposed(copied, decompose)
    warn_of_unread(unread_losses(graph))
    return with_class_of(copied, graph)


def decomposed(model: keras.Model, decompose: Callable[[Any], bool] = has_code) -> keras.Model:
    """Return the functional model of `with_own_layers_decomposed`, with the variables of `model` itself.

    Args:
        model: built, and nobody else's: its layers get further calls.
        decompose: as there.

    Raises:
        UnsupportedModel, InvalidArgumentError: as there.
    """

    def find(operation: Any) -> Decomposition | None:
        return decompose_call if has_code(operation) and decompose(operation) else None

    functional = as_functional(model)
    decomposer = Decomposer(find)
    copier = Copier(share_variables=True)
    sizes = _Sizes()

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        args, kwargs = keras.tree.map_structure(functools.partial(_single, node), (args, kwargs))
        layer = copier(node)
        if isinstance(layer, keras.layers.EinsumDense):
            sizes.take(layer, next(iter(tensors_in((args, kwargs))), None))
        return layer(*args, **kwargs)

    called: set[int] = set()

    def inside(layer: keras.Layer) -> keras.Layer | None:
        copied = copier.copied(layer)
        return None if id(copied) in called else copied

    try:
        graph = replay(functional, emit, decomposer=decomposer)
        called |= {id(node.operation) for node in nodes(graph)}
    finally:
        decomposer.restore_names(inside)
    for path, reason in decomposer.left_whole.items():
        logger.info("%s is left whole: %s", path, reason)
    return graph


class _Sizes:
    """Gives an EinsumDense the sizes that its config leaves open, taken from what it is called with.

    Keras infers its output's shape from the config alone, so that after it a size is open that the model
    has: what is built later, on what a `Flatten` makes of it, could not be. A layer that is called with
    several sizes leaves them open.
    """

    def __init__(self) -> None:
        self._said: dict[int, tuple] = {}
        self._known: dict[int, set[tuple]] = {}

    def take(self, layer: keras.layers.EinsumDense, tensor: keras.KerasTensor | None) -> None:
        """Let a layer know of the sizes of what it is going to be called with."""
        said = self._said.setdefault(id(layer), layer.partial_output_shape)
        inputs, outputs = layer.equation.replace(" ", "").split("->")
        letters = inputs.split(",")[0]
        if tensor is None or "." in layer.equation or len(letters) != len(tensor.shape):
            return
        sizes = dict(zip(letters, tensor.shape, strict=True))
        known = self._known.setdefault(id(layer), set())
        known.add(
            tuple(
                sizes.get(letter) if size is None else size
                for letter, size in zip(outputs[1:], said, strict=True)
            )
        )
        layer.partial_output_shape = next(iter(known)) if len(known) == 1 else said


def _single(node: Node, value: Any) -> Any:
    """Return an array of doubles in the dtype of the floats that an operation is called with.

    Code multiplies variables by such, which NumPy makes by default, and gets numbers of the variable's dtype.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return value
    floats = [x.dtype for x in node.inputs if keras.backend.is_float_dtype(x.dtype)]
    return value.astype(floats[0]) if floats else value
