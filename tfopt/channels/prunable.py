"""The dependencies of a model that channels can be removed from."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import keras

from tfopt import graph
from tfopt.channels.dependency import dependencies
from tfopt.channels.groups import Dependencies
from tfopt.channels.penalty import drop_penalty
from tfopt.errors import InvalidArgumentError


def prunable(model: keras.Model) -> Dependencies:
    """Return the dependencies of a model, without a penalty of `group_lasso` that it was trained with.

    Raises:
        InvalidArgumentError: it is quantization-aware, or there is nothing to prune; the message says why.
        UnsupportedModel: it cannot be read.
    """
    found = dependencies(model)
    drop_penalty(found.model)
    if not found.groups:
        raise InvalidArgumentError(
            f"prune_channels: there is nothing to prune in the model {model.name!r}, for all channels stay. "
            f"{_reasons(found)}"
        )
    return found


def scope_of(model: keras.Model) -> AbstractContextManager[Any]:
    """Return the scope in which variables are made as those of `model` were.

    Raises:
        InvalidArgumentError: it is no Keras 3 model.
        UnsupportedModel: it is subclassed and has not been called.
    """
    graph.require_built(model)
    return model.distribute_strategy.scope()


def _reasons(found: Dependencies) -> str:
    reasons = [f"{path}: {reason}" for path, reason in found.frozen.items()]
    more = f" (and {len(reasons) - 5} more)" if len(reasons) > 5 else ""
    return " ".join(reasons[:5]) + more if reasons else "It has no layer that makes channels."
