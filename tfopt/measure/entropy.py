"""How few bytes weights could take: what is there to gain by clusters, zeros and coarse grids."""

from __future__ import annotations

import numpy as np


def distinct_values(array: np.ndarray) -> int:
    """Return how many different values an array has: its clusters, where it was clustered.

    Args:
        array: of any shape, as a file has it: of quantized weights, the integers.
    """
    return len(occurrences(array))


def entropy_bytes(array: np.ndarray) -> int:
    """Return the Shannon bound of an array: the fewest bytes that a code of its single values can take.

    It is n * H / 8 for n values with the entropy H in bits. A code that sees patterns of several values
    (gzip, where zeros come in blocks) may take fewer, and every code needs a table of the values besides.

    Args:
        array: of any shape, as a file has it: of quantized weights, the integers.

    Reference:
        Shannon, 1948, A Mathematical Theory of Communication, theorem 9. Of weights: Han et al., 2016, Deep
        Compression (arXiv 1510.00149), section 4.
    """
    return shannon_bytes(occurrences(array))


def shannon_bytes(counts: np.ndarray) -> int:
    """Return the Shannon bound of an array whose values occur so often; see `entropy_bytes`."""
    size = counts.sum()
    shares = counts / max(size, 1)
    return int(np.ceil(size * -(shares * np.log2(shares)).sum() / 8 - 1e-9))


def occurrences(array: np.ndarray) -> np.ndarray:
    """Return how often each value occurs, without those that do not."""
    flat = np.ascontiguousarray(array).ravel()
    if flat.itemsize <= 2:  # few values: no need to sort
        counts = np.bincount(flat.view(f"u{flat.itemsize}"))
        return counts[counts > 0]
    return np.unique(flat, return_counts=True)[1]
