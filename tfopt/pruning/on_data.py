"""The loss of a model on given data, and what its gradients say about kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt import _validation
from tfopt.data.labelled import labelled, require_fitting
from tfopt.data.samples import batches, finite, lengths
from tfopt.data.streaming.stored import indexable
from tfopt.data.structure import count
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.graph import is_functional, named_inputs
from tfopt.pruning.criteria import FromGradients

WHAT = "prune: data"

Loss: TypeAlias = "str | keras.losses.Loss | Callable[[Any, Any], Any]"


class OnData:
    """A model with samples that its loss and its gradients are measured on, at inference.

    Args:
        model: built.
        data: with labels; see `tfopt.data.labelled.labelled`.
        loss: of labels and outputs, as `compile` takes it; by default that of `compiled`.
        compiled: the model that was compiled, where `model` is a copy of it.
        batch_size: samples at once, 1 or more. The last batch may be smaller.
        why: what needs the data, for messages.

    Raises:
        InvalidArgumentError: there is no data, or no loss.
        DataError: fewer samples than a batch, unequal numbers of samples, or values that are not finite.
    """

    def __init__(
        self,
        model: keras.Model,
        data: Any,
        *,
        loss: Loss | None,
        compiled: keras.Model,
        batch_size: int,
        why: str,
    ) -> None:
        self._model = model
        self._x, self._y = _checked(
            data, _validation.whole("prune", "batch_size", batch_size, at_least=1), why
        )
        self._batch_size = batch_size
        self._loss = _loss(compiled, loss, why)
        if is_functional(model):
            chosen = getattr(compiled, "loss", None) if loss is None else loss
            require_fitting(WHAT, self._x, named_inputs(model), self._y, chosen, model.outputs)
        self._measure = tf.function(self._of_batch)

    def loss(self) -> float:
        """Return the mean loss with the weights as they are now."""
        parts = [(float(self._measure(x, y)), count(x)) for x, y in self._batches()]
        return sum(loss * size for loss, size in parts) / sum(size for _, size in parts)

    def scores(self, criterion: FromGradients, kernels: Sequence[keras.Variable]) -> list[np.ndarray]:
        """Return the scores of the weights of kernels by a criterion."""

        @tf.function
        def summands(x: Any, y: Any) -> list[tf.Tensor]:
            values = [kernel.value for kernel in kernels]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(values)  # those of frozen layers too
                loss = self._of_batch(x, y)
            gradients = tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return [
                criterion.summand(tf.cast(value, tf.float32), tf.cast(gradient, tf.float32))
                for value, gradient in zip(values, map(tf.convert_to_tensor, gradients), strict=True)
            ]

        totals = [np.zeros(tuple(kernel.shape), np.float32) for kernel in kernels]
        for x, y in self._batches():
            weight = np.float32(count(x) / self._batch_size)
            for total, summand in zip(totals, summands(x, y), strict=True):
                total += weight * summand.numpy()
        return [criterion.scores(total) for total in totals]

    def _of_batch(self, x: Any, y: Any) -> Any:
        return tf.reduce_mean(self._loss(x, y, self._model(x, training=False)))

    def _batches(self) -> Iterator[tuple[Any, Any]]:
        return batches((self._x, self._y), self._batch_size)


def _checked(data: Any, batch_size: int, why: str) -> tuple[Any, Any]:
    """Return inputs and labels as arrays."""
    x, y = (None, None) if data is None else labelled(data, WHAT)
    if x is None or y is None:
        came = "none" if x is None else "inputs alone"
        raise InvalidArgumentError(
            f"{why} is measured on data: give data=(x, y), a tfopt.data.Dataset or a "
            f"tf.data.Dataset; got {came}."
        )
    x, y = (keras.tree.map_structure(indexable, part) for part in (x, y))
    found = lengths(x, y)
    if len(found) != 1:
        raise DataError(f"{why} needs as many labels as inputs, got {sorted(found)}.")
    if (samples := found.pop()) < batch_size:
        raise DataError(
            f"{why} is measured on batches of {batch_size} samples, and the data has {samples}: give more "
            "samples, or a smaller batch_size."
        )
    if not finite(x, y):
        raise DataError(f"{why} is measured on data, and this holds NaN or infinite values: clean it.")
    return x, y


def _loss(compiled: keras.Model, loss: Loss | None, why: str) -> Callable[[Any, Any, Any], Any]:
    """Return the function of inputs, labels and outputs."""
    if loss is not None:
        if isinstance(loss, list | tuple | dict):
            raise InvalidArgumentError(
                f"{why}: give loss= for one output, a Keras loss or a function of labels and outputs; "
                "compile a model with several outputs, and leave loss out."
            )
        try:
            function = keras.losses.get(loss)
        except ValueError as error:
            raise InvalidArgumentError(f"{why}: Keras knows no loss {loss!r}: give another.") from error
        return lambda x, y, outputs: function(y, outputs)  # noqa: ARG005
    if not compiled.compiled:
        raise InvalidArgumentError(
            f"{why} is measured by a loss: compile the model with one, or give loss=, such as "
            "'sparse_categorical_crossentropy'."
        )
    return lambda x, y, outputs: compiled.compute_loss(x=x, y=y, y_pred=outputs, training=False)
