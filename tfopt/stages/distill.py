"""The stage that trains a model to return what another one returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfopt import _validation
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import FLOAT, TeacherLike, checked_teacher

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Distill(Stage):
    """Trains the model with the run's optimizer, on the run's loss and on what a teacher returns.

    Beyond half of the weights, pruning loses accuracy that does not come back from the targets alone; the
    model before it shows more than they do. The other stages that train take a `teacher` too, and learn from
    it while they do their work. See `tfopt.distillation.distilling` for the loss.

    Args:
        epochs: how often every training sample is seen, 1 or more.
        teacher: `"float"`, the model of the run before anything was taken from it: that of the `Train` stages
            which the pipeline begins with, or the model as given. Or the path of a `.keras` file; its content
            is part of the run's fingerprint.
        temperature: what logits are divided by, above 0. Of no use where outputs are numbers.
        student_weight: the weight of the compiled loss, in [0, 1); the teacher has the rest.
        outputs: `"probabilities"`, `"logits"`, `"binary_probabilities"`, `"binary_logits"` or `"values"`, or
            a dict of these by the names of the outputs, None for one that is not taught; where the compiled
            loss does not tell.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is the compiled one.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Reference:
        Hinton et al., 2015, Distilling the Knowledge in a Neural Network (arXiv 1503.02531).
    """

    title: ClassVar[str] = "distilled"
    keeps_size: ClassVar[bool] = True

    epochs: int = 5
    teacher: str = FLOAT
    temperature: float = 3.0
    student_weight: float = 0.5
    outputs: str | Mapping[str, str | None] | None = None
    learning_rate: float | None = None

    def __post_init__(self) -> None:
        _validation.whole("Distill", "epochs", self.epochs, at_least=1)
        if self.learning_rate is not None:
            _validation.number("Distill", "learning_rate", self.learning_rate, above=0)
        checked_teacher("Distill", self.teaching())

    def teaching(self) -> TeacherLike:
        """Return the teacher with how it teaches, as the field `teacher` of other stages has it."""
        return {
            "model": self.teacher,
            "temperature": self.temperature,
            "student_weight": self.student_weight,
            "outputs": self.outputs,
        }

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the model, trained."""
        context.fit(model, epochs=self.epochs)
        return model
