"""The stage that trains a model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfopt import _validation
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Train(Stage):
    """Train the model with the run's optimizer, loss and callbacks.

    Args:
        epochs: how often every training sample is seen, 1 or more.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.

    Raises:
        InvalidArgumentError: `epochs` is not a positive integer.
    """

    title: ClassVar[str] = "trained"
    keeps_size: ClassVar[bool] = True

    epochs: int = 10
    teacher: TeacherLike = None

    def __post_init__(self) -> None:
        _validation.whole("Train", "epochs", self.epochs, at_least=1)
        checked_teacher("Train", self.teacher)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the model, trained."""
        context.fit(model, epochs=self.epochs)
        return model
