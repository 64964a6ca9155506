"""The rewrites of operators, by their names, and the rewrite of a call."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.quantization.canonicalize.named_functions import named
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.operators.registry import OPERATORS

logger = logging.getLogger(__name__)

Rewrite = Callable[..., Any]
"""Takes a context, the operation and its arguments; returns its output, or None to keep the operation."""

REWRITES: Mapping[str, Rewrite] = {
    name: named("rewrite", traits.rewrite) for name, traits in OPERATORS.items() if traits.rewrite is not None
}


def rewritten(
    context: RewriteContext, operation: keras.Operation, args: tuple, kwargs: dict[str, Any]
) -> Any:
    """Return the output of simpler operations for `operation`, or None where it stays.

    Args:
        context: where the new layers go.
        operation: what the model calls.
        args, kwargs: what it is called with, in the new model.
    """
    if not type(operation).__module__.startswith("keras."):
        return None  # a user's subclass may do anything
    name = type(operation).__name__
    rewrite = REWRITES.get(name)
    if rewrite is None:
        return None
    # Keras notes for every layer in a layer whether it trains; a functional model tells it anew.
    kwargs = {key: value for key, value in kwargs.items() if key != "training"}
    result = rewrite(context, operation, *args, **kwargs)
    if result is not None:
        logger.debug("%s (%s) is rewritten by %s", context.path, name, OPERATORS[name].rewrite)
    return result
