"""Erdos-Renyi-Kernel: small kernels keep a larger share of their weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def erk(shapes: Sequence[tuple[int, ...]], sparsity: float) -> list[float]:
    """Return the sparsity of each kernel, so that all together have `sparsity`.

    The share of weights that a kernel keeps is proportional to (sum of its axes) / (product of its axes), and
    at most 1: the Erdos-Renyi-Kernel distribution of "Rigging the lottery" (Evci et al., 2020, arXiv
    1911.11134), from sparse evolutionary training (Mocanu et al., 2018).

    Args:
        shapes: of the kernels.
        sparsity: in [0, 1).
    """
    sizes = np.array([np.prod(shape, dtype=float) for shape in shapes])
    ratios = np.array([np.sum(shape) for shape in shapes]) / sizes
    budget = (1 - sparsity) * sizes.sum()
    whole = np.zeros(len(sizes), bool)
    while not whole.all():
        factor = (budget - sizes[whole].sum()) / (ratios * sizes)[~whole].sum()
        full = ~whole & (factor * ratios >= 1)
        if not full.any():
            return np.where(whole, 0.0, 1 - factor * ratios).tolist()
        whole |= full
    return [0.0] * len(sizes)
