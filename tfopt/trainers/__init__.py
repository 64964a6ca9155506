"""Full-batch training: second-order methods, and evolution for losses without gradients."""

from tfopt.trainers.evolution import Evolution
from tfopt.trainers.lbfgs import LBFGS
from tfopt.trainers.newton_cg import NewtonCG
from tfopt.trainers.result import MinimizeResult

__all__ = ["LBFGS", "Evolution", "MinimizeResult", "NewtonCG"]
