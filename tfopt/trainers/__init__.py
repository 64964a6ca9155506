"""Full-batch training by second-order methods, for small models and physics-informed networks."""

from tfopt.trainers.lbfgs import LBFGS
from tfopt.trainers.newton_cg import NewtonCG
from tfopt.trainers.result import MinimizeResult

__all__ = ["LBFGS", "MinimizeResult", "NewtonCG"]
