"""TFLite's sparse encoding of a tensor: the values that are not zero, and where they are.

The last axis is compressed (CSR): of each row of it, the file has the positions of what is not zero. They may
be the positions of blocks, so that few indices are needed where zeros come in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCKS = (1, 4, 16)
"""How many values of the last axis share an index."""


@dataclass(frozen=True, eq=False)
class SparseEncoding:
    """A tensor without its zeros.

    Attributes:
        shape: of the tensor.
        block: how many values of the last axis share an index.
        values: of the blocks that are not all zero, flat, row after row.
        segments: where each row's blocks begin in `indices`, and their number at the end: rows + 1 integers.
        indices: of each block, its position in its row, counted in blocks.
    """

    shape: tuple[int, ...]
    block: int
    values: np.ndarray
    segments: np.ndarray
    indices: np.ndarray

    @property
    def bytes(self) -> int:
        """The bytes of values, segments and indices."""
        return self.values.nbytes + self.segments.nbytes + self.indices.nbytes

    @classmethod
    def of(cls, array: np.ndarray, block: int = 1) -> SparseEncoding:
        """Return an array as an encoding. Negative zeros, which `weights * mask` makes, are zeros.

        Args:
            array: of one axis or more.
            block: divides its last axis.
        """
        blocks = np.ascontiguousarray(array).reshape(-1, array.shape[-1] // block, block)
        kept = (blocks != 0).any(axis=-1)
        rows, indices = np.nonzero(kept)
        segments = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(blocks)))])
        return cls(array.shape, block, blocks[kept].ravel(), _small(segments), _small(indices))

    @classmethod
    def smallest(cls, array: np.ndarray) -> SparseEncoding:
        """Return the encoding of an array in the blocks that need the fewest bytes."""
        blocks = [block for block in BLOCKS if array.shape[-1] % block == 0]
        return min((cls.of(array, block) for block in blocks), key=lambda encoding: encoding.bytes)


def sparse_bytes(array: np.ndarray) -> int:
    """Return the bytes of an array in TFLite's sparse encoding, or as it is where that is fewer.

    Values and indices alone, without the some hundred bytes of a file that say how they are encoded.

    Args:
        array: as the file has it: of quantized weights, the integers.
    """
    if not array.ndim or np.count_nonzero(array) > 0.98 * array.size:  # an index a block, at the very least
        return int(array.nbytes)
    return int(min(array.nbytes, SparseEncoding.smallest(array).bytes))


def _small(integers: np.ndarray) -> np.ndarray:
    """Return integers in the smallest type that TFLite's schema has for them."""
    largest = int(integers.max(initial=0))
    return integers.astype(np.uint8 if largest < 2**8 else np.uint16 if largest < 2**16 else np.int32)
