"""How the sparsity of a model comes about while it trains."""

from tfopt.pruning.schedules.base import Schedule, check_sparsity
from tfopt.pruning.schedules.constant import ConstantSparsity
from tfopt.pruning.schedules.cubic import Cubic
from tfopt.pruning.schedules.one_shot import OneShot
from tfopt.pruning.schedules.rigl import RigL

__all__ = ["ConstantSparsity", "Cubic", "OneShot", "RigL", "Schedule", "check_sparsity"]
