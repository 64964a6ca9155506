"""`tfopt.distillation.distilling`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import keras
from keras import ops

from tfopt import _validation, graph
from tfopt.distillation.outputs import OutputKinds, output_kinds
from tfopt.distillation.soft_targets import distance
from tfopt.distillation.training_loss import require_keras_step, training_loss
from tfopt.errors import InvalidArgumentError

logger = logging.getLogger(__name__)

TEMPERATURE = 3.0
STUDENT_WEIGHT = 0.5


@contextlib.contextmanager
def distilling(
    model: keras.Model,
    teacher: keras.Model,
    *,
    temperature: float = TEMPERATURE,
    student_weight: float = STUDENT_WEIGHT,
    outputs: OutputKinds = None,
) -> Iterator[None]:
    """Let a compiled model learn from a teacher too, as long as the context lasts.

    The loss of a training step becomes

        student_weight * compiled loss + (1 - student_weight) * distance to the teacher's outputs

    and whatever layers add to it. Everything else stays what it is: `fit`, optimizer, metrics, callbacks and
    `evaluate`, whose loss is the compiled one. Sample weights weigh the compiled loss alone, since the
    teacher needs no targets. The model keeps no trace of the teacher.

    `keras.distillation.Distiller` is not used, but its losses are. It is a model around two models: metrics,
    checkpoints and callbacks would see the teacher's weights and other names, and it leaves out sample
    weights, loss weights and regularizers.

    Args:
        model: compiled, with a loss.
        teacher: takes the same inputs and returns as many outputs of the same shapes. It is only called, as
            in an inference.
        temperature: what logits are divided by, above 0: more shows more of what the teacher takes for
            similar. Of no use where outputs are numbers.
        student_weight: the weight of the compiled loss, in [0, 1).
        outputs: what the outputs are, where the compiled loss does not tell: `"probabilities"`, `"logits"`,
            `"binary_probabilities"`, `"binary_logits"` or `"values"`; one for all or a dict by name, with
            None for outputs that are not taught.

    Raises:
        InvalidArgumentError: an argument is out of range, shapes differ, or an output is of unknown kind.
        UnsupportedModel: the model has a training step of its own.

    Example:
        ```python
        pruned = tfopt.prune(model, 0.9)
        pruned.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        with tfopt.distillation.distilling(pruned, model):
            pruned.fit(x_train, y_train, epochs=5)
        ```

    Reference:
        Hinton et al., 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
    """
    check_numbers("distilling", temperature, student_weight)
    if not isinstance(teacher, keras.Model):
        raise InvalidArgumentError(f"distilling: teacher must be a keras.Model, got {teacher!r}.")
    if not getattr(model, "compiled", False):
        raise InvalidArgumentError(f"distilling: compile the model {model.name!r} first.")
    check_teacher(model, teacher)
    kinds = output_kinds(model, model.loss, outputs)

    def combine(x: Any, y_pred: Any, loss: Any) -> Any:
        taught = zip(kinds, _flat(teacher(x, training=False)), _flat(y_pred), strict=True)
        distances = [distance(kind, t, s, temperature) for kind, t, s in taught if kind is not None]
        added = sum(ops.sum(ops.cast(each, loss.dtype)) for each in model.losses)
        soft = ops.cast(sum(distances), loss.dtype)
        return student_weight * (loss - added) + added + (1 - student_weight) * soft

    logger.info("%s learns from %s, at temperature %g", model.name, teacher.name, temperature)
    with graph.fused_inference(teacher), training_loss(model, combine):
        yield


def check_numbers(owner: str, temperature: float, student_weight: float) -> None:
    """Raise `InvalidArgumentError` where one of them is out of its range."""
    _validation.number(owner, "temperature", temperature, above=0)
    _validation.number(owner, "student_weight", student_weight, at_least=0, below=1)


def check_teacher(model: keras.Model, teacher: keras.Model) -> None:
    """Check that a model can learn from a teacher.

    Raises:
        InvalidArgumentError: inputs or outputs are of other shapes.
        UnsupportedModel: the model has a training step of its own.
    """
    require_keras_step(model, "which a teacher would have no part in", ", or train without a teacher")
    for what in ("inputs", "outputs"):
        ours, theirs = ([tuple(t.shape[1:]) for t in getattr(each, what)] for each in (model, teacher))
        if len(ours) != len(theirs) or not all(map(_fits, ours, theirs)):
            raise InvalidArgumentError(
                f"The teacher {teacher.name!r} has {what} of the shapes {theirs}, the model {model.name!r} "
                f"{ours}: they must be the same."
            )


def _fits(ours: tuple[int | None, ...], theirs: tuple[int | None, ...]) -> bool:
    return len(ours) == len(theirs) and all(
        None in (a, b) or a == b for a, b in zip(ours, theirs, strict=True)
    )


def _flat(outputs: Any) -> list[Any]:
    return keras.tree.flatten(outputs)
