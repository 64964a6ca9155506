"""The stage that makes a model compute as its int8 file will, and trains it so."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tfopt import _validation, backends
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.stages.base import Context, Stage
from tfopt.stages.teaching import TeacherLike, checked_teacher

if TYPE_CHECKING:
    import keras

    from tfopt.quantization.scheme import SchemeLike


@dataclasses.dataclass(frozen=True)
class QuantizeAware(Stage):
    """Quantization-aware training, from ranges calibrated on the training data.

    Args:
        scheme: a name in `tfopt.quantization.SCHEMES`, a `tfopt.quantization.Scheme`, or its config.
        epochs: epochs to train, at least 0; with 0 the model is calibrated only.
        rules: layer path -> scheme, or None to leave what it matches in float. First match wins.
        preserve: `"sparsity"`, `"clusters"` or both: what `tfopt.quantize_aware` is to keep of the kernels.
        calibration_samples: training samples to calibrate on, at least 1.
        learning_rate: the highest of the stage; a schedule keeps its shape. `None` is a tenth of the compiled
            one after `Train`, or where the model as given is better than a guess; else the compiled one.
        start_at, freeze_ranges_at, freeze_batch_norm_at: when quantization begins, ranges stop moving and
            batch normalizations train with their moving statistics: a step of the stage (an int) or a share
            of its steps (a float in [0, 1]); see `tfopt.callbacks.QuantizationSchedule`. For the engine
            `"keras"`.
        teacher: the model to distil from while training, as `tfopt.Distill` takes it, or a dict with its
            `model`, `temperature`, `student_weight` and `outputs`; None for none.
        engine: `"keras"`, or `"tfmot"` for tensorflow-model-optimization, trained by Keras 3.
        engine_options: as `tfopt.quantize_aware` takes them: JSON values.

    Raises:
        InvalidArgumentError: a number out of its range, or an unknown scheme.
    """

    title: ClassVar[str] = "quantization-aware"
    keeps_size: ClassVar[bool] = True
    fine_tuning: ClassVar[float] = 0.1

    scheme: SchemeLike = "int8"
    _: dataclasses.KW_ONLY
    epochs: int = 3
    rules: Mapping[str, SchemeLike | None] | None = None
    preserve: Sequence[str] = ()
    calibration_samples: int = 512
    start_at: int | float = 0
    freeze_ranges_at: int | float | None = None
    freeze_batch_norm_at: int | float | None = None
    learning_rate: float | None = None
    teacher: TeacherLike = None
    engine: Literal["keras", "tfmot"] = "keras"
    engine_options: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        from tfopt.callbacks.quantization_schedule import check_moments
        from tfopt.quantization import scheme
        from tfopt.quantization.qat import preserve

        _validation.whole("QuantizeAware", "epochs", self.epochs, at_least=0)
        _validation.whole("QuantizeAware", "calibration_samples", self.calibration_samples, at_least=1)
        if self.learning_rate is not None:
            _validation.number("QuantizeAware", "learning_rate", self.learning_rate, above=0)
        checked_teacher("QuantizeAware", self.teacher)
        backends.checked("QuantizeAware", self.engine, self.engine_options)
        check_moments("QuantizeAware", **self._moments)
        if self.teacher is not None and not self.epochs:
            raise InvalidArgumentError("QuantizeAware: with epochs=0 nothing is trained; leave teacher out.")
        if self.engine != "keras" and self._scheduled:
            raise InvalidArgumentError(
                "QuantizeAware: start_at, freeze_ranges_at and freeze_batch_norm_at are for engine='keras', "
                f"got engine={self.engine!r}. Leave them out, or take the other engine."
            )
        # A `Scheme` that went through JSON comes back as its config.
        object.__setattr__(self, "scheme", scheme.without_config(self.scheme))
        if self.rules is not None:
            rules = {pattern: scheme.without_config(each) for pattern, each in self.rules.items()}
            object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "preserve", preserve.checked("QuantizeAware", self.preserve))

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Return the quantization-aware model, calibrated and trained."""
        import keras

        from tfopt.graph import is_quantized, shapes_of
        from tfopt.quantization import calibrate, quantize_aware, round_biases

        model = quantize_aware(
            model,
            self.scheme,
            rules=self.rules,
            preserve=self.preserve,
            input_shapes=shapes_of(model, context.data) if self.engine == "keras" else None,
            engine=self.engine,
            engine_options=self.engine_options,
        )
        x, _ = context.data.split("train")
        calibrate(model, keras.tree.map_structure(lambda array: array[: self.calibration_samples], x))
        if self.epochs and self._scheduled:
            from tfopt.callbacks import QuantizationSchedule

            context.fit(model, epochs=self.epochs, callbacks=[QuantizationSchedule(**self._moments)])
        elif self.epochs:
            context.fit(model, epochs=self.epochs)
        if self.engine == "keras" and is_quantized(model):
            round_biases(model)
        return model

    def check(self, before: keras.Model, after: keras.Model) -> None:  # noqa: ARG002
        """Raise where the later stage has left no quantizers."""
        from tfopt.graph import is_quantized

        if not is_quantized(after):
            raise InvariantError(
                f"The model {after.name!r} is no longer quantization-aware after a later stage: let "
                "QuantizeAware be the last stage before the export."
            )

    @property
    def _moments(self) -> dict[str, Any]:
        names = ("start_at", "freeze_ranges_at", "freeze_batch_norm_at")
        return {name: getattr(self, name) for name in names}

    @property
    def _scheduled(self) -> bool:
        return any(value is not None for name, value in self._moments.items() if name != "start_at") or (
            self.start_at != 0
        )
