"""What channel pruning will do to a model, as data: decided first, printed and tested, then carried out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import keras
import numpy as np

from tfopt.budgets import formatted
from tfopt.channels.cut import cut
from tfopt.channels.groups import Dependencies
from tfopt.channels.mask import cut_masks
from tfopt.channels.planning.group_rules import makers
from tfopt.channels.planning.named_groups import named_groups


@dataclass(frozen=True, kw_only=True)
class GroupPlan:
    """A group of units and how many of them stay.

    Attributes:
        name: as `named_groups` has it: the path of the first layer that makes them.
        layers: the paths of all layers that make them.
        before, after: how many units there are.
        lowest, highest: the range of their normalized scores.
    """

    name: str
    layers: tuple[str, ...]
    before: int
    after: int
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ChannelPlan:
    """Which units of a model stay.

    Attributes:
        groups: in the order of the model.
        frozen: path of a layer whose channels all stay -> why.
        costs: metric -> before and after: `"params"` as `count_params` counts them, `"macs"` unless the model
            leaves sizes open, and `"bytes"` and seconds of `"latency"` of its file where these have a limit.
        importance: the criterion.
        note: why no budget is used to 95 %, such as the steps of kernels; empty where one is.
        keep: whether each unit stays, shape (dependencies.count,).
        dependencies: what the units are of.
    """

    groups: tuple[GroupPlan, ...]
    frozen: Mapping[str, str]
    costs: Mapping[str, tuple[float, float]]
    importance: str
    keep: np.ndarray = field(repr=False)
    dependencies: Dependencies = field(repr=False)
    note: str = ""

    @property
    def removed(self) -> int:
        """How many units go."""
        return int(np.count_nonzero(~self.keep))

    def apply(self) -> keras.Model:
        """Return the smaller model: plain Keras, not compiled. Masks of `tfopt.prune` are cut along."""
        smaller = cut(self.dependencies, self.keep)
        cut_masks(smaller)
        return smaller

    def table(self) -> str:
        """Return the plan as text: a group a row, then what stays and why."""
        width = max([len("group"), *(len(_named(group)) for group in self.groups)])
        lines = [f"{'group':<{width}}{'before':>9}{'after':>9}   scores"]
        lines += [
            f"{_named(group):<{width}}{group.before:>9}{group.after:>9}   "
            f"{group.lowest:.3g} to {group.highest:.3g}"
            for group in self.groups
        ]
        for name, (before, after) in self.costs.items():
            values = f"{formatted(name, before):>9} {formatted(name, after):>9}"
            lines.append(f"{name:<{width}}{values}   {after / (before or 1):.1%}")
        lines += [self.note] * bool(self.note)
        lines += [f"{path} stays: {reason}" for path, reason in self.frozen.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return what was decided as JSON values, as a run records it."""
        return {
            "widths": [asdict(group) | {"layers": list(group.layers)} for group in self.groups],
            "frozen": dict(self.frozen),
            "costs": {name: list(pair) for name, pair in self.costs.items()},
            "importance": self.importance,
            "note": self.note,
        }


def planned(
    dependencies: Dependencies,
    keep: np.ndarray,
    scores: np.ndarray,
    *,
    importance: str,
    costs: Mapping[str, tuple[float, float]],
    note: str = "",
) -> ChannelPlan:
    """Return the plan in which the units of `keep` stay."""
    made = makers(dependencies)
    groups = tuple(
        GroupPlan(
            name=name,
            layers=tuple(made[name]),
            before=len(group.units),
            after=int(keep[group.units].sum()),
            lowest=float(scores[group.units].min()),
            highest=float(scores[group.units].max()),
        )
        for name, group in named_groups(dependencies).items()
    )
    return ChannelPlan(
        groups=groups,
        frozen=dependencies.frozen,
        costs=costs,
        importance=importance,
        keep=keep,
        dependencies=dependencies,
        note=note,
    )


def _named(group: GroupPlan) -> str:
    more = len(group.layers) - 1
    return group.name if more < 1 else f"{group.name} and {more} more"
