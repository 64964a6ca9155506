"""Which units stay, as data that can be printed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfopt.budgets import Budgets, formatted
from tfopt.channels.reach import Reach


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroupWidth:
    """How many of its units a group keeps."""

    name: str
    units: int
    kept: int


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Allocation:
    """Which units stay, and what that costs.

    Attributes:
        budgets: the limits.
        method, scheme: as they were given.
        keep: whether each unit stays.
        widths: of the groups, in the order of the model.
        reaches: metric with a limit -> what can be reached.
        costs: metric -> what the chosen model costs: macs and params, and bytes and seconds of latency
            of its file where a budget needed that file.
        note: why no limit is used to 95 %, such as the steps of kernels; empty where one is.
    """

    budgets: Budgets
    method: str
    scheme: str
    keep: np.ndarray
    widths: tuple[GroupWidth, ...]
    reaches: Mapping[str, Reach]
    costs: Mapping[str, float]
    note: str = ""

    def __str__(self) -> str:
        """Return the table: what can be reached and what is used, and the width of each group."""
        width = max([len("group"), *(len(group.name) for group in self.widths)])
        lines = [str(reach) for reach in self.reaches.values()]
        lines += [
            f"chosen ({self.method}): {name} {formatted(name, self.costs[name])}, "
            f"{self.costs[name] / (reach.limit or 1):.1%} of the limit"
            for name, reach in self.reaches.items()
        ]
        lines += [self.note] * bool(self.note)
        lines.append(f"{'group':<{width}}{'units':>8}{'kept':>8}")
        lines += [f"{group.name:<{width}}{group.units:>8}{group.kept:>8}" for group in self.widths]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return all but `keep` as JSON values."""
        return {
            "budgets": self.budgets.to_dict(),
            "method": self.method,
            "scheme": self.scheme,
            "widths": [dataclasses.asdict(group) for group in self.widths],
            "reaches": {name: reach.to_dict() for name, reach in self.reaches.items()},
            "costs": dict(self.costs),
            "note": self.note,
        }
