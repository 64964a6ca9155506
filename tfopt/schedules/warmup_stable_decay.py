"""Warm-up, a long constant phase, and a short decay."""

from typing import Any

import keras
from keras import ops

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
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
        total_steps: updates in all, >= `warmup_steps + decay_steps`.
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

    def __init__(
        self,
        peak_learning_rate: float,
        *,
        warmup_steps: int,
        decay_steps: int,
        total_steps: int,
        warmup: str = "linear",
        decay: str = "1-sqrt",
        initial_learning_rate: float | None = None,
        final_learning_rate: float = 0.0,
        name: str = "WarmupStableDecay",
    ) -> None:
        super().__init__(name)
        if initial_learning_rate is None:
            initial_learning_rate = final_learning_rate
        self.peak_learning_rate = arguments.rate(name, "peak_learning_rate", peak_learning_rate)
        self.final_learning_rate = arguments.rate(name, "final_learning_rate", final_learning_rate)
        self.initial_learning_rate = arguments.rate(name, "initial_learning_rate", initial_learning_rate)
        self.warmup_steps = arguments.steps(name, "warmup_steps", warmup_steps, at_least=0)
        self.decay_steps = arguments.steps(name, "decay_steps", decay_steps, at_least=1)
        self.total_steps = arguments.steps(name, "total_steps", total_steps, at_least=1)
        self.warmup = _validation.choice(name, "warmup", warmup, shapes.SHAPES)
        self.decay = _validation.choice(name, "decay", decay, shapes.SHAPES)
        if self.warmup_steps + self.decay_steps > self.total_steps:
            raise InvalidArgumentError(
                f"{name}: expected warmup_steps + decay_steps <= total_steps, got {warmup_steps} + "
                f"{decay_steps} > {total_steps}. Train longer, or warm up or decay in fewer updates."
            )

    def _rate(self, step: Any) -> Any:
        warmup = shapes.rise(
            self.warmup, self.initial_learning_rate, self.peak_learning_rate, step / max(self.warmup_steps, 1)
        )
        progress = (step - (self.total_steps - self.decay_steps)) / self.decay_steps
        decay = shapes.fall(self.decay, self.peak_learning_rate, self.final_learning_rate, progress)
        return ops.where(step < self.warmup_steps, warmup, decay)
