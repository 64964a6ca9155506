"""Which units stay, where a share of them is to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from tfopt.channels.groups import Dependencies, Group
from tfopt.channels.widths import nearest_width

Scope: TypeAlias = Literal["global", "local"]


def select(
    dependencies: Dependencies,
    scores: np.ndarray,
    ratio: float,
    *,
    scope: Scope = "global",
    shares: Mapping[str, float | None] | None = None,
    round_to: int = 8,
) -> np.ndarray:
    """Return which units stay: those of the highest scores.

    Args:
        dependencies: of the model.
        scores: of each unit, shape (dependencies.count,).
        ratio: the share of the units to remove, in (0, 1).
        scope: `"local"` removes this share of each group, `"global"` the lowest scores of all groups together.
        shares: group name -> a share of its own, or None for a group that stays whole; groups that are not
            named, or have the share `ratio`, are in the scope.
        round_to: the multiple that widths are rounded to (see `allowed_widths`).

    Returns:
        Whether each unit stays, bool, shape (dependencies.count,).
    """
    shares = shares or {}
    keep = np.ones(dependencies.count, bool)
    together = []
    for group in dependencies.groups:
        share = shares.get(group.name, ratio)
        if share is None:
            continue
        if scope == "global" and share == ratio:
            together.append(group)
        else:
            width = nearest_width(len(group.units), len(group.units) * (1 - share), round_to)
            _keep_highest(keep, group, scores, width)
    for group, width in zip(together, _global_widths(together, scores, ratio, round_to), strict=True):
        _keep_highest(keep, group, scores, width)
    return keep


def _keep_highest(keep: np.ndarray, group: Group, scores: np.ndarray, width: int) -> None:
    """Let the units with the highest scores of a group stay."""
    order = np.argsort(scores[group.units], kind="stable")
    keep[group.units[order[: len(order) - width]]] = False


def _global_widths(groups: list[Group], scores: np.ndarray, ratio: float, round_to: int) -> list[int]:
    """Return the width of each group after the lowest scores of all went, rounded; nearest to the ratio."""
    if not groups:
        return []
    owners = np.concatenate([np.full(len(group.units), number) for number, group in enumerate(groups)])
    order = np.argsort(scores[np.concatenate([group.units for group in groups])], kind="stable")
    owners = owners[order]
    sizes = np.array([len(group.units) for group in groups])

    def widths(removed: int) -> list[int]:
        left = sizes - np.bincount(owners[:removed], minlength=len(groups))
        return [
            nearest_width(int(size), int(wanted), round_to) for size, wanted in zip(sizes, left, strict=True)
        ]

    target = sizes.sum() * (1 - ratio)
    low, high = 0, len(owners)
    while low < high:  # the fewest after which no more than the target is left
        middle = (low + high) // 2
        low, high = (low, middle) if sum(widths(middle)) <= target else (middle + 1, high)
    options = [widths(max(low - 1, 0)), widths(low)]
    return min(options, key=lambda option: abs(sum(option) - target))
