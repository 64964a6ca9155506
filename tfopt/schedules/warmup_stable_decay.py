"""Warm-up, a long constant phase, and a short decay."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Steps, StepsFromZero
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class WarmupStableDecay(Schedule):
    """Raises the rate to a peak, holds it, and lowers it in the last `decay_steps`; constant afterwards.

    Equals Hugging Face's `get_wsd_schedule`: `peak_learning_rate` is the optimizer's rate,
    `final_learning_rate` is `min_lr_ratio` times it, `total_steps` is `num_training_steps` or
    `num_warmup_steps + num_stable_steps + num_decay_steps`.

    Reference: Hu et al., MiniCPM (2024, arXiv 2404.06395), section 4; Hägele et al., Scaling Laws and
    Compute-Optimal Training Beyond Fixed Training Durations (2024, arXiv 2405.18392), equation 1 for the
    decay along 1 - sqrt, which they found best.

    Args:
        peak_learning_rate: the rate of the constant phase, >= 0.
        warmup_steps: updates until the peak, >= 0.
        decay_steps: updates from the end of the constant phase to `final_learning_rate`, >= 1.
        total_steps: number of updates, >= `warmup_steps + decay_steps`.
        warmup: the shape of the warm-up: `"linear"`, `"cosine"` or `"1-sqrt"`.
        decay: the shape of the decay, likewise.
        initial_learning_rate: the rate of the first update of a warm-up, >= 0; `None` makes it
            `final_learning_rate`, as in Hugging Face.
        final_learning_rate: the rate at `total_steps` and after it, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: a rate is negative or not finite, a shape is unknown, or warm-up and decay
            do not fit into `total_steps`.

    Example:
        >>> schedule = WarmupStableDecay(0.1, warmup_steps=10, decay_steps=20, total_steps=100)
        >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 80, 85, 100)]
        [0.0, 0.05, 0.1, 0.1, 0.05, 0.0]
    """

    peak_learning_rate: NonNegative
    _: KW_ONLY
    warmup_steps: StepsFromZero
    decay_steps: Steps
    total_steps: Steps
    warmup: shapes.Shape = "linear"
    decay: shapes.Shape = "1-sqrt"
    initial_learning_rate: NonNegative | None = None
    final_learning_rate: NonNegative = 0.0
    name: str = "WarmupStableDecay"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.initial_learning_rate is None:
            self.initial_learning_rate = self.final_learning_rate
        if self.warmup_steps + self.decay_steps > self.total_steps:
            raise InvalidArgumentError(
                f"{self.name}: expected warmup_steps + decay_steps <= total_steps, got {self.warmup_steps} + "
                f"{self.decay_steps} > {self.total_steps}. Train longer, or warm up or decay in fewer "
                "updates."
            )

    def _rate(self, step: Any) -> Any:
        warmup = shapes.rise(
            self.warmup, self.initial_learning_rate, self.peak_learning_rate, step / max(self.warmup_steps, 1)
        )
        progress = (step - (self.total_steps - self.decay_steps)) / self.decay_steps
        decay = shapes.fall(self.decay, self.peak_learning_rate, self.final_learning_rate, progress)
        return ops.where(step < self.warmup_steps, warmup, decay)
