"""Channel pruning: channels, heads and units are removed for good, and the model is smaller and faster."""

from tfopt.channels.cut import cut, masked
from tfopt.channels.dependency import dependencies
from tfopt.channels.group_lasso import group_lasso
from tfopt.channels.groups import Dependencies, Group, Slice
from tfopt.channels.planning.plan import ChannelPlan, GroupPlan
from tfopt.channels.prune_channels import prune_channels

__all__ = [
    "ChannelPlan",
    "Dependencies",
    "Group",
    "GroupPlan",
    "Slice",
    "cut",
    "dependencies",
    "group_lasso",
    "masked",
    "prune_channels",
]
