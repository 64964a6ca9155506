"""The graph in which units are followed: nested models flattened, layers of the user's own decomposed."""

from __future__ import annotations

import functools
import logging
from typing import Any

import keras
import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.graph import (
    Copier,
    Decomposer,
    Decomposition,
    Node,
    as_functional,
    copy,
    decompose_call,
    is_quantized,
    replay,
    require_built,
    unread_losses,
    warn_of_unread,
    with_class_of,
)

logger = logging.getLogger(__name__)


def opened(model: keras.Model) -> keras.Model:
    """Return a functional model that computes the same, a copy of layers of Keras wherever that can be had.

    Layers of Keras stay what they are, also those that are made of others, such as attention.

    Args:
        model: any built model.

    Raises:
        UnsupportedModel: the model is subclassed and has not been called, or its code cannot be read.
        InvalidArgumentError: it is no Keras 3 model, or quantization-aware.
    """
    require_built(model)
    if is_quantized(model):
        raise InvalidArgumentError(
            f"prune_channels: the model {model.name!r} is quantization-aware: its ranges are those of the "
            "channels that it has. Prune the float model that it was made of, then call tfopt.quantize_aware."
        )
    copied = copy(model)
    functional = as_functional(copied)
    decomposer = Decomposer(_decomposition_of)
    copier = Copier(share_variables=True)

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        args, kwargs = keras.tree.map_structure(functools.partial(_single, node), (args, kwargs))
        return copier(node)(*args, **kwargs)

    try:
        graph = replay(functional, emit, decomposer=decomposer)
    finally:
        decomposer.restore_names()
    for path, reason in decomposer.left_whole.items():
        logger.info("%s is left whole: %s", path, reason)
    warn_of_unread(unread_losses(graph))
    return with_class_of(copied, graph)


def _single(node: Node, value: Any) -> Any:
    """Return an array of doubles in the dtype of the floats that an operation is called with.

    Code multiplies variables by such, which NumPy makes by default, and gets numbers of the variable's dtype.
    """
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return value
    floats = [x.dtype for x in node.inputs if keras.backend.is_float_dtype(x.dtype)]
    return value.astype(floats[0]) if floats else value


def _decomposition_of(operation: Any) -> Decomposition | None:
    """Return how a layer of the user's own is decomposed: into what its `call` does."""
    module = type(operation).__module__
    own = isinstance(operation, keras.Layer) and not module.startswith(("keras.", "tfopt."))
    return decompose_call if own or isinstance(operation, keras.layers.Lambda) else None
