"""Schedules inside schedules: how they are called."""

from typing import Any

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
