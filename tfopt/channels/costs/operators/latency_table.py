"""The time of a file as the sum of the times of its operators, measured at several sizes each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.metric import Part

LEVELS = 3
"""At how many sizes of a row an operator is measured."""
ONE = -1
"""The row of what has only one row or none: of the size 1 always."""


@dataclasses.dataclass(frozen=True, eq=False)
class OperatorTimes:
    """The seconds of one operator.

    Attributes:
        rows: two rows of `AxisSizes`, `ONE` for none.
        levels: the sizes of each, rising; of shape `(2, LEVELS)`.
        seconds: at each two of them; of shape `(LEVELS, LEVELS)`.
    """

    rows: tuple[int, int]
    levels: np.ndarray
    seconds: np.ndarray


class LatencyTable:
    """The summed time of operators, each a bilinear function of the sizes between those measured.

    Args:
        operators: of the file.
    """

    def __init__(self, operators: Sequence[OperatorTimes]) -> None:
        self._rows = np.array([each.rows for each in operators], np.int64).reshape(-1, 2)
        self._levels = np.stack([each.levels for each in operators]).astype(float)
        self._seconds = np.stack([each.seconds for each in operators]).astype(float)

    def __len__(self) -> int:
        """Return how many operators there are."""
        return len(self._rows)

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return seconds, of shape `(...)`, for the sizes of all rows, of shape `(..., rows)`."""
        return np.asarray(self.of_operators(sizes).sum(axis=-1))

    def of_operators(self, sizes: np.ndarray, chosen: Sequence[int] | slice = slice(None)) -> np.ndarray:
        """Return the seconds of each of the chosen operators, of shape `(..., operators)`."""
        sizes = np.concatenate([sizes, np.ones((*sizes.shape[:-1], 1))], axis=-1)  # the row ONE
        rows, levels, seconds = self._rows[chosen], self._levels[chosen], self._seconds[chosen]
        at = sizes[..., rows]
        segment = (at[..., None] >= levels[:, :, 1:-1]).sum(axis=-1)
        start = np.take_along_axis(np.broadcast_to(levels, (*at.shape, LEVELS)), segment[..., None], -1)[
            ..., 0
        ]
        end = np.take_along_axis(np.broadcast_to(levels, (*at.shape, LEVELS)), segment[..., None] + 1, -1)[
            ..., 0
        ]
        along = (at - start) / (end - start)
        first, second = segment[..., 0], segment[..., 1]
        share, other = along[..., 0], along[..., 1]
        number = np.arange(len(rows))
        found = (
            seconds[number, first, second] * (1 - share) * (1 - other)
            + seconds[number, first + 1, second] * share * (1 - other)
            + seconds[number, first, second + 1] * (1 - share) * other
            + seconds[number, first + 1, second + 1] * share * other
        )
        return np.asarray(np.maximum(found, 0.0))

    def parts(self, sizes: AxisSizes) -> Iterator[Part]:
        """Yield functions of the widths of the groups of some operators each, whose sum is the time."""
        table = sizes.per_group
        groups_of = [
            tuple(int(group) for group in np.unique(table[[row for row in rows if row != ONE]].indices))
            for rows in self._rows.tolist()
        ]
        for groups in dict.fromkeys(groups_of):
            chosen = [number for number, each in enumerate(groups_of) if each == groups]
            yield groups, _OfGroups(self, sizes, groups, chosen)


class _OfGroups:
    """The time of some operators as a function of the widths of the groups that they depend on."""

    def __init__(
        self, table: LatencyTable, sizes: AxisSizes, groups: tuple[int, ...], chosen: Sequence[int]
    ) -> None:
        self._table, self._chosen = table, chosen
        self._per_width = sizes.per_group[:, list(groups)].toarray()
        self._fixed = sizes.fixed

    def __call__(self, widths: np.ndarray) -> np.ndarray:
        sizes = np.asarray(widths, float) @ self._per_width.T + self._fixed
        return np.asarray(self._table.of_operators(sizes, self._chosen).sum(axis=-1))
