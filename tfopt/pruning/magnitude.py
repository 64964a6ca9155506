"""The magnitude criterion: the weights with the smallest absolute value are needed least."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def magnitude_masks(
    weights: Sequence[np.ndarray], masks: Sequence[np.ndarray], sparsity: float
) -> list[np.ndarray]:
    """Return masks that leave the largest weights alive, all arrays compared together.

    Args:
        weights: arrays of any shapes.
        masks: their present masks, True where a weight lives.
        sparsity: the share of zeros to reach over all arrays together, in [0, 1). It is met to the
            nearest weight, and never falls below that of `masks`.

    Of equal weights those that are pruned already go first, then those that come first, so that the
    count is exact and the result depends on nothing else.
    """
    magnitudes = np.concatenate([np.abs(w, dtype=np.float32).ravel() for w in weights])
    magnitudes[np.isnan(magnitudes)] = np.inf  # the fault of whoever made them; not to be hidden as zeros
    alive = np.concatenate([mask.ravel() for mask in masks])
    pruned = max(int(sparsity * magnitudes.size + 0.5), int(np.count_nonzero(~alive)))
    result = np.ones(magnitudes.size, bool)
    if pruned:
        threshold = np.partition(magnitudes, pruned - 1)[pruned - 1]
        result[magnitudes < threshold] = False
        equal = magnitudes == threshold
        candidates = np.concatenate([np.flatnonzero(equal & ~alive), np.flatnonzero(equal & alive)])
        result[candidates[: pruned - np.count_nonzero(~result)]] = False
    parts = np.split(result, np.cumsum([w.size for w in weights])[:-1])
    return [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]
