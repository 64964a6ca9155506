"""What is minimized: the loss of a model on a batch, as the batch's part of the loss on all data.

An objective is a sum of terms. A term that is a mean over samples, tokens or weights has a size on each
batch, what Keras divides by; batch by batch, its values are weighted by their sizes, so that the sum over all
batches is the mean over all data. Without `totals`, the batch is all data.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Protocol

import keras
import tensorflow as tf

from tfopt.errors import InvalidArgumentError
from tfopt.trainers._compiled import compiled_loss, overrides_compute_loss
from tfopt.trainers.batches import PARTS, Batches, count
from tfopt.trainers.keras_losses import KerasLosses


class Objective(Protocol):
    """A loss that is a sum over batches."""

    def sizes(self, batch: tuple[Any, ...]) -> Any:
        """Return the size of each term on a batch; its totals over all batches are what `value` takes."""

    def value(self, batch: tuple[Any, ...], totals: Any | None) -> Any:
        """Return the batch's part of the loss, a scalar tensor."""


def takes_model(loss: Any, parts: int | None = None) -> bool:
    """Return whether `loss` is a function of the model, and not of targets and predictions.

    That is one with a single argument, one whose first argument is called `model`, or one of two arguments
    where the data has no targets.
    """
    if not callable(loss) or isinstance(loss, keras.losses.Loss | type):
        return False
    names = _positional(loss)
    return len(names) == 1 or names[:1] == ["model"] or (parts in (0, 1) and len(names) == 2)


def objective(model: keras.Model, loss: Any, data: Batches, dtype: str, *, training: bool) -> Objective:
    """Return the objective of `minimize`; raises as that does."""
    parts = len(data.signature)
    if takes_model(loss, parts):
        return OfModel(model, loss, parts)
    if parts == 0:
        raise InvalidArgumentError("Expected data: only a loss(model) does without.")
    weights = None
    if loss is None:
        if overrides_compute_loss(model):
            return OfComputeLoss(model, training)
        loss, weights = compiled_loss(model)
        if loss is None:
            raise InvalidArgumentError("No loss: compile the model with one, or pass it to minimize.")
    if parts == 1:
        raise InvalidArgumentError(
            f"The loss {loss!r} compares predictions with targets: expected data=(x, y)."
        )
    predict = _predictor(model, training)
    x, y, *sample_weight = data.sample()
    terms = KerasLosses(loss, weights, getattr(model, "output_names", None), dtype)
    terms.build(y, predict(x), *sample_weight)
    return OfPredictions(model, predict, terms)


class OfPredictions:
    """Keras losses of predictions and targets, and the model's regularization."""

    def __init__(self, model: keras.Model, predict: Callable, terms: KerasLosses) -> None:
        self._model, self._predict, self._terms = model, predict, terms

    def sizes(self, batch: tuple[Any, ...]) -> Any:
        """Return the number of samples, then what each loss divides by."""
        x, y, *sample_weight = batch
        return tf.stack([_samples(batch), *self._terms.sizes(y, self._predict(x), *sample_weight)])

    def value(self, batch: tuple[Any, ...], totals: Any | None) -> Any:
        """Return the weighted sum of the losses, and the samples' share of the regularization."""
        x, y, *sample_weight = batch
        y_pred = self._predict(x)
        losses = self._terms.values(y, y_pred, *sample_weight)
        extra = _regularization(self._model)
        if totals is None:
            return sum(losses) + extra
        sizes = self._terms.sizes(y, y_pred, *sample_weight)
        shares = self._terms.shares(sizes, tf.unstack(totals)[1:])
        return sum(share * loss for share, loss in zip(shares, losses, strict=True)) + extra * (
            _samples(batch) / totals[0]
        )


class _MeanOverSamples:
    """An objective of one term, which is a mean over samples."""

    def sizes(self, batch: tuple[Any, ...]) -> Any:
        """Return the number of samples."""
        return tf.stack([_samples(batch)])

    def value(self, batch: tuple[Any, ...], totals: Any | None) -> Any:
        """Return the samples' share of the loss."""
        loss = self._loss(batch)
        return loss if totals is None else loss * (_samples(batch) / totals[0])

    def _loss(self, batch: tuple[Any, ...]) -> Any:
        raise NotImplementedError


class OfComputeLoss(_MeanOverSamples):
    """The `compute_loss` of a model that has its own; regularization is left to it."""

    def __init__(self, model: keras.Model, training: bool) -> None:
        self._model, self._predict = model, _predictor(model, training)
        self._says_training = "training" in inspect.signature(model.compute_loss).parameters
        self._training = training

    def _loss(self, batch: tuple[Any, ...]) -> Any:
        arguments: dict[str, Any] = dict.fromkeys(PARTS) | dict(zip(PARTS, batch, strict=False))
        if self._says_training:
            arguments["training"] = self._training
        y_pred = self._predict(batch[0])
        return _scalar(self._model.compute_loss(y_pred=y_pred, **arguments), "compute_loss")


class OfModel(_MeanOverSamples):
    """A function of the model and the parts of a batch, and the model's regularization."""

    def __init__(self, model: keras.Model, loss: Callable, parts: int) -> None:
        self._model, self._function = model, loss
        wanted = len(_positional(loss)) - 1
        if parts != wanted:
            raise InvalidArgumentError(
                f"The loss takes {', '.join(['the model', *PARTS[:wanted]])}, so data must be "
                f"{_shape(wanted)}; got {_shape(parts)}."
            )

    def _loss(self, batch: tuple[Any, ...]) -> Any:
        loss = _scalar(self._function(self._model, *batch), "the loss function")
        return loss + _regularization(self._model)


def _positional(function: Callable) -> list[str]:
    """Return the names of the arguments that a call must give by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]


def _predictor(model: keras.Model, training: bool) -> Callable:
    """Return the model's forward pass; a `call` without `training` goes without."""
    if "training" in inspect.signature(model.call).parameters:
        return lambda x: model(x, training=training)
    return model


def _shape(parts: int) -> str:
    return f"({', '.join(PARTS[:parts])})" if parts else "None"


def _samples(batch: tuple[Any, ...]) -> Any:
    return tf.cast(count(batch), "float64")


def _regularization(model: keras.Model) -> Any:
    """Return the sum of what layers add to the loss: regularizers, and `add_loss` of the last call."""
    return sum((tf.cast(tf.reduce_sum(loss), "float64") for loss in model.losses), tf.zeros((), "float64"))


def _scalar(loss: Any, source: str) -> Any:
    if not (tf.is_tensor(loss) and loss.dtype.is_floating and loss.shape.rank == 0):
        got = f"shape {tuple(loss.shape)}" if hasattr(loss, "shape") else type(loss).__name__
        raise InvalidArgumentError(f"Expected {source} to return a scalar tensor, got {got}.")
    return tf.cast(loss, "float64")
