"""Schedules inside schedules: how they are called, saved and loaded."""

from typing import Any

import keras
from keras import ops

from tfopt.schedules._core.schedule import Schedule


def rates(schedule: Any, step: Any) -> Any:
    """Return the float64 rates of any `LearningRateSchedule`, or of a constant, at `step` (float64)."""
    if isinstance(schedule, float):
        return ops.full_like(step, schedule)
    if isinstance(schedule, Schedule) or len(step.shape) == 0:
        return ops.cast(schedule(step), step.dtype)
    # Keras's own schedules promise scalars only: CosineDecay with a warm-up fails on arrays.
    flat = ops.map(lambda each: ops.cast(schedule(each), step.dtype), ops.reshape(step, (-1,)))
    return ops.reshape(flat, ops.shape(step))


def serialized(schedule: Any) -> Any:
    """Return a schedule, or a constant, as JSON values."""
    return schedule if isinstance(schedule, float) else keras.saving.serialize_keras_object(schedule)


def deserialized(config: Any) -> Any:
    """Return what `serialized` described; a schedule passes as it is."""
    return keras.saving.deserialize_keras_object(config) if isinstance(config, dict) else config
