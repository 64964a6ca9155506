"""The stage that makes a model compute as its int8 file will, and trains it so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from tfopt import arguments
from tfopt.errors import InvariantError
from tfopt.stages.base import Context, Stage

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class QuantizeAware(Stage):
    """Quantization-aware training, from ranges calibrated on the training data.

    Args:
        scheme: `"int8"`.
        epochs: epochs to train, at least 0; with 0 the model is calibrated only.
        rules: layer path -> scheme, or None to leave what it matches in float. First match wins.
        calibration_samples: training samples to calibrate on, at least 1.

    Raises:
        InvalidArgumentError: a number out of its range.
    """

    title: ClassVar[str] = "quantization-aware"

    scheme: str = "int8"
    _: dataclasses.KW_ONLY
    epochs: int = 3
    rules: Mapping[str, str | None] | None = None
    calibration_samples: int = 512

    def __post_init__(self) -> None:
        arguments.whole("QuantizeAware", "epochs", self.epochs, at_least=0)
        arguments.whole("QuantizeAware", "calibration_samples", self.calibration_samples, at_least=1)

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the quantization-aware model, calibrated and trained."""
        import keras

        from tfopt.quantization import calibrate, quantize_aware

        model = quantize_aware(model, self.scheme, rules=self.rules)
        x, _ = context.data.split("train")
        calibrate(model, keras.tree.map_structure(lambda array: array[: self.calibration_samples], x))
        if self.epochs:
            context.fit(model, epochs=self.epochs)
        return model

    def check(self, before: keras.Model, after: keras.Model) -> None:  # noqa: ARG002
        """Raise where the later stage has left no quantizers."""
        from tfopt.graph import is_quantized

        if not is_quantized(after):
            raise InvariantError(
                f"The model {after.name!r} is no longer quantization-aware after a later stage: let "
                "QuantizeAware be the last stage before the export."
            )
