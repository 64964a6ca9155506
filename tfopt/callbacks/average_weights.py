"""Stochastic weight averaging: the model after training is the mean of those that it was."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import logging
from typing import Any

import keras
import numpy as np

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.regularization.batch_norm import estimate_batch_norm, normalizations, require_estimable

logger = logging.getLogger(__name__)


class AverageWeights(keras.callbacks.Callback):
    """Puts the mean of the weights at the ends of the last epochs into the model when training ends.

    Train the last quarter or so at a constant or cyclic learning rate, which lets the weights wander around a
    minimum; their mean is nearer to its middle than any of them. The statistics of BatchNormalization belong
    to no mean of weights: they are measured anew over `data`. Masks and clusters stay, since constraints are
    applied to the mean.

    Keras's own `use_ema=True` with `keras.callbacks.SwapEMAWeights` is a moving average of all steps; call
    `tfopt.regularization.estimate_batch_norm` after it.

    Args:
        start_epoch: the first epoch whose weights count, counted from 1 as `fit` shows them.
        data: inputs such as `x_train[:2048]`, for models with BatchNormalization; without such layers it may
            be left out.
        every: how many epochs lie between two that count, 1 or more: the length of a cycle.

    Raises:
        InvalidArgumentError: an argument is out of range, or training begins on a model with
            BatchNormalization and there is no data, or data that does not fit, or the model is
            quantization-aware.

    Example:
        >>> callback = AverageWeights(start_epoch=2)
        >>> history = model.fit(x, y, epochs=4, verbose=0, callbacks=[callback])
        >>> callback.count
        3

    Reference:
        Izmailov et al., 2018, Averaging Weights Leads to Wider Optima and Better Generalization (arXiv
        1803.05407).
    """

    def __init__(self, start_epoch: int, data: Any = None, *, every: int = 1) -> None:
        super().__init__()
        self.start_epoch = _validation.whole("AverageWeights", "start_epoch", start_epoch, at_least=1)
        self.every = _validation.whole("AverageWeights", "every", every, at_least=1)
        self.data = data
        self.count = 0
        """How many epochs the mean is of."""
        self._sums: list[np.ndarray] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Begin a new mean."""
        if self._normalized() and self.data is not None:
            require_estimable(self.model, self.data)
        elif self._normalized():
            raise InvalidArgumentError(
                f"AverageWeights: {self.model.name!r} has BatchNormalization, whose statistics "
                "belong to no mean of weights. Give data, as AverageWeights(start_epoch, x_train[:2048])."
            )
        self.count, self._sums = 0, []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add the weights, where this epoch counts."""
        late = epoch + 1 - self.start_epoch
        if late < 0 or late % self.every:
            return
        weights = [weight.numpy().astype(np.float64) for weight in self.model.trainable_variables]
        self._sums = [a + b for a, b in zip(self._sums, weights, strict=True)] if self._sums else weights
        self.count += 1

    def on_train_end(self, logs: dict | None = None) -> None:
        """Put the mean into the model, and measure its statistics."""
        if not self.count:
            logger.warning("No epoch counted: training ended before epoch %d", self.start_epoch)
            return
        for weight, total in zip(self.model.trainable_variables, self._sums, strict=True):
            mean = keras.ops.convert_to_tensor(total / self.count, weight.dtype)
            weight.assign(mean if weight.constraint is None else weight.constraint(mean))
        if self._normalized():
            estimate_batch_norm(self.model, self.data)
        logger.info("%s is the mean of %d epochs", self.model.name, self.count)

    def _normalized(self) -> bool:
        """Return whether the model has statistics to measure."""
        return any(layer.trainable for layer in normalizations(self.model))
