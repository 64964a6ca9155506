"""Deciding which units of a model go."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras

from tfopt.channels.group_rules import group_settings
from tfopt.channels.importance import samples_for, scores
from tfopt.channels.plan import ChannelPlan, planned
from tfopt.channels.prunable import check_float, prunable
from tfopt.channels.selection import select
from tfopt.channels.settings import ChannelSettings
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One of several steps towards a goal.

    Attributes:
        progress: the share of the way that is done after it, in (0, 1]: what is kept falls by equal factors.
        whole: group name -> the units before the first step.
    """

    progress: float = 1.0
    whole: Mapping[str, int] | None = None

    def share(self, share: float | None) -> float | None:
        """Return the share of the units that are to be gone after the step."""
        return None if share is None else 1 - (1 - share) ** self.progress


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
        data, loss, batch_size: for criteria that look at samples.
        step: where the goal is reached in several; one step may then find nothing to do.

    Raises:
        InvalidArgumentError: the model is quantization-aware, data is missing, a rule cannot be followed, or
            there is nothing to remove.
        DataError: fewer samples than a batch, or values that are not finite.
        UnsupportedModel: the model cannot be read.
    """
    check_float(model)
    loss = getattr(model, "loss", None) if loss is None else loss
    samples = samples_for(settings.importance, data, loss, batch_size)
    found = prunable(model)
    own = group_settings(found, settings.rules)
    if all(own.get(group.name, settings.ratio) is None for group in found.groups):
        raise InvalidArgumentError(
            f"prune_channels: there is nothing to prune in the model {model.name!r}, for the rules leave all "
            f"groups whole: {', '.join(group.name for group in found.groups)}."
        )
    partial, step = step is not None, step or Step()
    values = scores(
        found,
        settings.importance,
        samples=samples,
        normalization=settings.normalization,
        seed=settings.seed,
    )
    keep = select(
        found,
        values,
        step.share(settings.ratio),
        scope=settings.scope,
        own={name: step.share(share) for name, share in own.items()},
        round_to=settings.round_to,
        whole=step.whole,
    )
    if keep.all() and not partial:
        raise InvalidArgumentError(
            f"prune_channels: ratio={settings.ratio} removes nothing from the model {model.name!r} where "
            f"widths are multiples of {settings.round_to}: give a larger one, or round_to=1 for any width "
            "(which is rarely faster)."
        )
    plan = planned(found, keep, values, importance=settings.importance)
    _log(model.name, plan)
    return plan


def _log(name: str, plan: ChannelPlan) -> None:
    for group in plan.groups:
        logger.info(
            "%s: %d of %d channels of %s stay", name, group.after, group.before, ", ".join(group.layers)
        )
    for path, reason in plan.frozen.items():
        logger.info("%s: all channels of %s stay: %s", name, path, reason)
    logger.debug("%s", plan.table())
