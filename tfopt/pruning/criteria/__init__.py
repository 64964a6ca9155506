"""Which weights are needed least: a score for each weight, the lowest go first."""

from tfopt.pruning.criteria.base import Criterion, FromGradients, FromWeights
from tfopt.pruning.criteria.registry import CRITERIA, criterion_of

__all__ = ["CRITERIA", "Criterion", "FromGradients", "FromWeights", "criterion_of"]
