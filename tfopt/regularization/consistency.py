"""Consistency regularization: two looks at one sample, through different noise, shall be answered alike."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal, Self

import keras
from keras import ops

from tfopt import _validation, graph
from tfopt.distillation.outputs import OutputKinds, output_kinds
from tfopt.distillation.soft_targets import as_logits
from tfopt.distillation.training_loss import require_keras_step, training_loss
from tfopt.errors import InvalidArgumentError, UnsupportedModel

logger = logging.getLogger(__name__)

METHODS = ("pi_model", "r_drop", "mean_teacher")


class ConsistencyRegularization:
    """Lets a compiled model learn to answer alike, as long as the context lasts.

    Each training step calls the model a second time, with other noise: dropout, augmentation layers,
    stochastic depth. The loss becomes the compiled one plus `weight` times the distance of the two answers.
    Metrics, callbacks, optimizer and `evaluate` stay what they are. A step takes up to twice as long.

    Samples without a label take part where their `sample_weight` is 0: the compiled loss leaves them out, the
    distance does not. That is how a few labels and many images train together.

    Args:
        model: compiled, with a loss. Without noise in training, the distance is 0.
        method: `"pi_model"`: the mean squared error of the two probabilities. `"r_drop"`: the mean of the two
            Kullback-Leibler divergences. `"mean_teacher"`: the mean squared error against an exponential
            moving average of the model without noise, which is `teacher`, often the better model.
        weight: of the distance, above 0. Papers use 1 to 100 for the squared errors and 0.5 to 5 for R-Drop.
        decay: of the moving average, in [0, 1); smaller in the first steps.
        outputs: what the outputs are, as `tfopt.distillation.distilling` takes it.

    Raises:
        InvalidArgumentError: an argument is out of range, or the model is not compiled.
        UnsupportedModel: the model has a training step of its own, or `"mean_teacher"` on several devices.

    Example:
        ```python
        with tfopt.regularization.ConsistencyRegularization(model, "r_drop"):
            model.fit(x_train, y_train, epochs=10)
        ```

    Reference:
        Laine and Aila, 2017, Temporal Ensembling for Semi-Supervised Learning (arXiv 1610.02242): Pi-model.
        Wu et al., 2021, R-Drop (arXiv 2106.14448), equation 1. Tarvainen and Valpola, 2017, Mean teachers are
        better role models (arXiv 1703.01780).
    """

    def __init__(
        self,
        model: keras.Model,
        method: Literal["pi_model", "r_drop", "mean_teacher"] = "r_drop",
        *,
        weight: float = 1.0,
        decay: float = 0.99,
        outputs: OutputKinds = None,
    ) -> None:
        owner = "ConsistencyRegularization"
        self.method = _validation.choice(owner, "method", method, METHODS)
        self.weight = _validation.number(owner, "weight", weight, above=0)
        self.decay = _validation.number(owner, "decay", decay, at_least=0, below=1)
        _check_model(owner, model)
        if method == "mean_teacher" and model.distribute_strategy.num_replicas_in_sync > 1:
            raise UnsupportedModel(
                f"{model.name!r} trains on several devices, where no moving average is kept in step: "
                "take method='r_drop' or 'pi_model', or one device."
            )
        self.model = model
        self._kinds = output_kinds(model, model.loss, outputs)
        self.teacher: keras.Model | None = None
        """The moving average of `"mean_teacher"`: a model of its own; None of other methods."""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Begin: the next `fit` minimizes the new loss."""
        if self.method == "mean_teacher":
            self.teacher = graph.copy(self.model)
            self.teacher.trainable = False
            self._steps = keras.Variable(0.0, trainable=False, name="steps")
        logger.info("%s trains with %s, weight %g", self.model.name, self.method, self.weight)
        self._stack.enter_context(training_loss(self.model, self._combined))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End: the model trains as it was compiled."""
        self._stack.close()

    def _combined(self, x: Any, y_pred: Any, loss: Any) -> Any:
        if self.teacher is None:
            second = self.model(x, training=True)
        else:
            self._follow(self.teacher)
            # Without noise of its own, which a copy would draw alike: one mask in both is no second look.
            second = ops.stop_gradient(self.teacher(x, training=False))
        distance = _DISTANCES[self.method]
        pairs = zip(self._kinds, *map(keras.tree.flatten, (y_pred, second)), strict=True)
        distances = [distance(kind, a, b) for kind, a, b in pairs if kind is not None]
        return loss + self.weight * ops.cast(sum(distances), loss.dtype)

    def _follow(self, teacher: keras.Model) -> None:
        """Move the weights of the teacher towards those of the model."""
        self._steps.assign_add(1.0)
        keep = ops.minimum(self.decay, 1.0 - 1.0 / self._steps)
        for average, weight in zip(teacher.weights, self.model.weights, strict=True):
            if keras.backend.is_float_dtype(weight.dtype):
                value = ops.cast(weight, average.dtype)
                average.assign(value + ops.cast(keep, average.dtype) * (average - value))


def _check_model(owner: str, model: Any) -> None:
    if not isinstance(model, keras.Model) or not getattr(model, "compiled", False):
        raise InvalidArgumentError(f"{owner}: compile the model first, with a loss, got {model!r}.")
    require_keras_step(model, "in which a second look would have no part")


def _probabilities(kind: str, outputs: Any) -> Any:
    if kind == "values":
        return ops.cast(outputs, "float32")
    return ops.softmax(as_logits(kind, outputs), axis=-1)


class _SymmetricDivergence(keras.losses.Loss):
    """(KL(p, q) + KL(q, p)) / 2 of the distributions of two logits."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the divergence of each sample."""
        logs = [ops.log_softmax(each, axis=-1) for each in (y_true, y_pred)]
        return ops.sum((ops.exp(logs[0]) - ops.exp(logs[1])) * (logs[0] - logs[1]), axis=-1) / 2


# Loss objects, which Keras scales to the replicas of a strategy.
def _squared(kind: str, first: Any, second: Any) -> Any:
    return keras.losses.MeanSquaredError()(*(_probabilities(kind, each) for each in (first, second)))


def _symmetric_divergence(kind: str, first: Any, second: Any) -> Any:
    """Return the distance of R-Drop; of numbers the mean squared error."""
    if kind == "values":
        return _squared(kind, first, second)
    return _SymmetricDivergence(name="symmetric_divergence")(
        *(as_logits(kind, each) for each in (first, second))
    )


_DISTANCES: dict[str, Callable[[str, Any, Any], Any]] = {
    "pi_model": _squared,
    "r_drop": _symmetric_divergence,
    "mean_teacher": _squared,
}
