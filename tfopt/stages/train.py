"""The stage that trains a model as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from tfopt import _validation
from tfopt.stages.base import Context, Stage

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Train(Stage):
    """Train the model with the run's optimizer, loss and callbacks.

    Args:
        epochs: how often every training sample is seen, 1 or more.

    Raises:
        InvalidArgumentError: `epochs` is not a positive integer.
    """

    title: ClassVar[str] = "trained"

    epochs: int = 10

    def __post_init__(self) -> None:
        _validation.whole("Train", "epochs", self.epochs, at_least=1)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the model, trained."""
        context.fit(model, epochs=self.epochs)
        return model
