"""The sizes of axes as functions of the units that are kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from tfopt.channels.groups import FIXED, Group


class AxisSizes:
    """The sizes of the axes of variables and tensors, one row for each way in which units fill an axis.

    Args:
        groups: of the model; together they hold the units from 0 on.

    Attributes:
        groups: the same.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.groups = tuple(groups)
        self._rows: dict[bytes, int] = {}
        self._units: list[np.ndarray] = []
        self._matrix: sparse.csr_array | None = None

    def row(self, units: np.ndarray) -> int:
        """Return the row of an axis, given the unit at each of its positions, `FIXED` where that stays."""
        units = np.asarray(units, np.int64)
        key = units.tobytes()
        if key not in self._rows:
            self._rows[key] = len(self._units)
            self._units.append(units)
            self._matrix = None
        return self._rows[key]

    def __len__(self) -> int:
        """Return how many rows there are."""
        return len(self._units)

    def at(self, keep: np.ndarray) -> np.ndarray:
        """Return the size of each row.

        Args:
            keep: whether each unit stays; of shape `(units,)`.
        """
        return np.asarray(self._counts() @ keep.astype(float)) + self.fixed

    def at_widths(self, widths: np.ndarray) -> np.ndarray:
        """Return the size of each row where so many units of each group are kept.

        Where the units of a group stand along an axis more or less often, the size is a mean over them.

        Args:
            widths: of shape `(..., groups)`.

        Returns:
            Of shape `(..., rows)`.
        """
        flat = np.asarray(widths, float).reshape(-1, len(self.groups))
        sizes = (self.per_group @ flat.T).T + self.fixed
        return np.asarray(sizes).reshape(*np.shape(widths)[:-1], len(self))

    @property
    def fixed(self) -> np.ndarray:
        """How many positions of each row always stay."""
        return np.array([int((units == FIXED).sum()) for units in self._units], float)

    @property
    def per_group(self) -> sparse.csr_array:
        """What a unit of each group adds to the size of each row; of shape `(rows, groups)`."""
        count = sum(len(group.units) for group in self.groups)
        of_group = np.zeros(count, np.int64)
        for number, group in enumerate(self.groups):
            of_group[group.units] = number
        ones = sparse.csr_array(
            (np.ones(count), (np.arange(count), of_group)), shape=(count, len(self.groups))
        )
        table = sparse.csr_array(self._counts() @ ones)
        # A quotient, not a product with the inverse: of what stands there once for each unit it is 1.
        table.data /= np.array([len(group.units) for group in self.groups], float)[table.indices]
        return table

    def _counts(self) -> sparse.csr_array:
        """Return how often each unit stands in each row; of shape `(rows, units)`."""
        if self._matrix is None:
            lengths = [int((units != FIXED).sum()) for units in self._units]
            rows = np.repeat(np.arange(len(self)), lengths)
            columns = np.concatenate([units[units != FIXED] for units in self._units] or [np.zeros(0, int)])
            count = sum(len(group.units) for group in self.groups)
            self._matrix = sparse.csr_array(
                (np.ones(len(columns)), (rows, columns)), shape=(len(self), count)
            )
        return self._matrix
