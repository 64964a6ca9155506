"""Keras's reduction on a plateau, after a warm-up."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import logging
from typing import Annotated, Any

import keras

from tfopt._hyperparameters import (
    CountFromZero,
    Inside,
    NonNegative,
    Positive,
    checked,
    one_of,
    with_arguments,
)
from tfopt.callbacks._core import learning_rates
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)


class ReduceOnPlateau(keras.callbacks.ReduceLROnPlateau):
    """Raises the learning rate linearly at first; reduces it when a metric has stopped improving afterwards.

    The warm-up takes the rate from `initial_learning_rate` at the first update to the optimizer's own rate at
    update `warmup_steps`: `initial + (own - initial) * step / warmup_steps`. Epochs that begin before its end
    count neither as the best nor as the worse; from the next one on the rate falls exactly as by
    `keras.callbacks.ReduceLROnPlateau`, of which this is a subclass. Without a warm-up they are equal.

    As in Keras, an epoch without improvement is counted from the last epoch of the cooldown on: at least
    `max(cooldown - 1, 0) + patience` epochs lie between two reductions. Each epoch's `logs` get
    `learning_rate`, that of the next update (`learning_rate_NAME` of each optimizer of a `MultiOptimizer`).

    The warm-up counts the updates that the optimizer has made (accumulated batches are one), so that a
    resumed training does not warm up again. What Keras remembers of the plateau is lost between two calls of
    `fit`.

    Reference for the warm-up: Goyal et al., Accurate, Large Minibatch SGD (2017, arXiv 1706.02677), section
    2.2.

    Args:
        monitor: the metric, as `"val_loss"`.
        factor: what the rate is multiplied by, in (0, 1).
        patience: epochs without improvement until the rate is reduced, >= 0.
        verbose: 1 prints each reduction.
        mode: `"min"`, `"max"`, or `"auto"`: by the metric.
        min_delta: what counts as improvement, >= 0.
        cooldown: epochs after a reduction, >= 0.
        min_lr: the rate is not reduced below it, >= 0.
        warmup_steps: updates of the warm-up, >= 0.
        warmup_epochs: the same in epochs, >= 0; needs a `fit` that knows its steps. Give one of the two.
        initial_learning_rate: the rate of the first update of a warm-up, >= 0.
        peak_learning_rate: the rate after the warm-up, > 0, by default the optimizer's when training begins.
            Give it where a training is resumed that may have stopped within its warm-up.

    Raises:
        InvalidArgumentError: at once, for an argument out of its range; when training begins, for an
            optimizer that was built with a schedule, a warm-up with `steps_per_execution` > 1,
            `warmup_epochs` where `fit` does not know the number of steps, or a resumed warm-up without
            `peak_learning_rate`.

    Example:
        >>> callback = ReduceOnPlateau("loss", factor=0.5, patience=5, warmup_epochs=2)
        >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
        >>> [round(rate, 4) for rate in history.history["learning_rate"]]
        [0.0, 0.01, 0.01, 0.01]
    """

    @checked
    def __init__(
        self,
        monitor: str = "val_loss",
        factor: Inside = 0.1,
        patience: CountFromZero = 10,
        verbose: int = 0,
        mode: Annotated[str, one_of("auto", "min", "max")] = "auto",
        min_delta: NonNegative = 1e-4,
        cooldown: CountFromZero = 0,
        min_lr: NonNegative = 0.0,
        *,
        warmup_steps: CountFromZero = 0,
        warmup_epochs: CountFromZero = 0,
        initial_learning_rate: NonNegative = 0.0,
        peak_learning_rate: Positive | None = None,
    ) -> None:
        super().__init__(monitor, factor, patience, verbose, mode, min_delta, cooldown, min_lr)
        if warmup_steps and warmup_epochs:
            raise InvalidArgumentError(
                f"{type(self).__name__}: give warmup_steps or warmup_epochs, not both."
            )
        self.warmup_steps, self.warmup_epochs = warmup_steps, warmup_epochs
        self.initial_learning_rate = initial_learning_rate
        self.peak_learning_rate = peak_learning_rate
        # Optimizers belong to one training: a callback is copied before, and used again for other models.
        self._optimizers: list[keras.optimizers.Optimizer] = []
        self._warming: list[tuple[keras.optimizers.Optimizer, float, float]] = []
        self._counts = True

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Find the rates that the warm-up leads to."""
        super().on_train_begin(logs)
        # Keras turns the sign of min_delta when it sets the comparison, which may be another one this time.
        self.monitor_op = None
        self.min_delta: float = abs(self.min_delta)
        self._optimizers = learning_rates.adjustable(self)
        self._warming = []
        if not (self.warmup_steps or self.warmup_epochs):
            return
        learning_rates.check_one_step_per_execution(self)
        for optimizer in self._optimizers:
            steps, made = self._steps(optimizer), learning_rates.updates(optimizer)
            if made >= steps:
                continue
            if made and self.peak_learning_rate is None:
                raise InvalidArgumentError(
                    f"ReduceOnPlateau cannot tell which rate the warm-up leads to, for {made} of its "
                    f"{steps:g} updates were made before: give peak_learning_rate."
                )
            peak = self.peak_learning_rate or learning_rates.learning_rate(optimizer)
            self._warming.append((optimizer, steps, peak))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Find out whether the epoch belongs to the warm-up."""
        self._counts = not self._warming

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the rate of the update."""
        for optimizer, steps, peak in self._warming:
            share = learning_rates.updates(optimizer) / steps
            optimizer.learning_rate = self.initial_learning_rate + (peak - self.initial_learning_rate) * share

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """End the warm-up after its last update, for fit, or a checkpoint, may end there as well."""
        for warming in list(self._warming):
            optimizer, steps, peak = warming
            if learning_rates.updates(optimizer) >= steps:
                optimizer.learning_rate = peak
                self._warming.remove(warming)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Reduce the rate if it is time, and put it into `logs`."""
        if self._counts:
            before = [learning_rates.learning_rate(optimizer) for optimizer in self._optimizers]
            try:
                super().on_epoch_end(epoch, logs)
            except ValueError as error:
                raise InvalidArgumentError(
                    f"ReduceOnPlateau: the name {self.monitor!r} does not tell whether more of it is better. "
                    f'Give mode="min" or mode="max"; the epoch logged {", ".join(logs or {}) or "nothing"}.'
                ) from error
            for optimizer, old in zip(self._optimizers, before, strict=True):
                if (rate := learning_rates.learning_rate(optimizer)) != old:
                    logger.info(
                        "Epoch %d: no better %s; learning rate of %s reduced from %g to %g",
                        epoch, self.monitor, optimizer.name, old, rate,
                    )  # fmt: skip
        else:
            learning_rates.log(logs, self._optimizers)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizers."""
        self._optimizers, self._warming = [], []

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return with_arguments(self, {"min_delta": abs(self.min_delta)})

    def _steps(self, optimizer: keras.optimizers.Optimizer) -> float:
        """Return the updates of the warm-up."""
        if self.warmup_steps:
            return self.warmup_steps
        batches = self.params.get("steps")
        if batches is None:
            raise InvalidArgumentError(
                "ReduceOnPlateau: fit does not know the steps of an epoch: give warmup_steps instead of "
                "warmup_epochs, or steps_per_epoch to fit."
            )
        return self.warmup_epochs * batches / (optimizer.gradient_accumulation_steps or 1)
