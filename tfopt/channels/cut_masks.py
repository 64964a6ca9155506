"""Sparsity masks of kernels that are cut: what is left of a mask holds what is left of the kernel at zero."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.graph import inner_layers
from tfopt.pruning.mask import SharedConstraint, SparsityMask

Cut = Callable[[keras.Variable, np.ndarray], np.ndarray]
"""Returns what is left of an array of the shape of a variable."""


def cut_masks(
    old: keras.Layer, new: keras.Layer, pairs: Sequence[tuple[keras.Variable, keras.Variable]], cut: Cut
) -> None:
    """Give the variables of a smaller layer what is left of the masks of the old one.

    Args:
        old, new: the layers; of the same structure.
        pairs: the variables of the old layer, and those that take their place.
        cut: cuts arrays as the variables were cut.
    """
    made: dict[int, Any] = {}
    for variable, _ in pairs:
        constraint = variable.constraint
        if isinstance(constraint, (SparsityMask, SharedConstraint)) and id(constraint) not in made:
            made[id(constraint)] = _smaller(constraint, [each for each, _ in pairs], cut)
    if not made:
        return
    for variable, smaller in pairs:
        smaller.constraint = made.get(id(variable.constraint), smaller.constraint)
    layers = zip([old, *inner_layers(old)], [new, *inner_layers(new)], strict=True)
    for before, after in layers:
        for name, value in list(vars(before).items()):
            if id(value) in made:
                setattr(after, name, made[id(value)])


def _smaller(constraint: Any, variables: Sequence[keras.Variable], cut: Cut) -> Any:
    """Return what is left of a mask, or of the masks of several kernels."""
    own = [variable for variable in variables if variable.constraint is constraint]
    if isinstance(constraint, SparsityMask):
        return SparsityMask(cut(own[0], constraint.value), constraint.constraint, constraint.plan)
    entries = {
        name: _of(each, next(v for v in own if v.path.split("/")[-2] == name), cut)
        for name, each in constraint.entries.items()
    }
    return SharedConstraint(entries, constraint.rest)


def _of(constraint: Any, variable: keras.Variable, cut: Cut) -> Any:
    if not isinstance(constraint, SparsityMask):
        return constraint
    return SparsityMask(cut(variable, constraint.value), constraint.constraint, constraint.plan)
