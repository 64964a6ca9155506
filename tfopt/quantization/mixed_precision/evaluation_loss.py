"""The loss of a model on fixed data, again and again with other weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt.data.samples import batches, finite, lengths
from tfopt.data.structure import count
from tfopt.errors import DataError

Loss: TypeAlias = "str | keras.losses.Loss | Callable[[Any, Any], Any]"


class LossOnData:
    """Measures one model on one set of samples.

    Args:
        model: built; measured at inference.
        x: inputs as the model takes them, samples first.
        y: labels, or None to compare with the model's own outputs at the start.
        loss: of labels and outputs; None with labels of None, for the noise-to-signal ratio of the outputs.
        batch_size: samples at once.

    Raises:
        DataError: no samples, unequal numbers of samples, or inputs that are not finite.
    """

    def __init__(
        self,
        model: keras.Model,
        x: Any,
        y: Any,
        loss: Callable[[Any, Any], Any] | None,
        batch_size: int,
    ) -> None:
        self._model = model
        self._batches = _batches(x, y, batch_size)
        self._loss = loss
        self._outputs = tf.function(lambda batch: model(batch, training=False))
        self._first = [self._outputs(batch) for batch, _ in self._batches] if loss is None else []
        self.baseline: float = self()

    def __call__(self) -> float:
        """Return the loss with the weights as they are now."""
        if self._loss is None:
            noise = signal = 0.0
            for (batch, _), first in zip(self._batches, self._first, strict=True):
                outputs = keras.tree.flatten(self._outputs(batch))
                for now, was in zip(outputs, keras.tree.flatten(first), strict=True):
                    noise += float(tf.reduce_sum(tf.square(now - was)))
                    signal += float(tf.reduce_sum(tf.square(was)))
            return noise / signal if signal else noise
        total = samples = 0.0
        for batch, labels in self._batches:
            size = count(batch)
            total += float(tf.reduce_mean(self._loss(labels, self._outputs(batch)))) * size
            samples += size
        return total / samples

    def with_value(self, variable: keras.Variable, value: np.ndarray) -> float:
        """Return the loss with another value of one variable, which is put back."""
        kept = variable.numpy()
        variable.assign(value)
        try:
            return self()
        finally:
            variable.assign(kept)


def _batches(x: Any, y: Any, batch_size: int) -> list[tuple[Any, Any]]:
    arrays = keras.tree.flatten(x)
    if not all(np.ndim(array) for array in arrays):
        raise DataError(f"Expected samples, (x, y) or a tfopt.data.Dataset, got {x!r}.")
    found = lengths(x, y)
    if len(found) != 1 or 0 in found:
        raise DataError(f"Expected as many labels as inputs, at least one sample, got {sorted(found)}.")
    if not finite(x):
        raise DataError("The data holds NaN or infinite values: clean it, or no loss can be compared.")
    return list(batches((x, y), batch_size))
