"""Low rank: one kernel as the product of smaller ones."""

from tfopt.factorization.low_rank import low_rank
from tfopt.factorization.plan import LayerRanks, LowRankPlan

__all__ = ["LayerRanks", "LowRankPlan", "low_rank"]
