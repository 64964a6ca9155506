"""Choosing which units stay, for a share of them or under a budget."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfopt.channels.allocation.allocate import IN_FILES, allocation
from tfopt.channels.allocation.losses import LossesOf, LossesOnData
from tfopt.channels.allocation.problem import Problem
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.samples import Samples
from tfopt.channels.planning.named_groups import named_groups
from tfopt.channels.planning.selection import select
from tfopt.channels.planning.settings import ChannelSettings
from tfopt.channels.planning.step import Step
from tfopt.export.untrained import UntrainedFiles

Costs = dict[str, tuple[float, float]]
"""Metric -> before and after. Seconds of latency."""


def choose(
    found: Dependencies,
    scores: np.ndarray,
    settings: ChannelSettings,
    own: Mapping[str, float | None],
    step: Step,
    samples: Samples | None = None,
) -> tuple[np.ndarray, Costs, str]:
    """Return which units stay, what the model costs before and after, and why no budget is used to 95 %.

    Args:
        found: what can be removed.
        scores: of each unit.
        settings: the goal.
        own: group name -> the share that rules give it, None for one that stays.
        step: how much of the way to go.
        samples: for the ranges of files in integers, and the losses of the method `"sensitivity"`.

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
        return keep, same | counted(found, keep), ""
    chosen = allocation(
        found,
        scores,
        budgets,
        method="uniform" if settings.scope == "local" else settings.allocation,
        round_to=settings.multiple,
        min_share=settings.min_share,
        rules=least_shares(found, settings, own, step),
        scheme=settings.scheme,
        samples=None if samples is None else samples.x,
        losses=None if samples is None else _losses(found, samples),
    )
    in_files = {
        name: (chosen.reaches[name].original, chosen.costs[name])
        for name in IN_FILES
        if name in chosen.reaches
    }
    return chosen.keep, counted(found, chosen.keep) | in_files, chosen.note


def least_shares(
    found: Dependencies, settings: ChannelSettings, own: Mapping[str, float | None], step: Step
) -> dict[str, float]:
    """Return path of a group's first layer -> the share of its units that is to stay.

    Groups that one layer makes get the largest share of theirs.
    """
    shares: dict[str, list[float]] = {}
    for name, group in named_groups(found).items():
        share = own.get(name, 1 - settings.min_share)
        whole = step.whole.get(name, len(group.units))
        least = 1.0 if share is None else min(1.0, whole * (1 - share) / len(group.units))
        shares.setdefault(group.name, []).append(least)
    return {path: max(each) for path, each in shares.items()}


def _losses(found: Dependencies, samples: Samples) -> LossesOf:
    """Return the function that measures what a group's widths cost: made where it is called for."""
    single = samples.loss is not None and not isinstance(samples.loss, dict | list | tuple)

    def losses(problem: Problem) -> list[np.ndarray]:
        labels = samples.y if single else None
        return LossesOnData(found, samples.x, labels, samples.loss if single else None)(problem)

    return losses


def original_costs(
    found: Dependencies, settings: ChannelSettings, samples: Samples | None = None
) -> dict[str, float]:
    """Return metric -> cost of a model as it is: of its file too where a budget is on that."""
    limits = settings.budgets.limits
    costs = {name: before for name, (before, _) in counted(found, np.ones(found.count, bool)).items()}
    if any(name in limits for name in IN_FILES):
        inputs = None if samples is None else samples.x
        files = UntrainedFiles.for_budgets(found.model, settings.scheme, inputs, settings.budgets)
        costs |= files.original
    return costs


def counted(found: Dependencies, keep: np.ndarray) -> Costs:
    """Return params, and macs unless the model leaves sizes open."""
    model = ModelCosts(found)
    before, after = (model.evaluate(stays) for stays in (np.ones(found.count, bool), keep))
    return {name: (before[name], after[name]) for name in ("params", "macs") if name in before}
