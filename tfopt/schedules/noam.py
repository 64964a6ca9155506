"""The schedule of the Transformer paper."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Steps, StepsFromZero
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Noam(Schedule):
    """The inverse square root of the step, scaled by the width of the model.

    With s = max(t + `first_step`, 1), where t = 0, 1, ... is the update, d the width and W the warm-up:

        rate(t) = scale * d^-0.5 * min(s^-0.5, s * W^-1.5)

    Reference: Vaswani et al., Attention Is All You Need (2017, arXiv 1706.03762), equation 3, which counts
    from 1. The Annotated Transformer and AllenNLP's `NoamLR` count from 0 and use the first rate twice:
    `first_step=0`.

    Args:
        d_model: d, the width of the model, >= 1.
        warmup_steps: W, >= 1: the number of the step with the highest rate, scale / sqrt(d W).
        scale: a factor, >= 0.
        first_step: the number of the first update, 0 or more.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = Noam(512, warmup_steps=4000)
        >>> [round(float(schedule(step)), 7) for step in (0, 3999, 15999)]
        [2e-07, 0.0006988, 0.0003494]
    """

    d_model: Steps
    _: KW_ONLY
    warmup_steps: Steps = 4000
    scale: NonNegative = 1.0
    first_step: StepsFromZero = 1
    name: str = "Noam"

    def _rate(self, step: Any) -> Any:
        number = ops.maximum(step + self.first_step, 1.0)
        return (
            self.scale * self.d_model**-0.5 * ops.minimum(ops.rsqrt(number), number * self.warmup_steps**-1.5)
        )
