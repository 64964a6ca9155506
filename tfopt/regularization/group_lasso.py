"""A penalty on the norms of the groups of weights of one kernel."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from tfopt import _validation

_TINY = 1e-12
"""Added to squared norms: the gradient of a norm at zero is infinite."""


@keras.saving.register_keras_serializable(package="tfopt")
class GroupLasso(keras.regularizers.Regularizer):
    """The sum of the norms of groups of weights, each times the root of its size: whole groups become zero.

    For kernels one by one. Where removing a unit changes other layers too, `tfopt.channels.group_lasso` makes
    groups of all that belongs to it.

    Args:
        strength: 0 or more.
        axis: a group is what has the same index along it: -1, the output channels of dense layers and
            convolutions; -2, the inputs of a dense layer or the channels of a depthwise one.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Reference:
        Yuan and Lin, 2006, Model selection and estimation in regression with grouped variables, equation 2.1.
    """

    def __init__(self, strength: float = 1e-3, axis: int = -1) -> None:
        self.strength = _validation.number("GroupLasso", "strength", strength, at_least=0)
        self.axis = (
            axis if _validation.is_whole(axis) else _validation.whole("GroupLasso", "axis", axis, at_least=0)
        )

    def __call__(self, x: Any) -> Any:
        """Return the penalty of a kernel."""
        rank = len(x.shape)
        others = [axis for axis in range(rank) if axis != self.axis % rank]
        size = math.prod(x.shape[axis] for axis in others)
        norms = ops.sqrt(ops.sum(ops.square(x), axis=others) + _TINY)
        return self.strength * math.sqrt(size) * ops.sum(norms)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {"strength": self.strength, "axis": self.axis}
