"""Up and down between two rates, again and again."""

from typing import Any, Self

import keras
from keras import ops

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments
from tfopt.schedules._core.schedule import Schedule

_MODES = ("triangular", "triangular2", "exp_range")


@keras.saving.register_keras_serializable(package="tfopt")
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

    def __init__(
        self,
        base_learning_rate: float,
        max_learning_rate: float,
        *,
        step_size_up: int,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        name: str = "Cyclic",
    ) -> None:
        super().__init__(name)
        self.base_learning_rate = arguments.rate(name, "base_learning_rate", base_learning_rate)
        self.max_learning_rate = arguments.rate(name, "max_learning_rate", max_learning_rate)
        self.step_size_up = arguments.steps(name, "step_size_up", step_size_up, at_least=1)
        if step_size_down is None:
            step_size_down = step_size_up
        self.step_size_down = arguments.steps(name, "step_size_down", step_size_down, at_least=1)
        self.mode = _validation.choice(name, "mode", mode, _MODES)
        self.gamma = arguments.positive(name, "gamma", gamma, at_most=1)

    def _rate(self, step: Any) -> Any:
        length = self.step_size_up + self.step_size_down
        cycle = ops.floor(step / length)
        place = step - cycle * length
        share = ops.minimum(place / self.step_size_up, (length - place) / self.step_size_down)
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
        arguments.share(self.name, "max_momentum", max_momentum)
        arguments.share(self.name, "base_momentum", base_momentum, zero=True)
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
