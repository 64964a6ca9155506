"""Which units stay, where a share of them is to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias

import numpy as np

from tfopt.channels.groups import Dependencies, Group
from tfopt.channels.widths import nearest_width

Scope: TypeAlias = Literal["global", "local"]
SCOPES: tuple[Scope, ...] = ("global", "local")


def select(
    dependencies: Dependencies,
    scores: np.ndarray,
    ratio: float | None,
    *,
    scope: Scope = "global",
    own: Mapping[str, float | None] | None = None,
    round_to: int | None = 8,
    whole: Mapping[str, int] | None = None,
) -> np.ndarray:
    """Return which units stay: those of the highest scores.

    Args:
        dependencies: of the model.
        scores: of each unit, shape (dependencies.count,).
        ratio: the share of the units to remove, in (0, 1); None to remove them from groups in `own` alone.
        scope: `"local"` removes this share of each group, `"global"` the lowest scores of all groups
            together.
        own: group name -> a share of its own, or None for a group that stays as it is.
        round_to: the multiple that widths are rounded to (see `allowed_widths`).
        whole: group name -> the number of units that shares are of; by default those that it has.

    Returns:
        Whether each unit stays, bool, shape (dependencies.count,).
    """
    own, whole = own or {}, whole or {}
    keep = np.ones(dependencies.count, bool)
    together, target = [], 0.0
    for group in dependencies.groups:
        share = own.get(group.name, ratio)
        if share is None:
            continue
        wanted = whole.get(group.name, len(group.units)) * (1 - share)
        if scope == "global" and group.name not in own:
            together.append(group)
            target += wanted
        else:
            _keep_highest(keep, group, scores, nearest_width(len(group.units), wanted, round_to))
    for group, width in zip(together, _global_widths(together, scores, target, round_to), strict=True):
        _keep_highest(keep, group, scores, width)
    return keep


def _keep_highest(keep: np.ndarray, group: Group, scores: np.ndarray, width: int) -> None:
    """Let the units with the highest scores of a group stay."""
    order = np.argsort(scores[group.units], kind="stable")
    keep[group.units[order[: len(order) - width]]] = False


def _global_widths(groups: list[Group], scores: np.ndarray, target: float, round_to: int | None) -> list[int]:
    """Return the width of each group after the lowest scores of all went: nearest to `target` together."""
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

    low, high = 0, len(owners)
    while low < high:  # the fewest after which no more than the target is left
        middle = (low + high) // 2
        low, high = (low, middle) if sum(widths(middle)) <= target else (middle + 1, high)
    options = [widths(max(low - 1, 0)), widths(low)]
    return min(options, key=lambda option: abs(sum(option) - target))
