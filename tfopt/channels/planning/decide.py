"""Deciding which units of a model go."""

from __future__ import annotations

import logging
from typing import Any

import keras

from tfopt.channels.importance import samples_for, scores
from tfopt.channels.importance.samples import WHAT, any_samples
from tfopt.channels.planning.choose import choose, original_costs
from tfopt.channels.planning.group_rules import group_settings
from tfopt.channels.planning.named_groups import named_groups
from tfopt.channels.planning.plan import ChannelPlan, planned
from tfopt.channels.planning.settings import ChannelSettings
from tfopt.channels.planning.step import Step
from tfopt.channels.prunable import prunable
from tfopt.data.labelled import labelled, require_fitting
from tfopt.errors import InvalidArgumentError
from tfopt.graph import named_inputs

logger = logging.getLogger(__name__)


def decide(
    model: keras.Model,
    settings: ChannelSettings,
    *,
    data: Any = None,
    loss: Any = None,
    batch_size: int = 32,
    step: Step | None = None,
) -> ChannelPlan:
    """Return which units of a model go.

    Args:
        model: see `tfopt.prune_channels`.
        settings: what is asked.
        data, loss, batch_size: for criteria that look at samples, and for the ranges of files in integers.
        step: where the goal is reached in several; one of them may then find nothing to do.

    Raises:
        InvalidArgumentError: the model is quantization-aware, data is missing, a rule cannot be followed, or
            there is nothing to remove.
        DataError: fewer samples than a batch, or values that are not finite.
        GoalError: a budget cannot be met.
        UnsupportedModel: the model cannot be read.
    """
    found = prunable(model)
    loss = getattr(model, "loss", None) if loss is None else loss
    if data is not None:
        data = labelled(data, WHAT, inputs=len(found.model.inputs))  # once, for a generator can be read once
        require_fitting(WHAT, data[0], named_inputs(found.model), data[1], loss, found.model.outputs)
    samples = samples_for(settings.importance, data, loss, batch_size)
    own = group_settings(found, settings.rules)
    default = settings.ratio if not settings.budgets else 0.5
    if all(own.get(name, default) is None for name in named_groups(found)):
        raise InvalidArgumentError(
            f"prune_channels: there is nothing to prune in the model {model.name!r}, for the rules leave all "
            f"groups whole: {', '.join(group.name for group in found.groups)}."
        )
    shown = any_samples(data, loss)
    if step is not None and step.progress < 1 and not step.original:
        original = original_costs(found, settings, shown)
        step = Step(progress=step.progress, original=original, now=original)
    values = scores(
        found,
        settings.importance,
        samples=samples,
        normalization=settings.normalization,
        seed=settings.seed,
    )
    keep, costs, note = choose(found, values, settings, own, step or Step(), shown)
    if keep.all() and step is None:
        _raise_unchanged(model.name, settings)
    plan = planned(found, keep, values, importance=settings.importance, costs=costs, note=note)
    _log(model.name, plan)
    return plan


def _raise_unchanged(name: str, settings: ChannelSettings) -> None:
    if settings.budgets:
        raise InvalidArgumentError(
            f"prune_channels: the model {name!r} meets the budget already ({settings.budgets.describe()}): "
            "allow less."
        )
    raise InvalidArgumentError(
        f"prune_channels: ratio={settings.ratio} removes nothing from the model {name!r} where widths are "
        f"multiples of {settings.round_to}: give a larger one, or round_to=1 for any width (which is rarely "
        "faster)."
    )


def _log(name: str, plan: ChannelPlan) -> None:
    for group in plan.groups:
        layers = ", ".join(group.layers)
        logger.info("%s: %d of %d channels of %s stay", name, group.after, group.before, layers)
    for path, reason in plan.frozen.items():
        logger.info("%s: all channels of %s stay: %s", name, path, reason)
    logger.debug("%s", plan.table())
