"""The widths that a group may have: some multiple that kernels like, and not too few."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfopt import _validation
from tfopt import rules as rules_
from tfopt.channels.groups import Dependencies
from tfopt.errors import InvalidArgumentError

_LEAST_CHOICES = 4


def step_of(width: int, round_to: int) -> int:
    """Return what the widths of a group of `width` units are a multiple of.

    `round_to` where the group is at least four times as wide, else half of it and so on, down to 1.
    """
    step = round_to
    while step > 1 and width < _LEAST_CHOICES * step:
        step //= 2
    return step


def options(width: int, least: int, step: int) -> np.ndarray:
    """Return the widths that a group of `width` units may have, rising: multiples of `step`, and all units.

    Args:
        width: of the whole group.
        least: the fewest units, 1 or more; rounded up to a multiple of `step`.
        step: 1 or more.
    """
    first = min(math.ceil(least / step) * step, width)
    return np.unique([*range(first, width, step), width])


def least_widths(
    dependencies: Dependencies, min_share: float, rules: Mapping[str, float | None] | None = None
) -> np.ndarray:
    """Return how many units each group keeps at least, 1 or more.

    Args:
        dependencies: of the model.
        min_share: of the units of a group, in (0, 1], where no rule says otherwise.
        rules: pattern of paths of layers -> the share of the channels of these that is kept at least, `None`
            to leave them whole. A group that several layers make keeps the largest of their shares.

    Raises:
        InvalidArgumentError: a share outside (0, 1], or a rule that matches no layer with units.
    """
    _validation.number("prune_channels", "min_share", min_share, above=0, at_most=1)
    makers = _makers(dependencies)
    paths = dict.fromkeys(path for paths in makers for path in paths)
    shares = rules_.resolve(rules, paths, min_share)
    for path, share in shares.items():
        if share is not None and not (_validation.is_number(share) and 0 < share <= 1):
            raise InvalidArgumentError(
                f"The rule for {path!r} is {share!r}: expected the share of its channels to keep at least, "
                "in (0, 1], or None to keep all."
            )
    kept = {path: 1.0 if share is None else share for path, share in shares.items()}
    most = [max(kept[path] for path in paths) for paths in makers]
    return np.array(
        [
            math.ceil(len(group.units) * share - 1e-9)
            for group, share in zip(dependencies.groups, most, strict=True)
        ],
        np.int64,
    )


def _makers(dependencies: Dependencies) -> list[list[str]]:
    """Return the paths of the layers that make the units of each group, its name among them."""
    group_of = np.full(dependencies.count + 1, -1)  # FIXED is the last
    for number, group in enumerate(dependencies.groups):
        group_of[group.units] = number
    found: list[dict[str, None]] = [{group.name: None} for group in dependencies.groups]
    for part in dependencies.slices:
        if part.made:
            for number in np.unique(group_of[part.units]):
                if number >= 0:
                    found[number][part.layer] = None
    return [list(paths) for paths in found]
