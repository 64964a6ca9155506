"""The masks that scores, a pattern and a sparsity lead to. Arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfopt.pruning.patterns import Layout, Pattern, pattern_of


def select_masks(
    scores: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    sparsity: float,
    *,
    layouts: Sequence[Layout],
    pattern: Pattern,
) -> list[np.ndarray]:
    """Return masks that leave the units with the highest scores alive, those of all kernels compared.

    Args:
        scores: of each weight, arrays of any shapes.
        masks: the present masks, True where a weight lives. What is False stays so.
        sparsity: the share of zeros to reach over all kernels together, in [0, 1).
        layouts: of the kernels.
        pattern: which weights become zero together.

    Of equal units those that are pruned already go first, then those that come first, so that the count is
    exact and the result depends on nothing else. NaN counts as the highest score: it is the fault of whoever
    made it, and not to be hidden as a zero.
    """
    units = [
        pattern.units(_of_live(score, mask), layout)
        for score, mask, layout in zip(scores, masks, layouts, strict=True)
    ]
    together = np.concatenate(units)
    kept = _without_lowest(together, pattern.pruned(together, sparsity))
    parts = np.split(kept, np.cumsum([unit.size for unit in units])[:-1])
    return [
        pattern.expand(part, layout) & mask for part, layout, mask in zip(parts, layouts, masks, strict=True)
    ]


def magnitude_masks(
    weights: Sequence[np.ndarray], masks: Sequence[np.ndarray], sparsity: float
) -> list[np.ndarray]:
    """Return masks that leave the largest of single weights alive; see `select_masks`."""
    layouts = [Layout((), tuple(range(w.ndim)), (), w.shape) for w in weights]
    scores = [np.abs(w, dtype=np.float32) for w in weights]
    return select_masks(scores, masks, sparsity, layouts=layouts, pattern=pattern_of(None))


def drop_and_grow(
    weights: np.ndarray,
    gradients: np.ndarray,
    mask: np.ndarray,
    fraction: float,
    *,
    layout: Layout,
    pattern: Pattern,
) -> np.ndarray:
    """Return the mask after a share of the live units was replaced by others, as many as before.

    Args:
        weights: of one kernel, zero where the mask is False.
        gradients: of the loss, of all its weights.
        mask: True where a weight lives.
        fraction: the share of the live units that is dropped, those of the smallest magnitude. Those with
            the largest gradients that do not live after that grow.
        layout: of the kernel.
        pattern: which weights live and die together.
    """
    sizes = pattern.units(_of_live(np.abs(weights, dtype=np.float32), mask), layout)
    alive = sizes != -np.inf
    count = int(np.count_nonzero(alive))
    moved = min(int(fraction * count), alive.size - count)
    kept = _without_lowest(sizes, alive.size - (count - moved))
    slopes = pattern.units(np.abs(gradients, dtype=np.float32), layout)
    grown = _without_lowest(np.where(kept, np.float32(-np.inf), slopes), alive.size - moved)
    return pattern.expand(kept | grown, layout)


def _of_live(scores: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the scores, of pruned weights as minus infinity."""
    scores = np.where(np.isnan(scores), np.float32(np.inf), scores).astype(np.float32, copy=False)
    return np.where(mask, scores, np.float32(-np.inf))


def _without_lowest(scores: np.ndarray, count: int) -> np.ndarray:
    """Return True for all but the `count` lowest; of equal ones the first go."""
    kept = np.ones(scores.size, bool)
    if count > 0:
        threshold = np.partition(scores, count - 1)[count - 1]
        kept[scores < threshold] = False
        kept[np.flatnonzero(scores == threshold)[: count - np.count_nonzero(~kept)]] = False
    return kept
