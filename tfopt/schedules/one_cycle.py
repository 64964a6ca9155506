"""Up to a large rate and down to almost nothing, once."""

from __future__ import annotations

import itertools
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Annotated, Any, Self

import keras
from keras import ops

from tfopt import _validation
from tfopt._hyperparameters import Inside, NonNegative, Positive, one_of
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class OneCycle(Schedule):
    """Raises the rate from `max / div_factor` to the maximum, then lowers it far below where it began.

    Two phases: up until update `pct_start * total_steps - 1`, down until update `total_steps - 1`. With
    `three_phase`, as in the paper: up, as long down to the initial rate, and from there to the final one.

    Equals torch's `OneCycleLR`, with its defaults: `max_lr` is `max_learning_rate`,
    `anneal_strategy="cos"` is `anneal="cosine"`; the rest has the same names. Its momentum cycle is
    another schedule: `momentum`. Equals optax's `cosine_onecycle_schedule(T, peak, pct)` with
    `total_steps=T + 1` and `pct_start=(int(pct * T) + 1) / (T + 1)`.

    Reference: Smith and Topin, Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates (2018, arXiv 1708.07120), section 2.

    Args:
        max_learning_rate: the rate at the peak, >= 0.
        total_steps: updates in the cycle, > 2; the last rate holds afterwards.
        pct_start: the share of the updates that raise the rate, in (0, 1).
        anneal: the way between two rates: `"cosine"` or `"linear"`.
        div_factor: the maximum over the initial rate, > 0.
        final_div_factor: the initial rate over the final one, > 0.
        three_phase: whether the way down stops over at the initial rate.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range, or a phase would have no update.

    Example:
        >>> schedule = OneCycle(1.0, total_steps=101)
        >>> [round(float(schedule(step)), 6) for step in (0, 29, 100)]
        [0.04, 0.999752, 4e-06]
        >>> momentum = schedule.momentum(0.95, 0.85)
        >>> [round(float(momentum(step)), 3) for step in (0, 29, 100)]
        [0.95, 0.85, 0.95]
    """

    max_learning_rate: NonNegative
    _: KW_ONLY
    total_steps: Annotated[int, partial(_validation.steps, at_least=3)]
    pct_start: Inside = 0.3
    anneal: Annotated[str, one_of("cosine", "linear")] = "cosine"
    div_factor: Positive = 25.0
    final_div_factor: Positive = 1e4
    three_phase: arguments.Switch = False
    name: str = "OneCycle"

    def __post_init__(self) -> None:
        super().__post_init__()
        ends = [0.0, *(end for end, _ in self._phases())]
        if any(later <= earlier for earlier, later in itertools.pairwise(ends)):
            raise InvalidArgumentError(
                f"{self.name}: expected at least one update in each phase, got phases that end at updates "
                f"{ends[1:]}. Raise total_steps={self.total_steps}, or bring pct_start={self.pct_start} "
                f"nearer to {'1/2' if self.three_phase else 'the middle'}."
            )

    def _phases(self) -> list[tuple[float, float]]:
        """Return the last update of each phase, and the rate there."""
        initial = self.max_learning_rate / self.div_factor
        final = initial / self.final_div_factor
        top = self.pct_start * self.total_steps - 1
        down = [(2 * self.pct_start * self.total_steps - 2, initial)] if self.three_phase else []
        return [(top, self.max_learning_rate), *down, (self.total_steps - 1.0, final)]

    def _rate(self, step: Any) -> Any:
        begin, start = 0.0, self.max_learning_rate / self.div_factor
        rate = ops.full_like(step, start)
        for end, target in self._phases():
            phase = shapes.fall(self.anneal, start, target, (step - begin) / (end - begin))
            rate = ops.where(step > begin, phase, rate)
            begin, start = end, target
        return rate

    def momentum(self, max_momentum: float = 0.95, base_momentum: float = 0.85) -> Self:
        """Return the mirror image of this cycle for the momentum, as torch's `cycle_momentum`.

        Args:
            max_momentum: the momentum at both ends of the cycle, in (0, 1).
            base_momentum: the momentum where the rate is highest, in (0, `max_momentum`].

        Raises:
            InvalidArgumentError: a momentum is out of its range.
        """
        _validation.number(self.name, "max_momentum", max_momentum, above=0, below=1)
        _validation.number(self.name, "base_momentum", base_momentum, above=0, below=1)
        if base_momentum > max_momentum:
            raise InvalidArgumentError(
                f"{self.name}: expected base_momentum <= max_momentum, got {base_momentum} > {max_momentum}."
            )
        return type(self)(
            base_momentum,
            total_steps=self.total_steps,
            pct_start=self.pct_start,
            anneal=self.anneal,
            div_factor=base_momentum / max_momentum,
            final_div_factor=1.0,
            three_phase=self.three_phase,
            name=f"{self.name}Momentum",
        )
