"""The learning rate of a stage: as compiled, or lower where a stage only fine-tunes what training has found.

A rate that was right for a model with random weights throws a trained one off: quantization-aware training
at it can cost more than rounding without any training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt.optimizers._core.keras_private import configured_learning_rate
from tfopt.optimizers.learning_rate_free.base import LearningRateFree
from tfopt.run.stage_record import LearningRateRecord
from tfopt.schedules._core import nested
from tfopt.schedules._core.schedule import Schedule

_POINTS = 200


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Scaled(Schedule):
    """A schedule times a number.

    Args:
        schedule: a `LearningRateSchedule`.
        factor: the number.
        name: a name for the graph.
    """

    schedule: Any
    factor: float
    name: str = "Scaled"

    def _rate(self, step: Any) -> Any:
        return nested.rates(self.schedule, step) * self.factor


@dataclass(frozen=True)
class StageRate:
    """What a stage does to the compiled learning rate.

    Attributes:
        highest: the highest rate of the stage; a schedule keeps its shape. `None` leaves it to `factor`.
        factor: what the compiled rate is multiplied by.
    """

    highest: float | None = None
    factor: float = 1.0

    def apply(self, optimizer: keras.optimizers.Optimizer, steps: int) -> LearningRateRecord | None:
        """Change the rate of an optimizer that is not built yet, and return its record.

        Args:
            optimizer: any; of one that finds its rate by itself, the rate is a factor and stays.
            steps: how many the stage trains.

        Returns:
            The highest rate `used` and `compiled`; `None` where it cannot be told.
        """
        while hasattr(optimizer, "inner_optimizer"):
            optimizer = optimizer.inner_optimizer
        rate = configured_learning_rate(optimizer)
        compiled = _highest(rate, steps)
        if compiled is None:
            return None
        factor = self.factor
        if self.highest is not None:
            factor = self.highest / compiled if compiled > 0 else 1.0
        elif isinstance(optimizer, LearningRateFree):
            factor = 1.0
        if factor != 1:
            if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
                optimizer.learning_rate = Scaled(rate, factor)
            elif isinstance(rate, keras.Variable):
                optimizer.learning_rate = compiled * factor
            else:
                optimizer.learning_rate = lambda: rate() * factor
        return LearningRateRecord(used=_short(compiled * factor), compiled=_short(compiled))


def _short(rate: float) -> float:
    """Return a rate without the digits that float32 adds."""
    return float(f"{rate:.6g}")


def _highest(rate: Any, steps: int) -> float | None:
    """Return the highest rate that an optimizer has in so many steps."""
    if isinstance(rate, keras.Variable):
        return float(rate.numpy())
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        points = np.unique(np.linspace(0, max(steps - 1, 0), _POINTS).astype(int))
        return max(float(rate(int(step))) for step in points)
    return float(rate()) if callable(rate) else None
