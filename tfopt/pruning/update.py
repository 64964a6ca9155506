"""Changing the masks of a model: scores are compared, masks set, weights made zero."""

from __future__ import annotations

import zlib
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from tfopt.pruning.criteria import FromGradients, FromWeights, criterion_of
from tfopt.pruning.masks import Masked
from tfopt.pruning.patterns import layout_of, pattern_of
from tfopt.pruning.plan import Plan
from tfopt.pruning.schedules import RigL
from tfopt.pruning.selection import drop_and_grow, select_masks

Entries = Iterable[tuple[Masked, Plan]]
"""Masked kernels with their plans. Those whose plans are equal and global share one threshold."""


def scores_of(entries: Entries) -> list[np.ndarray]:
    """Return the scores of kernels by the criteria of their plans.

    Those that are made of gradients are read from the sums that the masks hold.
    """
    found = []
    for entry, plan in entries:
        criterion = criterion_of(plan.criterion)
        if isinstance(criterion, FromGradients):
            assert entry.mask.sums is not None, "a criterion of gradients needs sums"
            found.append(criterion.scores(entry.mask.sums.numpy()))
        else:
            assert isinstance(criterion, FromWeights)
            seed = zlib.crc32(f"{plan.seed} {entry.kernel.path}".encode())
            found.append(criterion.scores(entry.weights, seed))
    return found


def magnitudes_of(entries: Entries) -> list[np.ndarray]:
    """Return the magnitudes of the weights of kernels."""
    return [np.abs(entry.weights, dtype=np.float32) for entry, _ in entries]


def raise_sparsity(
    entries: Entries,
    sparsities: Iterable[float],
    *,
    scores: Sequence[np.ndarray] | None = None,
    anew: bool = False,
) -> None:
    """Set the masks by scores, and the weights by the masks.

    Args:
        entries: the kernels.
        sparsities: the share of zeros of each. Zeros that are there stay, also above it.
        scores: of each; by default those of the criteria of the plans.
        anew: choose among all weights, those too that the masks hold at zero.
    """
    entries = list(entries)
    scores = scores_of(entries) if scores is None else scores
    groups: dict[Hashable, tuple[float, Plan, list[tuple[Masked, np.ndarray]]]] = {}
    for (entry, plan), sparsity, score in zip(entries, sparsities, scores, strict=True):
        key = plan if plan.scope == "global" else id(entry)
        groups.setdefault(key, (sparsity, plan, []))[2].append((entry, score))
    for sparsity, plan, group in groups.values():
        masks = select_masks(
            [score for _, score in group],
            [np.ones(score.shape, bool) if anew else entry.mask.value for entry, score in group],
            sparsity,
            layouts=[layout_of(entry.kernel) for entry, _ in group],
            pattern=pattern_of(plan.pattern),
        )
        for (entry, _), mask in zip(group, masks, strict=True):
            entry.mask.value = mask
            entry.zero()


def move_connections(entries: Entries, step: int, total_steps: int | None) -> None:
    """Drop the smallest weights and grow those with the largest gradients, which the masks hold (RigL)."""
    for entry, plan in entries:
        assert isinstance(plan.schedule, RigL)
        assert entry.mask.sums is not None, "RigL needs gradients"
        entry.mask.value = drop_and_grow(
            entry.weights,
            entry.mask.sums.numpy(),
            entry.mask.value,
            plan.schedule.fraction_at(step, total_steps),
            layout=layout_of(entry.kernel),
            pattern=pattern_of(plan.pattern),
        )
        entry.zero()
