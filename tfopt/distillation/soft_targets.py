"""How far the outputs of a student are from those of its teacher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

_SMALLEST = 1e-7


def distance(kind: str, teacher: Any, student: Any, temperature: float) -> Any:
    """Return the distillation loss of one output, the mean over a batch.

    Of classes, it is the Kullback-Leibler divergence of the softened distributions times the square of the
    temperature, so that its gradients keep their size; of numbers, the mean squared error. Both are losses
    of `keras.distillation`.

    Args:
        kind: one of `tfopt.distillation.outputs.KINDS`.
        teacher, student: what they return, of the same shape.
        temperature: what logits are divided by, above 0.

    Reference:
        Hinton et al., 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531), section 2.
    """
    teacher, student = (ops.cast(each, "float32") for each in (ops.stop_gradient(teacher), student))
    if kind == "values":
        loss = keras.distillation.FeatureDistillation(loss=keras.losses.MeanSquaredError())
        return loss.compute_loss(teacher, student)
    # Loss objects, not their names: by a name Keras 3.15 takes the divergence of the logits themselves, and
    # functions are not scaled to the replicas of a strategy.
    loss = keras.distillation.LogitsDistillation(temperature=temperature, loss=keras.losses.KLDivergence())
    logits = _LOGITS[kind]
    return loss.compute_loss(logits(teacher), logits(student))


def as_logits(kind: str, outputs: Any) -> Any:
    """Return the logits of outputs of classes, those of two classes as two; up to a number for all of them.

    Args:
        kind: one of `tfopt.distillation.outputs.KINDS`, but `"values"`.
        outputs: of a model.
    """
    return _LOGITS[kind](ops.cast(outputs, "float32"))


def _log(probabilities: Any) -> Any:
    # Logits up to a number that softmax takes out again.
    return ops.log(ops.maximum(probabilities, _SMALLEST))


def _of_two(logits: Any) -> Any:
    return ops.stack([ops.zeros_like(logits), logits], axis=-1)


_LOGITS: dict[str, Callable[[Any], Any]] = {
    "probabilities": _log,
    "logits": lambda logits: logits,
    "binary_probabilities": lambda p: _of_two(_log(p) - _log(1 - p)),
    "binary_logits": _of_two,
}
