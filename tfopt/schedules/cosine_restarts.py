"""Half a cosine, again and again."""

from __future__ import annotations

import math
from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Positive, Share, Steps
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class CosineRestarts(Schedule):
    """Lowers the rate along half a cosine, then starts again from the top, each time for longer.

    Equals torch's `CosineAnnealingWarmRestarts(T_0, T_mult, eta_min)` with
    `first_decay_steps=T_0, t_mul=T_mult, final_learning_rate=eta_min`; and Keras's `CosineDecayRestarts`,
    whose names and defaults these are, with `final_learning_rate` as its `alpha` times the initial rate.

    Reference: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017, arXiv
    1608.03983), equation 5.

    Args:
        initial_learning_rate: the rate at the first start, >= 0.
        first_decay_steps: updates in the first cycle, >= 1.
        t_mul: how many times as long as the one before a cycle is, >= 1.
        m_mul: how many times as high as the one before, above the final rate, a cycle starts; in (0, 1].
        final_learning_rate: the rate towards which each cycle falls, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = CosineRestarts(0.1, first_decay_steps=10, t_mul=2, m_mul=0.5)
        >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 20, 30)]
        [0.1, 0.05, 0.05, 0.025, 0.025]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    first_decay_steps: Steps
    t_mul: Positive = 2.0
    m_mul: Share = 1.0
    final_learning_rate: NonNegative = 0.0
    name: str = "CosineRestarts"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.t_mul < 1:
            raise InvalidArgumentError(
                f"{self.name}: expected t_mul >= 1 (cycles that shrink come to an end), got {self.t_mul!r}."
            )

    def _rate(self, step: Any) -> Any:
        cycle, progress = self._place(step / self.first_decay_steps)
        start = (self.initial_learning_rate - self.final_learning_rate) * ops.power(self.m_mul, cycle)
        return self.final_learning_rate + shapes.fall("cosine", start, 0.0, progress)

    def _place(self, time: Any) -> tuple[Any, Any]:
        """Return the number of the cycle (0, 1, ...) and the progress in it, at a time in first cycles."""
        if self.t_mul == 1:
            cycle = ops.floor(time)
            return cycle, time - cycle
        # Cycle i begins at (t_mul^i - 1) / (t_mul - 1). What is added puts a restart itself, which the
        # logarithm may miss by its rounding, on the right side.
        grown = time * (self.t_mul - 1.0) + 1.0
        cycle = ops.floor(ops.log(grown) / math.log(self.t_mul) + 1e-9)
        length = ops.power(self.t_mul, cycle)
        return cycle, (time - (length - 1.0) / (self.t_mul - 1.0)) / length
