"""How a sparsity is divided among the kernels of a model."""

from tfopt.pruning.distribution.erk import erk
from tfopt.pruning.distribution.registry import DISTRIBUTIONS, distribution_of
from tfopt.pruning.distribution.sensitivity import by_sensitivity, levels

__all__ = ["DISTRIBUTIONS", "by_sensitivity", "distribution_of", "erk", "levels"]
