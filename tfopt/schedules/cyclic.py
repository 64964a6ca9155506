"""Up and down between two rates, again and again."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Annotated, Any, Self

import keras
from keras import ops

from tfopt import _validation
from tfopt._hyperparameters import NonNegative, Share, Steps, one_of
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Cyclic(Schedule):
    """Takes the rate linearly from a base to a maximum and back, again and again.

    Equals torch's `CyclicLR`: `base_lr` is `base_learning_rate`, `max_lr` is `max_learning_rate`; the
    rest has the same names. Its momentum cycle is another schedule: `momentum`.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017, arXiv 1506.01186),
    section 3.

    Args:
        base_learning_rate: the rate at both ends of a cycle, >= 0.
        max_learning_rate: the rate in the middle of the first cycle, >= 0.
        step_size_up: updates from the base to the maximum, >= 1; the paper recommends 2 to 10 epochs.
        step_size_down: updates from the maximum to the base, >= 1; `None` makes it `step_size_up`.
        mode: how the cycles change: `"triangular"`, not at all; `"triangular2"`, each is half as high as
            the one before; `"exp_range"`, the height is multiplied by `gamma` at each update.
        gamma: for `"exp_range"`, in (0, 1].
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range, or the mode is unknown.

    Example:
        >>> schedule = Cyclic(0.1, 0.5, step_size_up=4, mode="triangular2")
        >>> [round(float(schedule(step)), 4) for step in (0, 2, 4, 8, 12)]
        [0.1, 0.3, 0.5, 0.1, 0.3]
    """

    base_learning_rate: NonNegative
    max_learning_rate: NonNegative
    _: KW_ONLY
    step_size_up: Steps
    step_size_down: Steps | None = None
    mode: Annotated[str, one_of("triangular", "triangular2", "exp_range")] = "triangular"
    gamma: Share = 1.0
    name: str = "Cyclic"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size_down is None:
            self.step_size_down = self.step_size_up

    def _rate(self, step: Any) -> Any:
        up, down = self.step_size_up, self.step_size_down or self.step_size_up
        length = up + down
        cycle = ops.floor(step / length)
        place = step - cycle * length
        share = ops.minimum(place / up, (length - place) / down)
        height = {
            "triangular": 1.0,
            "triangular2": ops.power(0.5, cycle),
            "exp_range": ops.power(self.gamma, step),
        }[self.mode]
        return self.base_learning_rate + (self.max_learning_rate - self.base_learning_rate) * share * height

    def momentum(self, max_momentum: float = 0.9, base_momentum: float = 0.8) -> Self:
        """Return the mirror image of these cycles for the momentum, as torch's `cycle_momentum`.

        Args:
            max_momentum: the momentum at both ends of a cycle, in (0, 1).
            base_momentum: the momentum where the rate is highest, in [0, `max_momentum`].

        Raises:
            InvalidArgumentError: a momentum is out of its range.
        """
        _validation.number(self.name, "max_momentum", max_momentum, above=0, below=1)
        _validation.number(self.name, "base_momentum", base_momentum, at_least=0, below=1)
        if base_momentum > max_momentum:
            raise InvalidArgumentError(
                f"{self.name}: expected base_momentum <= max_momentum, got {base_momentum} > {max_momentum}."
            )
        mirrored = self.get_config() | {
            "base_learning_rate": max_momentum,
            "max_learning_rate": base_momentum,
            "name": f"{self.name}Momentum",
        }
        return type(self)(**mirrored)
