"""Whatever `keras.Model.compile` takes as a loss, taken apart into single losses that Keras computes.

Keras's own code resolves names, matches losses with outputs and applies masks: each single loss is what an
empty model, compiled with this one, computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras import ops, tree

from tfopt.errors import InvalidArgumentError

KINDS = (
    "None for the compiled loss, what keras.Model.compile takes as a loss, or a function loss(model), "
    "loss(model, x) or loss(model, x, y)"
)
"""What a loss can be, for messages."""

_MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")
_BY_SHAPE = ("crossentropy", "ce")
"""Names that Keras resolves by the shapes of targets and predictions."""


class KerasLosses:
    """The losses of all outputs.

    Keras's own losses are computed in float64 also where predictions are float32: the noise of a float32 mean
    ends a line search early.

    Args:
        loss: as in `compile`.
        loss_weights: as in `compile`.
        output_names: of the model, or None.
        dtype: what functions of (y_true, y_pred) are given.

    Raises:
        InvalidArgumentError: a loss is unknown, or is not reduced to a number.
    """

    def __init__(self, loss: Any, loss_weights: Any, output_names: list[str] | None, dtype: str) -> None:
        self._names, self._weights, self._shown = output_names, loss_weights, loss
        with _float64():
            self._loss = tree.map_structure(lambda single: _resolved(single, dtype), loss)

    def build(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Match the losses with the outputs, by one sample; variables cannot be made in a graph later.

        Raises:
            InvalidArgumentError: losses, loss weights, outputs and targets do not fit each other.
        """
        loss = self._loss
        if not tree.is_nested(loss):
            loss = tree.map_structure(lambda _: loss, y_pred)
        flat = tree.flatten(loss)
        weights = [1.0] * len(flat) if self._weights is None else tree.flatten(self._weights)
        if len(weights) != len(flat):
            raise InvalidArgumentError(
                f"Expected {len(flat)} loss weights, as many as losses; got {len(weights)}."
            )
        self._singles: list[tuple[float, bool, _Carrier, _Carrier]] = []
        with _float64():
            for index, single in enumerate(flat):
                if single is None:
                    continue
                value, size = (
                    _Carrier(tree.pack_sequence_as(loss, _alone(each, index, len(flat))), self._names)
                    for each in (single, _Size(single))
                )
                self._singles.append((weights[index], _reduction(single) in _MEANS, value, size))
            whole = _Carrier(self._loss, self._names)
            try:
                # Alone, a loss would also take the targets of an output whose own are missing.
                whole(y_true, y_pred, sample_weight)
                self.values(y_true, y_pred, sample_weight)
                self.sizes(y_true, y_pred, sample_weight)
            except (ValueError, KeyError, TypeError, tf.errors.InvalidArgumentError) as error:
                raise InvalidArgumentError(
                    f"The loss {self._shown!r} does not fit the model's outputs and the targets: {error}"
                ) from error

    def values(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:
        """Return the losses, each as Keras reduces it, times its weight."""
        return [weight * value(y_true, y_pred, sample_weight) for weight, _, value, _ in self._singles]

    def sizes(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Any]:
        """Return what Keras divides each loss by, up to a constant factor."""
        return [size(y_true, y_pred, sample_weight) for _, _, _, size in self._singles]

    def shares(self, sizes: list[Any], totals: list[Any]) -> list[Any]:
        """Return by what each loss of a batch is to be multiplied: 1 where it is a sum."""
        return [
            tf.math.divide_no_nan(size, total) if is_mean else tf.ones((), "float64")
            for (_, is_mean, _, _), size, total in zip(self._singles, sizes, totals, strict=True)
        ]


class _Carrier:
    """An empty model that is compiled with a loss."""

    def __init__(self, loss: Any, output_names: list[str] | None) -> None:
        self._model = keras.Model()
        if output_names is not None:
            self._model.output_names = output_names
        self._model.compile(optimizer="sgd", loss=loss, jit_compile=False)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any) -> Any:
        loss = self._model.compute_loss(y=y_true, y_pred=y_pred, sample_weight=sample_weight, training=False)
        return tf.cast(loss, "float64")


class _Function(keras.losses.Loss):
    """A function of (y_true, y_pred), reduced as Keras reduces it."""

    def __init__(self, function: Callable[[Any, Any], Any], dtype: str, reduction: str) -> None:
        super().__init__(name="function", dtype=dtype, reduction=reduction)
        self._function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the values of the function."""
        return self._function(*_same_rank(y_true, y_pred))


class _Size(keras.losses.Loss):
    """What another loss divides by: the unmasked values, or the sum of the sample weights."""

    def __init__(self, loss: Any) -> None:
        super().__init__(name="size", reduction="sum")
        self._loss = loss
        self._weighted = _reduction(loss) == "mean_with_sample_weight"

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return a one for each value of the other loss; where that reduces by itself, for each sample."""
        if isinstance(self._loss, str):
            return ops.ones_like(y_pred[..., 0])
        y_true, y_pred = (ops.cast(each, self._loss.dtype) for each in (y_true, y_pred))
        values = self._loss.call(y_true, y_pred)
        return ops.ones_like(values) if len(values.shape) else ops.ones(ops.shape(y_true)[:1], values.dtype)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        return super().__call__(y_true, y_pred, sample_weight if self._weighted else None)


def _resolved(loss: Any, dtype: str) -> Any:
    """Return a loss as a `keras.losses.Loss`; None and the names that Keras resolves later as they are."""
    if loss is None or (isinstance(loss, str) and loss.lower() in _BY_SHAPE):
        return loss
    try:
        found = keras.losses.get(loss)
    except ValueError as error:
        raise InvalidArgumentError(f"Unknown loss {loss!r}: expected {KINDS}.") from error
    public = [value for value in vars(keras.losses).values() if callable(value)]
    if not isinstance(found, keras.losses.Loss):
        return _Function(found, "float64" if found in public else dtype, "sum_over_batch_size")
    if found.reduction in (None, "none"):
        raise InvalidArgumentError(
            f"Expected a loss that is reduced to one number, got {found.name} with reduction=None: use "
            'reduction="sum_over_batch_size" or "sum".'
        )
    # Not made again from its config in float64: the config of Huber lacks delta.
    return _Function(found.call, "float64", found.reduction) if type(found) in public else found


def _alone(loss: Any, index: int, length: int) -> list[Any]:
    return [loss if position == index else None for position in range(length)]


def _reduction(loss: Any) -> str:
    return getattr(loss, "reduction", "sum_over_batch_size")


def _same_rank(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Return both with or both without a last axis of size 1 that only one has, as Keras does."""
    difference = len(y_true.shape) - len(y_pred.shape)
    longer, shorter = (y_true, y_pred) if difference > 0 else (y_pred, y_true)
    if abs(difference) == 1 and longer.shape[-1] == 1:
        if len(shorter.shape) == 1:
            shorter = ops.expand_dims(shorter, -1)
        else:
            longer = ops.squeeze(longer, -1)
    return (longer, shorter) if difference > 0 else (shorter, longer)


@contextmanager
def _float64() -> Iterator[None]:
    """Let Keras make losses of float64; it takes the dtype of what `compile` makes from a global setting."""
    before = keras.config.floatx()
    keras.config.set_floatx("float64")
    try:
        yield
    finally:
        keras.config.set_floatx(before)
