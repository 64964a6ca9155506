"""The base of the patterns: which weights become zero together, and how many."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.patterns.layout import Layout


class Pattern:
    """Where the zeros of a kernel may stand.

    A pattern divides a kernel into *units*, the least that can become zero: a weight or a block. Selection
    compares the units by their scores and prunes the lowest.

    Attributes:
        name: what configs call it, such as `"2:4"`.
        sparsity: the share of zeros where the pattern itself fixes it; None where any can be asked for.
    """

    name: str
    sparsity: float | None = None

    def units(self, scores: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the score of each unit, flat, float32; infinity for those that the pattern never prunes.

        Args:
            scores: of each weight, of the kernel's shape, float32.
            layout: of the kernel.
        """
        raise NotImplementedError

    def expand(self, kept: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the mask of the kernel's shape, True where a weight lives.

        Args:
            kept: flat, True for the units that stay.
            layout: of the kernel.
        """
        raise NotImplementedError

    def pruned(self, units: np.ndarray, sparsity: float) -> int:
        """Return how many units are pruned at a sparsity: to the nearest, at least one is kept.

        Counts as tensorflow-model-optimization does, in single precision and halves to the even number, so
        that masks are equal weight by weight.
        """
        real = np.float32 if units.size < 1 << 24 else np.float64
        kept = np.rint(real(units.size) * (real(1) - real(sparsity)))
        return units.size - max(int(kept), 1)

    def least_inputs(self) -> int:
        """Return how many inputs a kernel needs for the pattern to find anything to prune in it."""
        return 1
