"""Zeros in blocks: so many outputs by so many inputs together."""

from __future__ import annotations

import numpy as np

from tfopt.pruning.patterns.base import Pattern
from tfopt.pruning.patterns.layout import Layout


class Block(Pattern):
    """Blocks of `outputs` by `inputs` weights, each scored by the mean of its weights.

    Blocks begin at the first output and input; at the far edges they may be smaller, and such a block has
    the mean of the weights that it has. The sparsity is the share of blocks.

    tensorflow-model-optimization's `block_size` names the axes of the Keras kernel, which are the other way
    round: our 1x4 is its `(4, 1)`. Masks are equal where its sizes divide, for its pooling centres the
    padding and its mask does not.

    Args:
        outputs: rows of a block in the [out, in] that the runtime reads, at least 1.
        inputs: columns, at least 1.
    """

    def __init__(self, outputs: int, inputs: int) -> None:
        self.outputs = outputs
        self.inputs = inputs
        self.name = f"{outputs}x{inputs}"

    def units(self, scores: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the mean of each block."""
        matrices = layout.matrices(scores)
        means = matrices.astype(np.float32, copy=False)
        for axis, size in ((2, self.inputs), (1, self.outputs)):
            means = _mean(means, axis, size)
        # The mean of live and pruned weights is finite; that of pruned ones alone is not.
        return means.ravel()

    def expand(self, kept: np.ndarray, layout: Layout) -> np.ndarray:
        """Return the mask with each block as its unit is."""
        count, rows, columns = layout.sizes
        blocks = kept.reshape(count, -(-rows // self.outputs), -(-columns // self.inputs))
        mask = blocks.repeat(self.outputs, axis=1).repeat(self.inputs, axis=2)
        return layout.kernel(mask[:, :rows, :columns])


def _mean(values: np.ndarray, axis: int, size: int) -> np.ndarray:
    """Return the means of every `size` entries along an axis; of pruned entries as zeros, unless all are."""
    starts = np.arange(0, values.shape[axis], size)
    pruned = values == -np.inf
    sums = np.add.reduceat(np.where(pruned, np.float32(0), values), starts, axis=axis)
    shape = [1] * values.ndim
    shape[axis] = len(starts)
    counts = np.diff([*starts, values.shape[axis]]).astype(np.float32).reshape(shape)
    return np.where(np.logical_and.reduceat(pruned, starts, axis=axis), np.float32(-np.inf), sums / counts)
