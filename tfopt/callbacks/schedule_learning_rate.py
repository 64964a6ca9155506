"""Carries out a learning-rate schedule on an optimizer that was built with a number."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt import _validation
from tfopt.callbacks._core import learning_rates
from tfopt.callbacks._core.optimizer_hook import optimizers_of
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)

Schedule = Callable[[int], Any]


class ScheduleLearningRate(keras.callbacks.Callback):
    """Sets the learning rate before each update, or each epoch, as a schedule says.

    For an optimizer that was built with a number: the rate stays a variable that other code can read, the
    schedule is no part of the saved model, and another one can follow in the next `fit`. An optimizer that
    was built with a schedule needs no callback, and Keras cannot set its rate.

    Works on any Keras optimizer, also inside a `LossScaleOptimizer` or another wrapper with an
    `inner_optimizer`, in a `MultiOptimizer`, and under a `tf.distribute` strategy. Each epoch's `logs` get
    `learning_rate`, that of its last update, and with a `MultiOptimizer` `learning_rate_NAME` of each.

    The optimizer keeps the last rate when training ends. A callback that changes the rate between updates,
    such as `ReduceOnPlateau`, is overruled.

    Args:
        schedule: a `keras.optimizers.schedules.LearningRateSchedule`, or a function, from the number of the
            update or epoch (0, 1, ...) to the rate (>= 0). With a `MultiOptimizer`, it applies to every
            optimizer; a mapping from the names of optimizers to their schedules leaves the others alone.
        by: `"step"`: by `optimizer.iterations`, the updates that the optimizer has made. Batches whose
            gradients are accumulated are one update, and a resumed training continues the count.
            `"epoch"`: by the epoch of `fit`, which `initial_epoch` moves.

    Raises:
        InvalidArgumentError: at once, for a schedule that cannot be called or an unknown `by`; when training
            begins, for an optimizer that was built with a schedule, a name that no optimizer has, or
            `by="step"` with `steps_per_execution` > 1; while training, for a rate that is not a finite
            number >= 0.

    Example:
        >>> halve = ScheduleLearningRate(lambda epoch: 0.1 * 0.5**epoch, by="epoch")
        >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[halve])
        >>> [round(rate, 3) for rate in history.history["learning_rate"]]
        [0.1, 0.05, 0.025]
    """

    def __init__(self, schedule: Schedule | Mapping[str, Schedule], by: str = "step") -> None:
        super().__init__()
        kind = type(self).__name__
        self.by = _validation.choice(kind, "by", by, ("step", "epoch"))
        self.schedule = dict(schedule) if isinstance(schedule, Mapping) else schedule
        each = self.schedule.values() if isinstance(self.schedule, dict) else [self.schedule]
        for one in each:
            if not callable(one):
                raise InvalidArgumentError(
                    f"{kind}: expected a LearningRateSchedule or a function of the step, got {one!r}."
                )
        # Optimizers belong to one training: a callback is copied before, and used again for other models.
        self._scheduled: list[tuple[keras.optimizers.Optimizer, Schedule]] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Find the optimizers."""
        found = optimizers_of(self) if isinstance(self.schedule, dict) else learning_rates.adjustable(self)
        if self.by == "step":
            learning_rates.check_one_step_per_execution(self)
        if not isinstance(self.schedule, dict):
            self._scheduled = [(optimizer, self.schedule) for optimizer in found]
            return
        names = [optimizer.name for optimizer in found]
        if unknown := sorted(set(self.schedule) - set(names)):
            raise InvalidArgumentError(
                f"ScheduleLearningRate: no optimizer is called {unknown[0]!r}; there are {', '.join(names)}."
            )
        chosen = [optimizer for optimizer in found if optimizer.name in self.schedule]
        learning_rates.check_adjustable(self, chosen)
        self._scheduled = [(optimizer, self.schedule[optimizer.name]) for optimizer in chosen]

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Set the rate of the epoch."""
        if self.by == "epoch":
            for optimizer, schedule in self._scheduled:
                optimizer.learning_rate = rate = learning_rates.evaluate(self, schedule, epoch)
                logger.debug("Epoch %d: learning rate of %s is %g", epoch, optimizer.name, rate)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the rate of the update."""
        if self.by == "step":
            for optimizer, schedule in self._scheduled:
                step = learning_rates.updates(optimizer)
                optimizer.learning_rate = rate = learning_rates.evaluate(self, schedule, step)
                logger.debug("Update %d: learning rate of %s is %g", step, optimizer.name, rate)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the rate into `logs`."""
        learning_rates.log(logs, [optimizer for optimizer, _ in self._scheduled])

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizers."""
        self._scheduled = []

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedule as Keras serializes it."""
        serialize = keras.saving.serialize_keras_object
        if isinstance(self.schedule, dict):
            return {"schedule": {k: serialize(v) for k, v in self.schedule.items()}, "by": self.by}
        return {"schedule": serialize(self.schedule), "by": self.by}
