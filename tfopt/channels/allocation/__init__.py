"""How many units each group keeps, so that all budgets are met."""

from tfopt.channels.allocation.allocate import allocate, allocation
from tfopt.channels.allocation.chosen import Allocation, GroupWidth
from tfopt.channels.allocation.losses import LossesOnData

__all__ = ["Allocation", "GroupWidth", "LossesOnData", "allocate", "allocation"]
