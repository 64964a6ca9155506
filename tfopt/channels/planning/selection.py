"""Which units stay, where a share of them is to go."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfopt.channels.allocation.widths import options, step_of
from tfopt.channels.groups import Dependencies, Group
from tfopt.channels.planning.named_groups import named_groups
from tfopt.channels.planning.settings import Scope


def select(
    dependencies: Dependencies,
    scores: np.ndarray,
    ratio: float | None,
    *,
    scope: Scope = "global",
    own: Mapping[str, float | None] | None = None,
    round_to: int = 8,
    min_share: float = 0.1,
    whole: Mapping[str, int] | None = None,
) -> np.ndarray:
    """Return which units stay: those of the highest scores.

    Args:
        dependencies: of the model.
        scores: of each unit, shape (dependencies.count,).
        ratio: the share of the units to remove, in (0, 1); None to remove them from groups in `own` alone.
        scope: `"local"` removes this share of each group, `"global"` the lowest scores of all groups
            together.
        own: name of a group, as `named_groups` has it -> a share of its own, or None for a group that stays
            as it is.
        round_to: what widths are a multiple of, or in narrow groups of half of it, and so on.
        min_share: of the units of each group, in (0, 1], stays at least.
        whole: the same -> the number of units that shares are of; by default those that it has.

    Returns:
        Whether each unit stays, bool, shape (dependencies.count,).
    """
    own, whole = own or {}, whole or {}
    keep = np.ones(dependencies.count, bool)
    together: list[tuple[Group, np.ndarray]] = []
    target = 0.0
    for name, group in named_groups(dependencies).items():
        share = own.get(name, ratio)
        if share is None:
            continue
        count = whole.get(name, len(group.units))
        wanted = count * (1 - share)
        allowed = _allowed(group, count, round_to, min_share)
        if scope == "global" and name not in own:
            together.append((group, allowed))
            target += wanted
        else:
            _keep_highest(keep, group, scores, _nearest(allowed, wanted))
    for (group, _), width in zip(together, _global_widths(together, scores, target), strict=True):
        _keep_highest(keep, group, scores, width)
    return keep


def _allowed(group: Group, whole: int, round_to: int, min_share: float) -> np.ndarray:
    """Return the widths that a group that had `whole` units may have, falling."""
    count = len(group.units)
    least = max(1, math.ceil(whole * min_share - 1e-9))
    return options(count, least, step_of(count, round_to))[::-1]


def _nearest(allowed: np.ndarray, wanted: float) -> int:
    """Return the width that is nearest to `wanted`, the larger one of two."""
    return int(allowed[np.argmin(np.abs(allowed - wanted))])


def _places(scores: np.ndarray) -> np.ndarray:
    """Return the place of each score among all, from 0 for the lowest to nearly 1."""
    places = np.empty(len(scores))
    places[np.argsort(scores, kind="stable")] = np.arange(len(scores)) / len(scores)
    return places


def _keep_highest(keep: np.ndarray, group: Group, scores: np.ndarray, width: int) -> None:
    """Let the units with the highest scores of a group stay."""
    order = np.argsort(scores[group.units], kind="stable")
    keep[group.units[order[: len(order) - width]]] = False


def _global_widths(together: list[tuple[Group, np.ndarray]], scores: np.ndarray, target: float) -> list[int]:
    """Return the width of each group after the lowest scores of all went: nearest to `target` together.

    Args:
        together: groups, and the widths that each may have.
        scores: of all units.
        target: how many units are to stay.
    """
    if not together:
        return []
    groups, allowed = zip(*together, strict=True)
    owners = np.concatenate([np.full(len(group.units), number) for number, group in enumerate(groups)])
    # Where scores are equal, all groups lose the same share.
    places = np.concatenate([_places(scores[group.units]) for group in groups])
    order = np.lexsort((places, scores[np.concatenate([group.units for group in groups])]))
    owners = owners[order]
    sizes = np.array([len(group.units) for group in groups])

    def widths(removed: int) -> list[int]:
        left = sizes - np.bincount(owners[:removed], minlength=len(groups))
        return [_nearest(each, wanted) for each, wanted in zip(allowed, left, strict=True)]

    low, high = 0, len(owners)
    while low < high:  # the fewest after which no more than the target is left
        middle = (low + high) // 2
        low, high = (low, middle) if sum(widths(middle)) <= target else (middle + 1, high)
    around = [widths(max(low - 1, 0)), widths(low)]
    return min(around, key=lambda each: abs(sum(each) - target))
