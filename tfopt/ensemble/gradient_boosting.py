"""Gradient boosting: Keras models that each correct the sum of those before, as one Keras model."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tfopt._hyperparameters import Count, CountFromZero, Flag, Share, checked
from tfopt.data.samples import finite
from tfopt.ensemble.score_loss import ScoreLoss
from tfopt.ensemble.worker import Worker
from tfopt.errors import DataError, InvalidArgumentError

logger = logging.getLogger(__name__)

Learner = Callable[[], keras.Model]


@dataclasses.dataclass(frozen=True, kw_only=True)
class BoostedModel:
    """What boosting made.

    Attributes:
        model: from inputs to predictions (probabilities, for a cross-entropy), compiled for nothing.
        rounds: how many learners are in it.
        loss: on the training data after 0, 1, 2, ... learners, of all rounds that ran.
        validation_loss: likewise on the validation data; empty without.
    """

    model: keras.Model
    rounds: int
    loss: list[float]
    validation_loss: list[float]


class GradientBoosting:
    """Adds up small Keras models, each trained on what the sum of those before still gets wrong.

    The scores F begin as the best constant. In each round a new learner is trained, by mean squared error, on
    the negative gradient of the loss by F; F then grows by `learning_rate` times the step along the learner
    that lowers the loss most. The result is one functional model of the learners, a weighted sum and, for a
    cross-entropy, a sigmoid or softmax: it is saved, quantized and exported as any other.

    Reference: Friedman, Greedy Function Approximation: A Gradient Boosting Machine (2001, Annals of
    Statistics 29), algorithm 1; subsampling: Friedman, Stochastic Gradient Boosting (2002).

    Args:
        learner: makes a new model at each call, functional or `Sequential`, with one input and one output
            without an activation: (samples, columns), a column for each class or number that is predicted.
        loss: what `compile` takes, for one output. Of a cross-entropy by name or class the scores are the
            logits, whatever its `from_logits`.
        rounds: the most learners, >= 1.
        learning_rate: the share of each step that is taken (shrinkage), in (0, 1].
        subsample: the share of samples that each learner is trained on, in (0, 1].
        epochs, batch_size: of the training of each learner, >= 1.
        optimizer: makes the optimizer of the learners; `keras.optimizers.Adam(0.01)` by default.
        patience: stop when the validation loss has not fallen for so many rounds, >= 1; the learners up to
            the lowest are kept. None runs all rounds, and keeps all.
        line_search: whether the step is searched; without, it is 1.
        seed: of the learners' weights, the order of samples and the subsamples, >= 0. `fit` sets the random
            state of the process by it, as `keras.utils.set_random_seed` does.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> boosting = GradientBoosting(make_learner, "sparse_categorical_crossentropy", rounds=30)
        >>> boosted = boosting.fit(x, y, validation_data=(x_val, y_val))
        >>> tfopt.to_tflite(boosted.model, "int8", representative_dataset=x).save("boosted.tflite")
    """

    @checked
    def __init__(
        self,
        learner: Learner,
        loss: Any,
        *,
        rounds: Count = 50,
        learning_rate: Share = 0.1,
        subsample: Share = 1.0,
        epochs: Count = 10,
        batch_size: Count = 32,
        optimizer: Callable[[], keras.optimizers.Optimizer] | None = None,
        patience: Count | None = None,
        line_search: Flag = True,
        seed: CountFromZero = 0,
    ) -> None:
        if not callable(learner) or isinstance(learner, keras.Model):
            raise InvalidArgumentError(
                "Expected learner to be a function that returns a new keras.Model at each call, got "
                f"{type(learner).__name__}."
            )
        self.learner, self.loss, self.rounds = learner, ScoreLoss(loss), rounds
        self.learning_rate, self.subsample = learning_rate, subsample
        self.epochs, self.batch_size = epochs, batch_size
        self.optimizer = optimizer or (lambda: keras.optimizers.Adam(0.01))
        self.patience, self.line_search, self.seed = patience, line_search, seed

    def fit(
        self,
        x: Any,
        y: Any,
        *,
        validation_data: tuple[Any, Any] | None = None,
        sample_weight: Any = None,
        verbose: int = 1,
    ) -> BoostedModel:
        """Train learners until the rounds are spent or the validation loss stops falling.

        Args:
            x: one array of inputs, samples first.
            y: one array of targets, as the loss takes them.
            validation_data: (x, y) that no learner is trained on.
            sample_weight: one number >= 0 a sample.
            verbose: 0 for silence, 1 for a progress bar.

        Returns:
            The sum of the learners as one model, and the losses.

        Raises:
            DataError: arrays are empty, not finite, or of different lengths.
            InvalidArgumentError: a learner does not fit the data, or `patience` lacks validation data.
        """
        if self.patience is not None and validation_data is None:
            raise InvalidArgumentError("patience needs validation_data=(x, y).")
        train = _Scored.of(x, y, sample_weight, "x, y")
        held_out = _Scored.of(*validation_data, None, "validation_data") if validation_data else None
        keras.utils.set_random_seed(self.seed)
        worker = Worker(self.learner, self.optimizer(), train.x, self.epochs, self.batch_size)
        for data in filter(None, (train, held_out)):
            data.check_columns(worker.columns, self.loss)
        constant = self.loss.best_constant(train.y, worker.columns, train.weights)
        for data in filter(None, (train, held_out)):
            data.begin(constant, self.loss)
        learners: list[tuple[keras.Model, float]] = []
        bar = keras.utils.Progbar(self.rounds, stateful_metrics=["loss", "val_loss"]) if verbose else None
        for number in range(1, self.rounds + 1):
            learners.append(self._round(worker, train, held_out, number))
            if bar is not None:
                told = [("loss", train.losses[-1])] + (
                    [("val_loss", held_out.losses[-1])] if held_out else []
                )
                bar.update(number, told, finalize=False)
            if held_out and self.patience and number - int(np.argmin(held_out.losses)) >= self.patience:
                break
        if bar is not None:
            bar.update(len(learners), finalize=True)
        kept = int(np.argmin(held_out.losses)) if held_out and self.patience else len(learners)
        return BoostedModel(
            model=_sum_of(learners[:kept], constant, self.loss.activation, worker.prototype),
            rounds=kept,
            loss=train.losses,
            validation_loss=held_out.losses if held_out else [],
        )

    def _round(
        self, worker: Worker, train: _Scored, held_out: _Scored | None, number: int
    ) -> tuple[keras.Model, float]:
        """Train one learner and add it to the scores; return it and its factor."""
        target = self.loss.negative_gradient(train.y, train.scores)
        chosen = np.arange(len(train.x))
        if self.subsample < 1:
            generator = np.random.default_rng((self.seed, number))
            chosen = generator.permutation(chosen)[: max(1, round(self.subsample * len(chosen)))]
        weights = None if train.weights is None else train.weights[chosen]
        learner = worker.trained(train.x[chosen], target[chosen], weights)
        direction = worker.predict(train.x)
        step = 1.0
        if self.line_search:
            step = self.loss.best_step(train.y, train.scores, direction, train.weights)
        factor = self.learning_rate * step
        train.add(factor * direction, self.loss)
        if held_out is not None:
            held_out.add(factor * worker.predict(held_out.x), self.loss)
        logger.debug("Round %d: step %g, loss %g", number, step, train.losses[-1])
        return learner, factor


class _Scored:
    """Samples with the scores that the learners so far give them.

    Attributes:
        losses: after each learner, the constant first.
    """

    scores: np.ndarray

    def __init__(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.losses: list[float] = []

    @classmethod
    def of(cls, x: Any, y: Any, weights: Any, name: str) -> _Scored:
        given = [np.asarray(array) for array in (x, y, *(() if weights is None else (weights,)))]
        if any(array.dtype.kind not in "fiub" or array.ndim == 0 for array in given):
            raise DataError(f"Expected {name} to be arrays of numbers, samples first.")
        if len({len(array) for array in given}) > 1 or not len(given[0]):
            lengths = ", ".join(str(len(array)) for array in given)
            raise DataError(f"Expected {name} to have equally many samples, at least one; got {lengths}.")
        if not finite(*given):
            raise DataError(f"{name} holds NaN or infinity.")
        given = [array.astype("float32") if array.dtype.kind == "f" else array for array in given]
        if weights is not None and (given[2].min() < 0 or not given[2].sum() > 0):
            raise DataError("Expected sample_weight to be >= 0, and not all 0.")
        return cls(given[0], given[1], given[2].astype("float32") if weights is not None else None)

    def check_columns(self, columns: int, loss: ScoreLoss) -> None:
        """Bring the targets into the shape that the loss takes; raise where learners have other columns."""
        if loss.is_sparse:
            self.y = self.y.reshape(len(self.y), -1)[:, 0] if self.y.size == len(self.y) else self.y
            wanted = int(self.y.max()) + 1
            fits = self.y.ndim == 1 and wanted <= columns
        else:
            self.y = self.y[:, None] if self.y.ndim == 1 else self.y
            wanted = self.y.shape[-1]
            fits = self.y.ndim == 2 and wanted == columns
        if not fits:
            raise InvalidArgumentError(
                f"A learner has {columns} outputs, which do not fit targets of shape {self.y.shape}: end it "
                f"with Dense({wanted})."
            )

    def begin(self, constant: np.ndarray, loss: ScoreLoss) -> None:
        self.scores = np.zeros((len(self.x), len(constant)), "float32")
        self.add(constant.astype("float32"), loss)

    def add(self, change: np.ndarray, loss: ScoreLoss) -> None:
        self.scores = self.scores + change
        self.losses.append(loss.value(self.y, self.scores, self.weights))


def _sum_of(
    learners: list[tuple[keras.Model, float]], constant: np.ndarray, activation: str, prototype: keras.Model
) -> keras.Model:
    """Return one model: the learners, a weighted sum, and what makes predictions of scores."""
    layers = keras.layers
    inputs = keras.Input(prototype.inputs[0].shape[1:], dtype=prototype.inputs[0].dtype)
    offset = constant.astype("float32").tolist()
    terms = [
        layers.Rescaling(factor, offset if number == 0 else 0.0, name=f"step_{number + 1}")(
            keras.Model(learner.inputs[0], learner.outputs[0], name=f"learner_{number + 1}")(inputs)
        )
        for number, (learner, factor) in enumerate(learners)
        if factor or number == 0
    ]
    if not terms:  # no learner lowered the loss
        terms = [layers.Rescaling(0.0, offset, name="constant")(prototype(inputs))]
    scores = layers.Add(name="scores")(terms) if len(terms) > 1 else terms[0]
    outputs = scores if activation == "linear" else layers.Activation(activation, name="predictions")(scores)
    return keras.Model(inputs, outputs, name="boosted")
