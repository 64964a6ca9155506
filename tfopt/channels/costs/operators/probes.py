"""Choices of units whose files tell, by their sizes, which axis of which tensor holds which units."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from tfopt.channels.groups import Group

_MAX_PROBES = 3
_LOW, _HIGH = 0.4, 0.8
"""The range of the widths, as shares of a whole group."""


def probes(groups: Sequence[Group], whole: Collection[int] = ()) -> list[np.ndarray]:
    """Return choices of units under which groups of the same width become narrower in different ways.

    Args:
        groups: of a model.
        whole: the numbers of those that stay as they are.

    Returns:
        For each choice whether a unit stays, of shape `(units,)`. Nearly always one choice is enough.
    """
    alike: dict[int, list[Group]] = {}
    for group in (each for number, each in enumerate(groups) if number not in whole):
        alike.setdefault(len(group.units), []).append(group)
    ranges = {width: _range(width) for width in alike}
    needed = [
        math.ceil(math.log(len(members), len(ranges[width])))
        for width, members in alike.items()
        if len(ranges[width]) > 1 and len(members) > 1
    ]
    found = []
    for digit in range(min(max(needed, default=1), _MAX_PROBES)):
        keep = np.ones(sum(len(group.units) for group in groups), bool)
        for width, members in alike.items():
            choices = ranges[width]
            for number, group in enumerate(members):
                kept = choices[number // len(choices) ** digit % len(choices)]
                keep[group.units[kept:]] = False
        found.append(keep)
    return found


def _range(width: int) -> range:
    low = max(1, math.ceil(_LOW * width))
    return range(low, max(low, min(width - 1, math.floor(_HIGH * width))) + 1)
