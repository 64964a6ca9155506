"""The stage that writes the TFLite file and checks that it gives the model's results."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tfopt import _validation
from tfopt.errors import VerificationError
from tfopt.export.options import Options, WeightOptions
from tfopt.export.runtime.verify import Tolerance, Verification
from tfopt.export.schemes import input_output_type
from tfopt.files import write_atomically
from tfopt.stages.base import Context, Stage

if TYPE_CHECKING:
    import keras

    from tfopt.export import TFLiteModel

FAILED_FILE = "model.failed.tflite"


@dataclasses.dataclass(frozen=True)
class ExportTFLite(Stage):
    """Writes the model as a TFLite file and verifies it in LiteRT on the test split.

    A file that fails is kept as `model.failed.tflite` and raises. The model is left as it is.

    Args:
        scheme: as `tfopt.to_tflite` takes it; `None` is `"int8"` for a quantization-aware model and
            `"float32"` for others. What must see data does so on the training split.
        input_type, output_type: as `tfopt.to_tflite` takes them: `"int8"` or `"int16"` (the default where
            activations are such integers), `"uint8"` or `"float32"`.
        rules, engine, algorithm, per_channel, block_size, corrections, float_where_faster, sparse:
            as `tfopt.to_tflite` takes them.
        min_agreement: the least share of samples of which file and model choose the same class, in [0, 1];
            `None` is that of `tfopt.export.TOLERANCES`.
        max_lsb: the largest difference of an integer output in units of its scale, 0 or more; `None` sets no
            limit.
        max_drop: how much worse than the run's first model, of those that are better than a guess, the file
            may be, by the run's main metric on the test split, 0 or more; `None` sets no limit. Of a metric
            where lower is better (a loss, an error) it is relative: 0.05 is 5 % more error. Of others it is
            in their own unit: 0.05 is five points of accuracy. A file that loses more is kept; the verdict
            of the run is red, `Run.passed` is false, and `tfopt run` exits with code 3.
        samples: how many test samples to verify on, at most, spread evenly; 1 or more.

    Raises:
        InvalidArgumentError: an argument is out of its range.
    """

    keeps_size: ClassVar[bool] = True

    scheme: str | None = None
    _: dataclasses.KW_ONLY
    input_type: str | None = None
    output_type: str | None = None
    rules: Mapping[str, str | None] | None = None
    engine: str | None = None
    algorithm: str = "min_max"
    per_channel: bool = True
    block_size: int | None = 32
    corrections: Sequence[str] = ()
    float_where_faster: bool = False
    sparse: bool = False
    min_agreement: float | None = None
    max_lsb: int | None = None
    max_drop: float | None = 0.05
    samples: int = 1000

    def __post_init__(self) -> None:
        # Which scheme None will be is not known yet: int8 has all types that either has.
        for name in ("input_type", "output_type"):
            input_output_type(name, getattr(self, name), self.scheme or "int8")
        Options(
            scheme=self.scheme or "int8",
            rules=self.rules,
            engine=self.engine,
            weights=WeightOptions(
                algorithm=self.algorithm, per_channel=self.per_channel, block_size=self.block_size
            ),
            corrections=self.corrections,
            float_where_faster=self.float_where_faster,
            sparse=self.sparse,
        )
        # A list, as JSON has it, is the same stage.
        object.__setattr__(self, "corrections", tuple(self.corrections))
        if self.min_agreement is not None:
            _validation.number("ExportTFLite", "min_agreement", self.min_agreement, at_least=0, at_most=1)
        if self.max_lsb is not None:
            _validation.number("ExportTFLite", "max_lsb", self.max_lsb, at_least=0)
        if self.max_drop is not None:
            _validation.number("ExportTFLite", "max_drop", self.max_drop, at_least=0)
        _validation.whole("ExportTFLite", "samples", self.samples, at_least=1)

    @property
    def title(self) -> str:  # type: ignore[override]
        """What the report calls the file."""
        return f"{self.scheme} TFLite" if self.scheme else "TFLite"

    def apply(self, model: keras.Model, context: Context) -> keras.Model:
        """Write `model.tflite` into the stage's folder; `record` gets the verification and the title.

        Raises:
            VerificationError: the file fails its tolerance.
            ConversionError: the converter refused the model, or died.
        """
        from tfopt.export import to_tflite
        from tfopt.graph import shapes_of

        file = to_tflite(
            model,
            self.scheme,
            representative_dataset=context.data,
            input_type=self.input_type,
            output_type=self.output_type,
            rules=self.rules,
            engine=self.engine,
            algorithm=self.algorithm,
            per_channel=self.per_channel,
            block_size=self.block_size,
            corrections=self.corrections,
            float_where_faster=self.float_where_faster,
            sparse=self.sparse,
            input_shapes=shapes_of(model, context.data),
        )
        file = file.with_class_names(context.data.class_names or ())
        verification = file.verify(
            model,
            _some(context.data.split("test")[0], self.samples),
            tolerance=self._tolerance(model, file),
            classification=context.data.num_classes is not None,
        )
        context.record["title"] = f"{self.scheme or file.summary().scheme} TFLite"
        context.record["verification"] = _record(verification, file)
        failed = context.directory / FAILED_FILE
        if not verification.passed:
            write_atomically(failed, bytes(file))
            raise VerificationError(
                f"The TFLite file of {model.name!r} does not do what the model does, on "
                f"{verification.samples} test samples: {'; '.join(verification.failures)}. It is kept as "
                f"{failed}. Train quantization-aware (tfopt.QuantizeAware), choose a scheme that rounds "
                f"less, or allow more with ExportTFLite({self._limits(context)})."
            )
        failed.unlink(missing_ok=True)  # what an earlier attempt left
        context.export(file)
        return model

    def _limits(self, context: Context) -> str:
        """Return the arguments that allow a file more: only classes can be agreed on."""
        agreed = ["min_agreement=..."] if context.data.num_classes is not None else []
        return ", ".join([*agreed, "max_lsb=..."])

    def _tolerance(self, model: keras.Model, file: TFLiteModel) -> Tolerance:
        from tfopt.export.runtime.keras_outputs import default_tolerance

        tolerance = default_tolerance(model, file.summary().scheme)
        asked = {
            name: getattr(self, name)
            for name in ("min_agreement", "max_lsb")
            if getattr(self, name) is not None
        }
        # What is asked for is held to, however small the differences are.
        return dataclasses.replace(tolerance, **asked, negligible_lsb=0) if asked else tolerance


def _record(verification: Verification, file: TFLiteModel) -> dict[str, Any]:
    summary = file.summary()
    operators = {each.name: {"count": each.count, "types": list(each.types)} for each in summary.operators}
    # In a file of another scheme, all operators are meant to compute in float.
    floats = summary.float_operators if summary.integer else ()
    return verification.to_dict() | {
        "operators": operators,
        "float_operators": [dataclasses.asdict(each) for each in floats],
    }


def _some(x: Any, samples: int) -> Any:
    if isinstance(x, dict):
        return {name: _some(array, samples) for name, array in x.items()}
    if isinstance(x, tuple | list):
        return tuple(_some(array, samples) for array in x)
    return x[np.linspace(0, len(x) - 1, min(samples, len(x))).astype(int)]
