"""What a model costs when as many of its units go as may."""

from __future__ import annotations

import keras
import numpy as np

from tfopt.channels.allocation.widths import least_widths
from tfopt.channels.planning.choose import counted, least_shares
from tfopt.channels.planning.group_rules import group_settings
from tfopt.channels.planning.settings import ChannelSettings
from tfopt.channels.planning.step import Step
from tfopt.channels.prunable import prunable


def least_costs(model: keras.Model, settings: ChannelSettings) -> dict[str, float]:
    """Return the params, and macs unless sizes are open, below which no pruning with these settings goes.

    Args:
        model: in float.
        settings: of the pruning; of them, rules and the least share of a group matter.

    Raises:
        UnsupportedModel: nothing in the model can be removed.
        InvalidArgumentError: a rule cannot be followed.
    """
    found = prunable(model)
    shares = least_shares(found, settings, group_settings(found, settings.rules), Step())
    keep = np.ones(found.count, bool)
    for group, few in zip(found.groups, least_widths(found, settings.min_share, shares), strict=True):
        keep[group.units[few:]] = False
    return {name: after for name, (_, after) in counted(found, keep).items()}
