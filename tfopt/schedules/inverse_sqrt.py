"""Warm-up, then the inverse square root of the step."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Steps, StepsFromZero
from tfopt.schedules._core import shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class InverseSqrt(Schedule):
    """Raises the rate linearly to a peak, then lowers it as 1 / sqrt(step), without an end.

    After the warm-up of W updates, with the timescale s:

        rate(t) = peak / sqrt(1 + (t - W) / s)

    Equals Hugging Face's `get_inverse_sqrt_schedule(num_warmup_steps, timescale)`. With the timescale of
    the warm-up, which is the default, it is peak * sqrt(W / t), as in fairseq and T5.

    Reference: Raffel et al., Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer (2020, arXiv 1910.10683), section 3.1.2; Zhai et al., Scaling Vision Transformers (2022,
    arXiv 2106.04560), section 3.5, for the timescale.

    Args:
        peak_learning_rate: the rate at the end of the warm-up, >= 0.
        warmup_steps: updates until the peak, >= 0.
        timescale: s, >= 1: three times as many updates after the warm-up halve the rate. `None` makes it
            `warmup_steps`, or 10,000 without a warm-up.
        initial_learning_rate: the rate of the first update of a warm-up, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: a rate is negative or not finite, or a number of steps is out of its range.

    Example:
        >>> schedule = InverseSqrt(0.1, warmup_steps=10)
        >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 40, 1000)]
        [0.0, 0.05, 0.1, 0.05, 0.01]
    """

    peak_learning_rate: NonNegative
    _: KW_ONLY
    warmup_steps: StepsFromZero
    timescale: Steps | None = None
    initial_learning_rate: NonNegative = 0.0
    name: str = "InverseSqrt"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.timescale is None:
            self.timescale = self.warmup_steps or 10_000

    def _rate(self, step: Any) -> Any:
        warmup = shapes.rise(
            "linear", self.initial_learning_rate, self.peak_learning_rate, step / max(self.warmup_steps, 1)
        )
        decayed = self.peak_learning_rate * ops.rsqrt(
            1.0 + ops.maximum(step - self.warmup_steps, 0.0) / self.timescale
        )
        return ops.where(step < self.warmup_steps, warmup, decayed)
