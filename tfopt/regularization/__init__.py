"""Training that generalizes: penalties by rule, layers put in by rule, consistency, averages of weights."""

from tfopt.regularization.batch_norm import estimate_batch_norm
from tfopt.regularization.consistency import ConsistencyRegularization
from tfopt.regularization.group_lasso import GroupLasso
from tfopt.regularization.insert import insert_after
from tfopt.regularization.regularize import regularize

__all__ = [
    "ConsistencyRegularization",
    "GroupLasso",
    "estimate_batch_norm",
    "insert_after",
    "regularize",
]
