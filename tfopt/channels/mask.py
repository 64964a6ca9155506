"""Masks of pruned kernels that lost channels."""

from __future__ import annotations

import keras

from tfopt.pruning.mask import SparsityMask
from tfopt.pruning.masks import constrain, masked


def cut_masks(model: keras.Model) -> None:
    """Give each kernel whose mask has another shape than itself a mask of the zeros that it has.

    Masked weights are zero, and cutting keeps zeros: what is left of a mask is where they are.

    Args:
        model: whose layers were made of the configs of larger ones, with masks for these; changed in place.
    """
    for entry in masked(model):
        if entry.mask.value.shape != entry.weights.shape:
            constrain(entry.kernel, SparsityMask(entry.weights != 0, entry.mask.constraint, entry.mask.plan))
