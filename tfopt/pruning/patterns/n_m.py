"""N:M: of every M weights side by side at most N are not zero."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.patterns.base import Pattern
from tfopt.pruning.patterns.layout import Layout


class NOfM(Pattern):
    """At most `n` weights that are not zero in every `m` consecutive inputs of an output.

    2:4 is what NVIDIA's sparse tensor cores read ("Accelerating sparse deep neural networks", Mishra et al.,
    2021, arXiv 2104.08378). Groups start at the first input of each output, and in a convolution at each
    position of the window. Where `m` does not divide the inputs, the last group is filled up with zeros, as
    in tensorflow-model-optimization: of the r inputs that are left, r - n are pruned, and none where r <= n.

    Of equal scores the first stays.

    Args:
        n: how many are kept, at least 1.
        m: of how many, above `n`.
    """

    def __init__(self, n: int, m: int) -> None:
        self.n = n
        self.m = m
        self.name = f"{n}:{m}"
        self.sparsity = 1 - n / m

    def units(self, scores: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the scores, those of the `n` highest of each group as infinity."""
        matrices = layout.matrices(scores)
        missing = -matrices.shape[2] % self.m
        padded = np.pad(matrices, ((0, 0), (0, 0), (0, missing)), constant_values=-np.inf)
        groups = padded.reshape(-1, self.m)
        highest = np.argsort(-groups, axis=1, kind="stable")[:, : self.n]
        units = groups.copy()
        np.put_along_axis(units, highest, np.inf, axis=1)
        kept = units.reshape(padded.shape)[:, :, : matrices.shape[2]]
        return layout.kernel(kept).ravel()

    def expand(self, kept: np.ndarray, layout: Layout) -> np.ndarray:
        """Return them as the mask."""
        return kept.reshape(layout.shape)

    def pruned(self, units: np.ndarray, sparsity: float) -> int:
        """Return how many are pruned: all that the pattern lets go at its own sparsity, fewer before."""
        assert self.sparsity is not None
        free = int(np.count_nonzero(units != np.inf))
        return min(free, round(free * sparsity / self.sparsity))

    def least_inputs(self) -> int:
        """Return how many inputs a group needs to lose one."""
        return self.n + 1
