"""Tensors in 8 bits: blocks of up to 256 entries, each scaled by its largest magnitude, on a dynamic map.

Reference: Dettmers et al., 8-bit Optimizers via Block-wise Quantization (2021, arXiv 2110.02861), sections
1.3 (dynamic tree quantization), 2.1 and 2.2.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_LEAST, _MOST = 200, 256
"""Entries that share a scale: the most that divide a tensor, or `_MOST` where no number between does."""
_SMALLEST = float(np.finfo(np.float32).tiny)


@dataclasses.dataclass(frozen=True)
class DynamicMap:
    """The number of each 8-bit code: as precise as 8 bits allow near 1, and down to a millionth of it.

    Of 8 bits, signed maps spend one on the sign. The zeros before the first bit that is set count powers of
    ten; what follows that bit divides [0.1, 1] into equal parts, of which the number is the middle: 64 parts
    of [0.1, 1], 32 of [0.01, 0.1], ... 1 of [1e-7, 1e-6]; unsigned maps have twice as many. 0 and 1 are
    added.

    Attributes:
        signed: whether the map holds negative numbers.
    """

    signed: bool

    @functools.cached_property
    def values(self) -> np.ndarray:
        """The 256 numbers in ascending order, float32."""
        values = [0.0, 1.0]
        for zeros in range(7):
            parts = 2 ** (6 - zeros) * (1 if self.signed else 2)
            middles = (0.1 + 0.9 * (np.arange(parts) + 0.5) / parts) * 10.0**-zeros
            values.extend([*middles, *(-middles if self.signed else ())])
        return np.sort(np.array(values)).astype(np.float32)

    @functools.cached_property
    def midpoints(self) -> np.ndarray:
        """The 255 bounds of what is nearest to one number and what is nearest to the next, float32."""
        values = self.values.astype(np.float64)
        midpoints = ((values[1:] + values[:-1]) / 2).astype(np.float32)
        if not self.signed:
            # What is above 0 stays above 0: it will be divided by.
            midpoints[0] = 0
        return midpoints

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """What a float32 number's upper 16 bits say of its code, by these bits, uint32.

        The numbers that share them are so close together that no more than one midpoint lies among them. The
        lowest 8 bits of an entry are the code of that nearest to 0; the next 16 are the largest lower half
        that still has it. Numbers with a larger one have the next code away from 0.
        """
        upper = np.arange(2**16, dtype=np.uint32) << 16
        first, last = (np.nan_to_num(bits.view(np.float32)) for bits in (upper, upper | 0xFFFF))
        code, other = (np.searchsorted(self.midpoints, x).astype(np.uint32) for x in (first, last))
        between = self.midpoints[np.minimum(np.minimum(code, other), 254)].view(np.uint32) & 0xFFFF
        # A midpoint itself belongs to the lower code: below 0 to that farther from 0.
        largest = np.where(code == other, 0xFFFF, np.where(other < code, between - 1, between))
        return (largest.astype(np.uint32) << 8) | code

    def nearest(self, x: tf.Tensor) -> tf.Tensor:
        """Return the codes of the numbers nearest to `x`, float32 in [-1, 1] or [0, 1], as uint8."""
        bits = tf.bitcast(x, tf.uint32)
        cell = tf.gather(self.cells, tf.cast(tf.bitwise.right_shift(bits, 16), tf.int32))
        cell = tf.cast(cell, tf.int32)
        lower_half = tf.cast(tf.bitwise.bitwise_and(bits, 0xFFFF), tf.int32)
        further = tf.cast(lower_half > tf.bitwise.right_shift(cell, 8), tf.int32)
        away = tf.where(x < 0, -further, further) if self.signed else further
        return tf.cast(tf.bitwise.bitwise_and(cell, 0xFF) + away, tf.uint8)


SIGNED, UNSIGNED = DynamicMap(signed=True), DynamicMap(signed=False)


class Blocks:
    """How a tensor is cut into blocks of entries that follow one another.

    Args:
        shape: of the tensor.

    Attributes:
        size: entries of each: the largest number from 200 to 256 that leaves no remainder, or 256; filling up
            and cutting off cost as much as an update.
        count: of the blocks; the last may end with zeros.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self._shape, self._entries = tuple(shape), math.prod(shape)
        whole = (size for size in range(_MOST, _LEAST - 1, -1) if self._entries % size == 0)
        self.size = next(whole, _MOST)
        self.count = -(-self._entries // self.size)

    def cut(self, x: tf.Tensor) -> tf.Tensor:
        """Return `x` in the shape `(count, size)`."""
        missing = self.count * self.size - self._entries
        if missing:
            x = tf.pad(tf.reshape(x, [-1]), [[0, missing]])
        return tf.reshape(x, (self.count, self.size))

    def join(self, in_blocks: tf.Tensor) -> tf.Tensor:
        """Undo `cut`."""
        if self.count * self.size > self._entries:
            in_blocks = tf.reshape(in_blocks, [-1])[: self._entries]
        return tf.reshape(in_blocks, self._shape)


def quantize(x: tf.Tensor, dynamic_map: DynamicMap, *, roots: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
    """Return `x`, or its roots, in 8 bits.

    Args:
        x: float tensor of shape `(blocks, entries)`; not negative for an unsigned map.
        dynamic_map: `SIGNED` or `UNSIGNED`.
        roots: take the roots.

    Returns:
        codes: uint8, of the shape of `x`.
        scales: largest magnitude of each block, of the dtype of `x`, of shape `(blocks,)`.
    """
    largest = _largest(x)
    scales = tf.sqrt(largest) if roots else largest
    # One division and one root a block. A scale that has no reciprocal is as good as 0.
    inverse = tf.where(scales < _SMALLEST, tf.zeros_like(scales), 1 / scales)
    shares = (tf.sqrt(x) if roots else x) * inverse[:, tf.newaxis]
    return dynamic_map.nearest(tf.cast(shares, tf.float32)), scales


def _largest(x: tf.Tensor) -> tf.Tensor:
    """Return the largest magnitude of each block: first of its parts, by vector instructions."""
    count, size = x.shape
    parts = next(number for number in range(16, 0, -1) if size % number == 0)
    in_parts = tf.unstack(tf.reshape(tf.abs(x), (count, parts, size // parts)), axis=1)
    return tf.reduce_max(functools.reduce(tf.maximum, in_parts), axis=1)


def dequantize(codes: tf.Tensor, scales: tf.Tensor, dynamic_map: DynamicMap) -> tf.Tensor:
    """Return the tensor that `quantize` was given, rounded, in the dtype of `scales`."""
    values = tf.gather(dynamic_map.values, tf.cast(codes, tf.int32))
    return tf.cast(values, scales.dtype) * scales[:, tf.newaxis]
