"""What tfopt's schedules share."""

from __future__ import annotations

import inspect
from typing import Any, Self

import keras
from keras import ops
from keras.optimizers.schedules import LearningRateSchedule

from tfopt._hyperparameters import check_fields


class Schedule(LearningRateSchedule):
    """Base of tfopt's schedules: a subclass is a dataclass of its arguments and writes `_rate`.

    The arguments are checked as their annotations say, and make up the config, schedules among them included.

    Attributes:
        name: a name for the graph, and for messages.
    """

    name: str

    def __post_init__(self) -> None:
        check_fields(self.name, self)

    def __call__(self, step: Any) -> Any:
        """Return the float32 rate of update `step` (0, 1, ...; a scalar or an array of any shape)."""
        with keras.name_scope(self.name):
            # float32 cannot count past 2^24 updates, and loses digits of the place in a cycle long before.
            return ops.cast(self._rate(ops.convert_to_tensor(step, "float64")), "float32")

    def _rate(self, step: Any) -> Any:
        """Return the rates of `step`, a float64 tensor, in its shape."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, schedules among them serialized."""
        return {name: _serialized(getattr(self, name)) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return the schedule that `get_config` described."""
        return cls(**{name: _deserialized(value) for name, value in config.items()})


def _serialized(value: Any) -> Any:
    if isinstance(value, list):
        return [_serialized(each) for each in value]
    return keras.saving.serialize_keras_object(value) if isinstance(value, LearningRateSchedule) else value


def _deserialized(value: Any) -> Any:
    if isinstance(value, list):
        return [_deserialized(each) for each in value]
    return keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
