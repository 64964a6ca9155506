"""A hyperparameter that Keras freezes at tracing, made to be read anew at each update.

Keras's optimizers hold `momentum` and `beta_1` as Python floats, which become constants of the training step
when it is traced. They may not be variables, for `update_step` compares them (`if self.momentum != 0`) and
`get_config` returns them. So this is a float that says what the optimizer was built with wherever Python
looks, and that TensorFlow converts to a tensor through its protocol for that, `__tf_tensor__`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


class ScheduledFloat(float):
    """A float whose tensor is the value of a variable when the graph runs.

    Outside a graph TensorFlow takes it for the plain float in some operations, so it serves compiled steps
    only.

    Args:
        value: what it is to Python.
        variable: a scalar variable: what it is to a graph.
    """

    # Keras's promotion of types asks operands for it: a float, so that bfloat16 stays bfloat16.
    dtype = float

    variable: keras.Variable
    read: bool

    def __new__(cls, value: float, variable: keras.Variable) -> ScheduledFloat:
        """Make one that no graph has read."""
        made = super().__new__(cls, value)
        made.variable, made.read = variable, False
        return made

    def __tf_tensor__(self, dtype: tf.DType | None = None, name: str | None = None) -> tf.Tensor:
        """Return the variable's value; TensorFlow calls it."""
        self.read = True
        # tf.cast alone would return the variable itself where the type is the same.
        return tf.cast(tf.convert_to_tensor(self.variable.value), dtype or tf.float32, name=name)

    def __reduce__(self) -> tuple:
        """Copy and pickle as the plain float: variables belong to one training."""
        return float, (float(self),)

    def __neg__(self) -> tf.Tensor:
        """Return the negative, read anew at each update."""
        return -tf.convert_to_tensor(self)


def _of_the_tensor(operation: Callable[[Any, Any], Any], *, swapped: bool) -> Callable:
    def method(self: ScheduledFloat, other: Any) -> Any:
        dtype = other.dtype if tf.is_tensor(other) else tf.float32
        mine = tf.convert_to_tensor(self, dtype)
        return operation(other, mine) if swapped else operation(mine, other)

    return method


# `1 - beta_1` is to be read anew as well.
for _name in ("add", "sub", "mul", "truediv", "pow"):
    _operation = getattr(operator, _name)
    setattr(ScheduledFloat, f"__{_name}__", _of_the_tensor(_operation, swapped=False))
    setattr(ScheduledFloat, f"__r{_name}__", _of_the_tensor(_operation, swapped=True))
