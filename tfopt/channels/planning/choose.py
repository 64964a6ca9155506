"""Choosing which units stay, for a share of them or under a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfopt.channels.allocation.allocate import IN_FILES, allocation
from tfopt.channels.costs.files import Files
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.groups import Dependencies
from tfopt.channels.planning.selection import select
from tfopt.channels.planning.settings import ChannelSettings
from tfopt.channels.planning.step import Step
from tfopt.errors import InvalidArgumentError

Costs = dict[str, tuple[float, float]]
"""Metric -> before and after. Seconds of latency."""


def choose(
    found: Dependencies,
    scores: np.ndarray,
    settings: ChannelSettings,
    own: Mapping[str, float | None],
    step: Step,
    representative: Any = None,
) -> tuple[np.ndarray, Costs]:
    """Return which units stay, and what the model costs before and after.

    Args:
        found: what can be removed.
        scores: of each unit.
        settings: the goal.
        own: group name -> the share that rules give it, None for one that stays.
        step: how much of the way to go.
        representative: inputs, for the ranges of files in integers.

    Raises:
        GoalError: a budget cannot be met; the message says what can be reached.
        InvalidArgumentError: a budget for a model that leaves sizes open.
    """
    budgets = step.budgets(settings.budgets)
    if not budgets:
        keep = select(
            found,
            scores,
            step.share(settings.ratio),
            scope=settings.scope,
            own={name: step.share(share) for name, share in own.items()},
            round_to=settings.multiple,
            min_share=settings.min_share,
            whole=step.whole,
        )
        if settings.budgets:  # an earlier step has met them already
            keep[:] = True
        same = {name: (step.now[name],) * 2 for name in settings.budgets.limits if name in step.now}
        return keep, same | _counted(found, keep)
    chosen = allocation(
        found,
        scores,
        budgets,
        method="uniform" if settings.scope == "local" else settings.allocation,
        round_to=settings.multiple,
        min_share=settings.min_share,
        rules=_least_shares(found, settings, own, step),
        scheme=settings.scheme,
        samples=representative,
    )
    in_files = {
        name: (chosen.reaches[name].original, chosen.costs[name])
        for name in IN_FILES
        if name in chosen.reaches
    }
    return chosen.keep, _counted(found, chosen.keep) | in_files


def _least_shares(
    found: Dependencies, settings: ChannelSettings, own: Mapping[str, float | None], step: Step
) -> dict[str, float | None]:
    """Return group name -> the share of the units that it has now that are to stay, None for all."""
    least: dict[str, float | None] = {}
    for group in found.groups:
        share = own.get(group.name, 1 - settings.min_share)
        whole = step.whole.get(group.name, len(group.units))
        least[group.name] = None if share is None else min(1.0, whole * (1 - share) / len(group.units))
    return least


def original_costs(
    found: Dependencies, settings: ChannelSettings, representative: Any = None
) -> dict[str, float]:
    """Return metric -> cost of a model as it is: of its file too where a budget is on that."""
    limits = settings.budgets.limits
    costs = {name: before for name, (before, _) in _counted(found, np.ones(found.count, bool)).items()}
    if any(name in limits for name in IN_FILES):
        files = Files(found, settings.scheme, representative, timed="latency" in limits)
        costs |= files.original
    return costs


def _counted(found: Dependencies, keep: np.ndarray) -> Costs:
    """Return params and macs; without macs where the model leaves sizes open."""
    costs: Costs = {"params": _params(found, keep)}
    try:
        model = ModelCosts(found)
    except InvalidArgumentError:
        return costs
    before, after = (model.evaluate(stays)["macs"] for stays in (np.ones(found.count, bool), keep))
    return costs | {"macs": (before, after)}


def _params(found: Dependencies, keep: np.ndarray) -> tuple[float, float]:
    """Return how many weights a model has, before and after, as `count_params` counts them."""
    shapes = {id(variable): list(variable.shape) for variable in found.model.weights}
    before = sum(int(np.prod(shape)) for shape in shapes.values())
    for part in found.slices:
        shapes[id(part.variable)][part.axis] = len(part.kept(keep))
    return float(before), float(sum(int(np.prod(shape)) for shape in shapes.values()))
