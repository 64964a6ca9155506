"""What tfopt's schedules share."""

import inspect
from typing import Any

import keras
from keras import ops


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Base of tfopt's schedules: a subclass keeps its arguments under their names and writes `_rate`.

    Args:
        name: a name for the graph.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __call__(self, step: Any) -> Any:
        """Return the float32 rate of update `step` (0, 1, ...; a scalar or an array of any shape)."""
        with keras.name_scope(self.name):
            # float32 cannot count past 2^24 updates, and loses digits of the place in a cycle long before.
            return ops.cast(self._rate(ops.convert_to_tensor(step, "float64")), "float32")

    def _rate(self, step: Any) -> Any:
        """Return the rates of `step`, a float64 tensor, in its shape."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {argument: getattr(self, argument) for argument in inspect.signature(type(self)).parameters}
