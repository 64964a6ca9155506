"""Which samples are held out, from a seed alone."""

from __future__ import annotations

import numpy as np

from tfopt.errors import InvalidArgumentError


def hold_out(count: int, share: float, *, seed: int, labels: np.ndarray | None = None) -> np.ndarray:
    """Return which of `count` samples are held out, as a boolean array.

    Args:
        count: the number of samples.
        share: the share to hold out, 0 < share < 1; at least one sample, and never all.
        seed: the same seed holds out the same samples on every machine.
        labels: one integer a sample; when given, every class is held out in proportion.

    Raises:
        InvalidArgumentError: the share is outside (0, 1), or there is one sample only.
    """
    if not 0 < share < 1:
        raise InvalidArgumentError(f"The share to hold out must lie between 0 and 1, got {share}.")
    if count < 2:
        raise InvalidArgumentError(f"Two samples are needed to hold one out, got {count}.")
    order = np.random.default_rng(seed).permutation(count)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    held = min(max(round(share * count), 1), count - 1)
    # Evenly spaced positions of the order by class take each class in proportion, within one sample.
    chosen = order[((np.arange(held) + 0.5) * count / held).astype(int)]
    mask = np.zeros(count, bool)
    mask[chosen] = True
    return mask
