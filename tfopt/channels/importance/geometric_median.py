"""How far a unit is from the others of its group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfopt.channels.groups import Dependencies, Group, Slice
from tfopt.channels.importance.fallback import filled_by_norms
from tfopt.channels.importance.per_unit import weight_slices
from tfopt.channels.importance.samples import Samples


@dataclass(frozen=True)
class GeometricMedian:
    """The sum of the distances of the weights that make a unit from those of the others of its group.

    What is near the geometric median of a layer can be made up for by the rest: He et al., Filter pruning
    via geometric median, CVPR 2019, arXiv 1811.00250. Where several layers make the units of a group, their
    sums are added.
    """

    needs_data: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False

    def __call__(self, dependencies: Dependencies, samples: Samples | None = None) -> np.ndarray:  # noqa: ARG002
        """Return the sum of distances of each unit."""
        total, known = np.zeros(dependencies.count), np.zeros(dependencies.count, bool)
        # One-dimensional variables are biases: what tells units apart is their kernels.
        parts = [part for part in weight_slices(dependencies) if part.made and len(part.variable.shape) > 1]
        for group in dependencies.groups:
            for part in parts:
                if np.isin(part.units, group.units).any():
                    total[group.units] += _distances(_rows(part, group)).sum(axis=1)
                    known[group.units] = True
        return filled_by_norms(dependencies, total, known, "no kernel makes them")


def _rows(part: Slice, group: Group) -> np.ndarray:
    """Return the weights of each unit of a group in a slice, one row a unit, filled up with zeros."""
    weights = np.moveaxis(part.variable.numpy().astype(np.float64), part.axis, 0)
    weights = weights.reshape(len(weights), -1)
    found = [weights[part.units == unit].ravel() for unit in group.units]
    rows = np.zeros((len(found), max(map(len, found))))
    for row, values in zip(rows, found, strict=True):
        row[: len(values)] = values
    return rows


def _distances(rows: np.ndarray) -> np.ndarray:
    squares = np.sum(np.square(rows), axis=1)
    between = squares[:, None] + squares[None] - 2 * rows @ rows.T
    np.fill_diagonal(between, 0)
    return np.sqrt(np.maximum(between, 0))
