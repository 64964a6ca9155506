"""Sums of products of sizes: how multiply-accumulates, weights and bytes depend on widths."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator

import numpy as np
from scipy import sparse

from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.metric import Part

Term = tuple[float, tuple[int, ...]]
"""A coefficient, and the rows of `AxisSizes` that it is multiplied by."""


class Terms:
    """A sum of products, each of a coefficient and the sizes of some rows of `AxisSizes`.

    Args:
        terms: coefficient and rows; a row may be there twice.
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        merged: dict[tuple[int, ...], float] = {}
        for coefficient, rows in terms:
            key = tuple(sorted(rows))
            merged[key] = merged.get(key, 0.0) + coefficient
        self._terms = {rows: coefficient for rows, coefficient in merged.items() if coefficient}
        depth = max((len(rows) for rows in self._terms), default=0)
        self._rows = np.array([[*rows, *[-1] * (depth - len(rows))] for rows in self._terms], np.int64)
        self._rows = self._rows.reshape(len(self._terms), depth)
        self._coefficients = np.array([*self._terms.values()], float)

    def __iter__(self) -> Iterator[Term]:
        """Yield coefficient and rows of each term; no two have the same rows."""
        return iter([(coefficient, rows) for rows, coefficient in self._terms.items()])

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return the sum.

        Args:
            sizes: of each row; of shape `(..., rows)`.

        Returns:
            Of shape `(...)`.
        """
        sizes = np.concatenate([sizes, np.ones((*sizes.shape[:-1], 1))], axis=-1)  # the row -1
        return np.asarray(np.prod(sizes[..., self._rows], axis=-1) @ self._coefficients)

    def parts(self, sizes: AxisSizes) -> Iterator[Part]:
        """Yield the sum as functions of the widths of few groups each.

        Yields:
            Groups, and a function from their widths, of shape `(..., groups)`, to a share of the sum, of
            shape `(...)`. As many groups as the longest term has rows, at most.
        """
        for groups, exponents in self._monomials(sizes).items():
            powers = np.array([power for power, _ in exponents], float).reshape(len(exponents), len(groups))
            factors = np.array([factor for _, factor in exponents])
            yield groups, functools.partial(_polynomial, powers, factors)

    def _monomials(self, sizes: AxisSizes) -> dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]]:
        """Return groups -> the monomials in their widths: the power of each, and the factor."""
        table = sizes.per_group
        linear = [
            [((), fixed)] * bool(fixed)
            + [((int(group),), value) for group, value in zip(*_of_row(table, row), strict=True)]
            for row, fixed in enumerate(sizes.fixed)
        ]
        found: dict[tuple[int, ...], float] = {}
        for coefficient, rows in self:
            for product in itertools.product(*(linear[row] for row in rows)):
                groups = tuple(sorted(itertools.chain.from_iterable(each for each, _ in product)))
                factor = coefficient * math.prod(value for _, value in product)
                found[groups] = found.get(groups, 0.0) + factor
        merged: dict[tuple[int, ...], list[tuple[tuple[int, ...], float]]] = {}
        for groups, factor in found.items():
            distinct = tuple(dict.fromkeys(groups))
            powers = tuple(groups.count(group) for group in distinct)
            merged.setdefault(distinct, []).append((powers, factor))
        return merged


def _of_row(table: sparse.csr_array, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the columns and the values of a row."""
    start, end = table.indptr[row : row + 2]
    return table.indices[start:end], table.data[start:end]


def _polynomial(powers: np.ndarray, factors: np.ndarray, widths: np.ndarray) -> np.ndarray:
    return np.asarray(np.prod(np.asarray(widths, float)[..., None, :] ** powers, axis=-1) @ factors)
