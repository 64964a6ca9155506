"""A range test for the learning rate."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import keras
import numpy as np

from tfopt import _validation, files
from tfopt._hyperparameters import AboveOne, Fraction, Positive, checked, one_of, with_arguments
from tfopt.callbacks._core import learning_rates
from tfopt.errors import InvalidArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.getLogger(__name__)

_PROGRESSIONS: dict[str, Any] = {"exponential": np.geomspace, "linear": np.linspace}
_RULES = ("steepest", "minimum")
_FEWEST = 4
"""Losses without which a slope is no more than chance."""


class LearningRateFinder(keras.callbacks.Callback):
    """Trains a little at rising learning rates, says which one to use, and undoes the training.

    The rate rises at each update. The loss of each update is smoothed by a running average, corrected for its
    start; the test stops when that is worse than `divergence` times its best, or not finite. Then everything
    is as before: weights, other variables of the model (statistics of batch norm, seeds of dropout), metrics
    and the optimizer's state with its rate. A training that follows equals one without the test, bit for bit,
    but that data which shuffle themselves (a `tf.data` pipeline, a `PyDataset`) take their next order.

    `find(model, ...)` restores also after an error or Ctrl-C. The finder is a callback besides: in
    `model.fit(..., callbacks=[finder])` it stops `fit` and restores when that ends, and `fit` must have
    epochs enough for `steps`.

    Reference: Smith, Cyclical Learning Rates for Training Neural Networks (2017, arXiv 1506.01186), section
    3.3; the exponential rise, the smoothing and the rule `"minimum"` are those of the fastai library.

    Args:
        min_learning_rate: the first rate, > 0.
        max_learning_rate: the last rate, > `min_learning_rate`.
        steps: updates between them, both included, >= 4. Accumulated batches are one update.
        progression: `"exponential"`, or `"linear"` as in the paper.
        smoothing: the share of the running average that stays at each update, in [0, 1).
        divergence: > 1; a negative best loss may rise as far as a positive one of that size.
        rule: how `suggestion` is found: `"steepest"`: where the smoothed loss falls fastest over the
            logarithm of the rate, before its minimum and after the first tenth of the steps; `"minimum"`: a
            tenth of the rate at its minimum.

    Attributes:
        learning_rates: the rates of the last test, one for each update whose loss was finite.
        losses: the smoothed losses, likewise.

    Raises:
        InvalidArgumentError: at once, for an argument out of its range; when the test begins, for a model
            that is not built or compiled, an optimizer that was built with a schedule, or
            `steps_per_execution` > 1.

    Example:
        >>> finder = LearningRateFinder(1e-3, 10.0, steps=30, smoothing=0.5)
        >>> rate = finder.find(model, x, y)
        >>> 1e-3 < rate < 10.0
        True
        >>> model.optimizer.learning_rate = rate
    """

    @checked
    def __init__(
        self,
        min_learning_rate: Positive = 1e-7,
        max_learning_rate: float = 10.0,
        *,
        steps: Annotated[int, partial(_validation.whole, at_least=_FEWEST)] = 100,
        progression: Annotated[str, one_of(*_PROGRESSIONS)] = "exponential",
        smoothing: Fraction = 0.98,
        divergence: AboveOne = 4.0,
        rule: Annotated[str, one_of(*_RULES)] = "steepest",
    ) -> None:
        super().__init__()
        self.min_learning_rate = min_learning_rate
        self.max_learning_rate = _validation.number(
            type(self).__name__, "max_learning_rate", max_learning_rate, above=min_learning_rate
        )
        self.steps = steps
        self.progression = progression
        self.smoothing = smoothing
        self.divergence = divergence
        self.rule = rule
        self.learning_rates: list[float] = []
        self.losses: list[float] = []
        # What belongs to one test: a callback is copied before, and used again for other models.
        self._optimizers: list[keras.optimizers.Optimizer] = []
        self._saved: list[tuple[keras.Variable, np.ndarray]] = []
        self._rising: list[float] = []
        self._batches_per_update = 1
        self._since_update: list[float] = []
        self._average = 0.0

    def find(self, model: keras.Model, x: Any, y: Any = None, **fit_arguments: Any) -> float:
        """Make the test on `model`, restore it, and return `suggestion`.

        Args:
            model: compiled and built; its optimizer was built with a number as its rate.
            x: as for `model.fit`.
            y: as for `model.fit`.
            **fit_arguments: of `model.fit`, as `batch_size`.

        Raises:
            InvalidArgumentError: as the class says, or the loss fell nowhere.
        """
        if reserved := sorted({"epochs", "initial_epoch", "callbacks"} & fit_arguments.keys()):
            raise InvalidArgumentError(
                f"LearningRateFinder.find: {reserved[0]} is not for the caller to choose."
            )
        self.set_model(model)
        # Each epoch has one batch at least, so these are enough.
        epochs = self.steps * _accumulated(learning_rates.adjustable(self))
        try:
            model.fit(x, y, epochs=epochs, callbacks=[self], **{"verbose": 0, **fit_arguments})
        finally:
            self._restore()
        if model.distribute_strategy.num_replicas_in_sync > 1:
            # Iterators over replicas that are not read to their end hold threads, and stall what the garbage
            # collector interrupts later.
            gc.collect()
        return self.suggestion

    @property
    def suggestion(self) -> float:
        """The rate to train with, by `rule`.

        Raises:
            InvalidArgumentError: there was no test, or the loss fell nowhere in it.
        """
        if len(self.losses) < _FEWEST:
            raise InvalidArgumentError(
                f"LearningRateFinder has seen {len(self.losses)} finite losses and needs {_FEWEST}: run "
                "find(model, x, y), with a smaller min_learning_rate if the loss is not finite at once."
            )
        losses, rates = np.array(self.losses), np.array(self.learning_rates)
        lowest = int(losses.argmin())
        if lowest == 0:
            raise InvalidArgumentError(
                f"LearningRateFinder: the loss fell nowhere between the rates {rates[0]:g} and "
                f"{rates[-1]:g}: start from a smaller min_learning_rate, take more steps, or check that the "
                "model learns."
            )
        if self.rule == "minimum":
            return float(rates[lowest] / 10)
        first = min(len(losses) // 10, lowest - 1)
        falling = slice(first, lowest + 1)
        slopes = np.diff(losses[falling]) / np.diff(np.log(rates[falling]))
        return float(rates[first + slopes.argmin()])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Figure:
        """Draw the smoothed loss over the rate, with the suggestion.

        The figure is drawn without pyplot: no window, no global figure, no choice of backend.

        Args:
            path: where to save the picture; the suffix (`.png`, `.svg`, `.pdf`) says as what.

        Raises:
            InvalidArgumentError: as `suggestion`, or matplotlib does not know the suffix.
        """
        suggestion = self.suggestion
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.learning_rates, self.losses, linewidth=1.7)
        axes.axvline(suggestion, linestyle="--", linewidth=1.0, label=f"{self.rule}: {suggestion:.3g}")
        axes.set_xscale("log" if self.progression == "exponential" else "linear")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss, smoothed")
        axes.legend(frameon=False)
        if path is not None:
            known = sorted(figure.canvas.get_supported_filetypes())
            if os.path.splitext(path)[1].removeprefix(".").lower() not in known:
                raise InvalidArgumentError(
                    f"plot: expected a path that ends in one of .{', .'.join(known)}; got "
                    f"{os.fspath(path)!r}."
                )
            with files.replacing(path) as temporary:
                figure.savefig(temporary, dpi=150)
        return figure

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Remember everything that training changes."""
        if not self.model.built:
            raise InvalidArgumentError(
                "LearningRateFinder needs a model that has its weights, to give them back: call it on a "
                "batch first."
            )
        self._optimizers = learning_rates.adjustable(self)
        learning_rates.check_one_step_per_execution(self)
        variables = {
            id(variable): variable
            for variable in (
                *self.model.variables, *self.model.metrics_variables, *self.model.optimizer.variables,
            )
        }  # fmt: skip
        # Copies, for numpy() may show the memory that training writes to.
        self._saved = [(variable, np.array(variable.numpy())) for variable in variables.values()]
        self._batches_per_update = _accumulated(self._optimizers)
        self._rising = _PROGRESSIONS[self.progression](
            self.min_learning_rate, self.max_learning_rate, self.steps
        ).tolist()
        self.learning_rates, self.losses, self._since_update, self._average = [], [], [], 0.0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the rate of the update."""
        # Keras's losses are means over the epoch so far.
        self.model.reset_metrics()
        for optimizer in self._optimizers:
            optimizer.learning_rate = self._rising[len(self.losses)]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Note the loss, and stop when the test is over."""
        self._since_update.append(float((logs or {})["loss"]))
        if not np.isfinite(self._since_update[-1]):
            self.model.stop_training = True
        elif len(self._since_update) == self._batches_per_update:
            self._note(float(np.mean(self._since_update)))
            self._since_update = []

    def _note(self, loss: float) -> None:
        self._average = self.smoothing * self._average + (1 - self.smoothing) * loss
        self.learning_rates.append(self._rising[len(self.losses)])
        self.losses.append(self._average / (1 - self.smoothing ** (len(self.losses) + 1)))
        best = min(self.losses)
        diverged = self.losses[-1] - best > (self.divergence - 1) * abs(best)
        if diverged or len(self.losses) == self.steps:
            end = "the loss has diverged" if diverged else "all rates are tried"
            rate = self.learning_rates[-1]
            logger.info("Stopped after %d updates, at the learning rate %g: %s", len(self.losses), rate, end)
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Restore the model and its optimizer."""
        self._restore()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return with_arguments(self, {})

    def _restore(self) -> None:
        for variable, value in self._saved:
            variable.assign(value)
        self._saved, self._optimizers = [], []


def _accumulated(optimizers: Sequence[keras.optimizers.Optimizer]) -> int:
    """Return how many batches make an update."""
    return max(optimizer.gradient_accumulation_steps or 1 for optimizer in optimizers)
