"""The singular value decomposition of a matrix, from the side where it is smaller."""

from __future__ import annotations

from functools import cached_property

import numpy as np


class TruncatedSVD:
    """The best approximations of a matrix by those of lower rank.

    The singular vectors of the smaller side are the eigenvectors of the Gram matrix, and the other factor is
    the matrix projected on them. So the product with all of them is the matrix to the rounding of float64
    however small singular values are, and a matrix with one long side takes little time.

    Args:
        matrix: of shape (rows, columns).

    Reference:
        Eckart and Young, 1936, The Approximation of One Matrix by Another of Lower Rank.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        self._matrix = np.asarray(matrix, np.float64)
        self.rank = min(matrix.shape)
        """The rank with which the product is the matrix itself."""

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        rows, columns = self._matrix.shape
        gram = self._matrix.T @ self._matrix if columns <= rows else self._matrix @ self._matrix.T
        return eigenvectors(gram)

    @cached_property
    def errors(self) -> np.ndarray:
        """The squared error by the squared norm with each rank from 0 to `rank`."""
        return tails(self._eigen[0])

    def factors(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Return matrices of shapes (rows, rank) and (rank, columns) whose product is the approximation.

        Each singular value is split evenly: what one factor scales, the other scales alike, so that both
        train at the same pace.
        """
        values, vectors = self._eigen
        kept = vectors[:, :rank]
        scale = np.sqrt(np.maximum(np.sqrt(values[:rank]), 1e-12 * np.sqrt(values[0]) or 1.0))
        if self._matrix.shape[1] <= self._matrix.shape[0]:
            return self._matrix @ kept / scale, (kept * scale).T
        return kept * scale, (kept / scale).T @ self._matrix


def eigenvectors(gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the eigenvalues of a Gram matrix, the largest first, none below 0, and its eigenvectors."""
    values, vectors = np.linalg.eigh(gram)
    return np.maximum(values[::-1], 0.0), vectors[:, ::-1]


def tails(energies: np.ndarray) -> np.ndarray:
    """Return which share of the energies is left out where the first 0, 1, 2... are kept."""
    kept = np.concatenate([np.cumsum(energies[::-1])[::-1], [0.0]])
    return kept / (kept[0] or 1.0)
