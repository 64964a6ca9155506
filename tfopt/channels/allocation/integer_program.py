"""The widths that cost least loss among all that meet the limits: an integer program.

Each group takes one of its options, and the losses of the options add up. What a kernel costs depends on
two groups, the one that it reads and the one that it makes, so each pair of options of two such groups has a
variable of its own, tied to the options by two sums (the program is that of a transport). It is exact where
parts of a metric depend on two groups at most, as multiply-accumulates, weights and bytes do. Where
they depend on more, as the time of a convolution that reads a concatenation does, they are taken for linear
around widths that nearly meet the limits.

Reference: Shen et al., 2022, Structural Pruning via Latency-Saliency Knapsack (HALP, arXiv 2210.06659), for
pruning by importance and measured latency as a knapsack.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from scipy import optimize, sparse

from tfopt.channels.allocation.problem import Problem

logger = logging.getLogger(__name__)

_MAX_PAIRS = 20_000
"""Variables of pairs of options; above, groups get fewer options."""
_SECONDS = 30.0
_GAP = 1e-3


class IntegerProgram:
    """The choice of a width for each group.

    Args:
        problem: to be answered.
        losses: of each group the loss at each of its options, which does not rise with the width.
        around: widths that nearly meet the limits.
    """

    def __init__(self, problem: Problem, losses: Sequence[np.ndarray], around: np.ndarray) -> None:
        self._problem = problem
        tables = {name: _tables(problem, name, around) for name in problem.metrics}
        pairs = dict.fromkeys(pair for each in tables.values() for pair in each if len(pair) == 2)
        self._kept = _thinned([len(each) for each in problem.options], [*pairs])
        self._losses = [loss[kept] for loss, kept in zip(losses, self._kept, strict=True)]
        self._starts = np.cumsum([0, *(len(kept) for kept in self._kept)])
        self._pairs = [*pairs]
        self._tables = {
            name: {
                groups: table[np.ix_(*(self._kept[group] for group in groups))]
                for groups, table in each.items()
            }
            for name, each in tables.items()
        }

    def solve(self) -> np.ndarray | None:
        """Return the width of each group, of shape `(groups,)`; None where none were found in time."""
        singles, counts = (
            int(self._starts[-1]),
            [len(self._kept[a]) * len(self._kept[b]) for a, b in self._pairs],
        )
        offsets = singles + np.cumsum([0, *counts])
        total = int(offsets[-1])
        objective = np.concatenate([*self._losses, np.zeros(total - singles)])
        found = optimize.milp(
            objective / (np.abs(objective).max() or 1.0),
            integrality=np.r_[np.ones(singles), np.zeros(total - singles)],
            bounds=optimize.Bounds(0, 1),
            constraints=[self._one_each(total), *self._ties(offsets, total), *self._limits(offsets, total)],
            options={"time_limit": _SECONDS, "mip_rel_gap": _GAP},
        )
        logger.debug("the integer program of %d variables: %s", total, found.message)
        if found.x is None:
            return None
        chosen = found.x[:singles]
        return np.array(
            [
                self._problem.options[group][kept[chosen[start : start + len(kept)].argmax()]]
                for group, (kept, start) in enumerate(zip(self._kept, self._starts, strict=False))
            ]
        )

    def _one_each(self, total: int) -> optimize.LinearConstraint:
        groups = np.repeat(np.arange(len(self._kept)), [len(kept) for kept in self._kept])
        matrix = sparse.csr_array(
            (np.ones(len(groups)), (groups, np.arange(len(groups)))), shape=(len(self._kept), total)
        )
        return optimize.LinearConstraint(matrix, 1, 1)

    def _ties(self, offsets: np.ndarray, total: int) -> list[optimize.LinearConstraint]:
        """Return that the pairs with an option sum up to the variable of that option."""
        rows, columns, values, row = [], [], [], 0
        for (a, b), offset in zip(self._pairs, offsets, strict=False):
            of_a, of_b = len(self._kept[a]), len(self._kept[b])
            numbers = offset + np.arange(of_a * of_b).reshape(of_a, of_b)
            for group, lines in ((a, numbers), (b, numbers.T)):
                for option, line in enumerate(lines):
                    rows += [row] * (len(line) + 1)
                    columns += [*line, self._starts[group] + option]
                    values += [1.0] * len(line) + [-1.0]
                    row += 1
        if not row:
            return []
        return [
            optimize.LinearConstraint(sparse.csr_array((values, (rows, columns)), shape=(row, total)), 0, 0)
        ]

    def _limits(self, offsets: np.ndarray, total: int) -> list[optimize.LinearConstraint]:
        constraints = []
        numbers: dict[tuple[int, ...], int] = dict(zip(self._pairs, offsets.tolist(), strict=False))
        for name, tables in self._tables.items():
            line, fixed = np.zeros(total), 0.0
            for groups, table in tables.items():
                if not groups:
                    fixed += float(table)
                    continue
                start = self._starts[groups[0]] if len(groups) == 1 else numbers[groups]
                line[start : start + table.size] += table.ravel()
            # The solver's tolerance is absolute.
            limit = self._problem.limits[name]
            constraints.append(optimize.LinearConstraint(line[None] / limit, -np.inf, 1 - fixed / limit))
        return constraints


def _tables(problem: Problem, name: str, around: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
    """Return groups, two at most, -> what a metric costs at each of their options, to be summed."""
    found: dict[tuple[int, ...], np.ndarray] = {}

    def add(groups: tuple[int, ...], table: np.ndarray) -> None:
        found[groups] = found.get(groups, 0.0) + table

    for groups, function in problem.metrics[name].parts(problem.sizes):
        if len(groups) <= 2:
            grid = np.meshgrid(*(problem.options[group] for group in groups), indexing="ij")
            shape = grid[0].shape if grid else ()
            add(groups, function(np.stack(grid, axis=-1) if grid else np.zeros((*shape, 0))))
            continue
        here = around[list(groups)].astype(float)
        cost = function(here)
        add((), cost)
        for place, group in enumerate(groups):
            varied = np.tile(here, (len(problem.options[group]), 1))
            varied[:, place] = problem.options[group]
            add((group,), function(varied) - cost)
    return found


def _thinned(counts: Sequence[int], pairs: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Return the numbers of the options that each group keeps, so that the pairs are not too many."""
    most = max(counts, default=0)
    while most > 2:
        kept = [min(count, most) for count in counts]
        if sum(kept[a] * kept[b] for a, b in pairs) <= _MAX_PAIRS:
            break
        most -= 1
    return [np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int)) for count in counts]
