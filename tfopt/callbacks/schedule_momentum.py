"""Carries out a schedule of an optimizer's momentum."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import keras

from tfopt import _validation
from tfopt.callbacks._core import learning_rates
from tfopt.callbacks._core.optimizer_hook import optimizers_of
from tfopt.callbacks._core.scheduled_float import ScheduledFloat
from tfopt.callbacks._core.variables import replicated
from tfopt.errors import InvalidArgumentError, UnsupportedModel

logger = logging.getLogger(__name__)

HYPERPARAMETERS = ("momentum", "beta_1")


class ScheduleMomentum(keras.callbacks.Callback):
    """Sets `momentum` or `beta_1` of a Keras optimizer before each update, as a schedule says.

    Keras compiles these numbers into the training step. While `fit` runs, this callback lets the step read
    them from a variable; `get_config` and models saved meanwhile keep the number that the optimizer was built
    with, and so does the optimizer when training ends. It works in a `LossScaleOptimizer`, on every optimizer
    of a `MultiOptimizer`, and under a `tf.distribute` strategy. Each epoch's `logs` get `momentum` (or
    `beta_1`), that of the last update.

    Adam-like optimizers correct the bias by `1 - beta_1^t` with `beta_1` as it is at update t, as PyTorch
    does under its OneCycleLR; heavy-ball momentum (`keras.optimizers.SGD`) is `m <- momentum m - rate g`.

    Reference: Smith, A disciplined approach to neural network hyper-parameters (2018, arXiv 1803.09820),
    section 4.2: momentum falls while the learning rate rises, and the other way round.

    Args:
        schedule: a function from `optimizer.iterations`, the updates that were made (0, 1, ...), to the value
            in [0, 1); a `LearningRateSchedule` is one. `tfopt.schedules.OneCycle(...).momentum()` makes the
            one that mirrors a one-cycle rate.
        hyperparameter: `"momentum"` or `"beta_1"`; by default the one that each optimizer has.

    Raises:
        InvalidArgumentError: at once, for a schedule that cannot be called or an unknown hyperparameter; when
            training begins, for `run_eagerly=True`, `steps_per_execution` > 1, or an optimizer that has none
            or was built with 0 (which keeps no momentum); while training, for a value outside [0, 1).
        UnsupportedModel: the optimizer never reads the hyperparameter.

    Example:
        >>> rate = keras.optimizers.schedules.PiecewiseConstantDecay([2], [0.1, 0.01])
        >>> model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
        >>> callback = ScheduleMomentum(lambda step: 0.85 if step < 2 else 0.95)
        >>> history = model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
        >>> [round(value, 2) for value in history.history["beta_1"]]
        [0.85, 0.85, 0.95]
    """

    def __init__(self, schedule: Callable[[int], Any], hyperparameter: str | None = None) -> None:
        super().__init__()
        if not callable(schedule):
            raise InvalidArgumentError(
                "ScheduleMomentum: expected a LearningRateSchedule or a function of the step, got "
                f"{schedule!r}."
            )
        self.schedule = schedule
        self.hyperparameter = _validation.choice(
            "ScheduleMomentum", "hyperparameter", hyperparameter, (*HYPERPARAMETERS, None)
        )
        # Optimizers belong to one training: a callback is copied before, and used again for other models.
        self._scheduled: list[tuple[keras.optimizers.Optimizer, str, ScheduledFloat]] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Let the training step read the values from variables."""
        found = optimizers_of(self)
        learning_rates.check_one_step_per_execution(self)
        if self.model.run_eagerly:
            raise InvalidArgumentError(
                "ScheduleMomentum needs a compiled training step: leave run_eagerly=True out of "
                "model.compile()."
            )
        names = [self._name(optimizer) for optimizer in found]
        self._scheduled = []
        for optimizer, name in zip(found, names, strict=True):
            # float() unwraps what a fit() left behind that an error ended.
            built_with = float(getattr(optimizer, name))
            value = ScheduledFloat(built_with, replicated(self.model, f"scheduled_{name}", built_with))
            # Not by setattr, for the variable is no part of the optimizer's state.
            vars(optimizer)[name] = value
            self._scheduled.append((optimizer, name, value))
        self.model.make_train_function(force=True)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the value of the update."""
        for optimizer, name, value in self._scheduled:
            step = learning_rates.updates(optimizer)
            momentum = learning_rates.evaluate(self, self.schedule, step, below=1.0)
            value.variable.assign(momentum)
            logger.debug("Update %d: %s of %s is %g", step, name, optimizer.name, momentum)

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Check that the step, now traced, reads the value."""
        for optimizer, name, value in self._scheduled:
            if optimizer.built and not value.read:
                raise UnsupportedModel(
                    f"ScheduleMomentum: {type(optimizer).__name__} never reads its {name} while training."
                )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the values into `logs`."""
        if logs is not None:
            for optimizer, name, value in self._scheduled:
                key = name if len(self._scheduled) == 1 else f"{name}_{optimizer.name}"
                logs[key] = float(value.variable.numpy())

    def on_train_end(self, logs: dict | None = None) -> None:
        """Give the optimizers back the numbers that they were built with."""
        for optimizer, name, value in self._scheduled:
            vars(optimizer)[name] = float(value)
        self._scheduled = []
        self.model.make_train_function(force=True)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedule as Keras serializes it."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "hyperparameter": self.hyperparameter}

    def _name(self, optimizer: keras.optimizers.Optimizer) -> str:
        wanted = (self.hyperparameter,) if self.hyperparameter else HYPERPARAMETERS
        held = [name for name in wanted if isinstance(getattr(optimizer, name, None), float)]
        kind = type(optimizer).__name__
        if not held:
            raise InvalidArgumentError(
                f"ScheduleMomentum: {kind} has no {' or '.join(wanted)}; use an optimizer that has, as "
                "SGD(momentum=0.9) or Adam."
            )
        if getattr(optimizer, held[0]) == 0:
            raise InvalidArgumentError(
                f"ScheduleMomentum: {kind} was built with {held[0]}=0 and keeps no momentum; build it with "
                f"{held[0]}=0.9."
            )
        return held[0]
