"""Sparse learning: units that a model can spare become small while it trains, before they are removed."""

from __future__ import annotations

import keras

from tfopt import _validation
from tfopt.channels.penalty import penalize
from tfopt.channels.prunable import prunable, scope_of


def group_lasso(model: keras.Model, strength: float = 1e-4, *, growth: float = 0.0) -> keras.Model:
    """Return a copy of `model` whose training makes units that it can spare small.

    The loss gets `strength` times the sum of the norms of all units: the root of the sum of squares of the
    weights that make a unit and of the normalizations that scale it (Yuan and Lin, Model selection and
    estimation in regression with grouped variables, 2006; Wen et al., Learning structured sparsity in deep
    neural networks, NeurIPS 2016, arXiv 1608.03665). Train the copy with `compile` and `fit`, then give it to
    `tfopt.prune_channels`, which returns a model without the penalty, as a saved and loaded copy is.

        sparse = tfopt.channels.group_lasso(model, 1e-3)
        sparse.compile("adam", "sparse_categorical_crossentropy")
        sparse.fit(x, y, epochs=5)
        smaller = tfopt.prune_channels(sparse, 0.5)

    Args:
        model: as `tfopt.prune_channels` takes it. It is left as it is.
        strength: of the penalty, above 0. It adds to the loss; the gradient pulls each unit towards zero by
            this much, whatever its size.
        growth: by how many powers of two the smallest unit of a group is pulled more than the largest, 0 or
            more; 0 pulls all alike, 4 is that of Fang et al., DepGraph, CVPR 2023, arXiv 2301.12900 (equation
            4). Units in between go by their norms as these then are.

    Raises:
        InvalidArgumentError: an argument out of its range, or a model that is quantization-aware or has
            nothing to prune.
        UnsupportedModel: the model is subclassed and has not been called.
    """
    strength = _validation.number("group_lasso", "strength", strength, above=0)
    growth = _validation.number("group_lasso", "growth", growth, at_least=0)
    with scope_of(model):
        found = prunable(model)
        penalize(found, strength, growth)
    return found.model
