"""Families of image classifiers whose width, depth, resolution and blocks are for a search to choose."""

from tfopt.models.choices import mobile_net_choices, res_net_choices
from tfopt.models.mobile_net import mobile_net
from tfopt.models.res_net import res_net

__all__ = ["mobile_net", "mobile_net_choices", "res_net", "res_net_choices"]
