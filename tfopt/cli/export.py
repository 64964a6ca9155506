"""`tfopt export`: a trained Keras model as a verified TFLite file, quantized after training."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfopt.cli.keras_files import model_options
from tfopt.cli.options import NameValue, common_options, named_values
from tfopt.errors import VerificationError
from tfopt.report import formats
from tfopt.report.details import contract_lines

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tfopt.cli.samples import Given
    from tfopt.export import TFLiteModel
    from tfopt.export.runtime.verify import Verification

SCHEMES = ("float32", "float16", "dynamic", "int8", "int16x8", "int8_weights", "int4_weights", "int4")
_FLOAT = "float"
_SAMPLES = 1000
"""So many samples, at most, does a file have to prove itself on."""


class _ImageSize(click.ParamType):
    """`96` or `96x128`: height and width in pixels."""

    name = "HEIGHTxWIDTH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return (height, width)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)(?:x(\d+))?", value)
        sizes = match and (int(match[1]), int(match[2] or match[1]))
        if not sizes or 0 in sizes:
            self.fail(f"expected HEIGHTxWIDTH or one number, such as 96x96, got {value!r}.", param, ctx)
        return sizes


def _scheme_rules(
    context: click.Context, option: click.Parameter, pairs: tuple[tuple[str, str], ...]
) -> dict[str, str | None]:
    rules = named_values(context, option, pairs)
    for value in rules.values():
        if value not in (*SCHEMES, _FLOAT):
            raise click.BadParameter(
                f"expected PATTERN=SCHEME with one of {', '.join((*SCHEMES, _FLOAT))}, got {value!r}.",
                context,
                option,
            )
    return {pattern: None if value == _FLOAT else value for pattern, value in rules.items()}


@click.command(short_help="Quantize a trained Keras model to a verified .tflite file.")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--scheme",
    type=click.Choice(SCHEMES),
    default="int8",
    show_default=True,
    help="How the file is quantized.",
)
@click.option(
    "--data",
    required=True,
    metavar="PATH_OR_NAME",
    help="Samples to calibrate and to verify with, 100 or more: folder of images, .npz file, name.",
)
@click.option(
    "--scale",
    default="auto",
    show_default=True,
    metavar="none|1/255|-1..1",
    help="What is done to the inputs. auto: images are divided by 255, unless the model does so itself.",
)
@click.option(
    "--image-size",
    type=_ImageSize(),
    help="Resize the images of a folder.  [default: the model's input size]",
)
@click.option(
    "--rules",
    type=NameValue(),
    multiple=True,
    callback=_scheme_rules,
    metavar="LAYER=SCHEME",
    help="Another scheme for the layers that match, such as head=float; can be repeated.",
)
@click.option(
    "--sparse",
    is_flag=True,
    help="Store weights without their zeros: smaller as it is, of pruned models; may compress worse.",
)
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="The file.  [default: MODEL.SCHEME.tflite]"
)
@model_options
@common_options
def export(
    model: Path,
    scheme: str,
    data: str,
    scale: str,
    image_size: tuple[int, int] | None,
    rules: dict[str, str | None],
    sparse: bool,
    out: Path | None,
    custom: Path | None,
    trust: bool,
) -> None:
    """Write MODEL, a trained Keras model (.keras, .h5 or SavedModel), as a .tflite file, without training.

    DATA is a folder with one folder of images a class, a folder of images, an .npz file (x and y; x_train,
    y_train, x_test, y_test; or inputs alone) or the name of a dataset. The file is calibrated on one part of
    it and compared with the model on another. Exits with 0 only if the file gives the model's results.
    """
    out = out or model.with_name(f"{model.stem}.{scheme}.tflite")
    if out.suffix != ".tflite":
        raise click.BadParameter(
            f"expected a name that ends in .tflite, got {out.name!r}.", param_hint="--out"
        )

    import tfopt
    from tfopt import graph
    from tfopt.cli import keras_files, samples

    loaded = keras_files.load(model, custom=custom, trust=trust)
    graph.require_built(loaded)
    if not graph.is_functional(loaded):
        loaded = graph.as_functional(loaded)
    given = samples.read(data, loaded, scale=scale, image_size=image_size)
    file = tfopt.to_tflite(
        loaded, scheme, representative_dataset=given.data, rules=rules or None, sparse=sparse
    )
    file = file.with_class_names(given.data.class_names or ())
    x = _some(given.data.x_test)
    verification = file.verify(loaded, x, classification=_chooses_classes(loaded, given))
    failed = out.with_suffix(".failed.tflite")
    path = out if verification.passed else failed
    file.save(path)
    for line in _lines(path, loaded, file, given, verification):
        click.echo(line)
    if not verification.passed:
        raise VerificationError(
            f"The file does not give the model's results: {'; '.join(verification.failures)}. It is kept as "
            f"{failed}. Try --scheme int16x8, leave layers in float with --rules LAYER=float, or train "
            "quantization-aware (tfopt.QuantizeAware in a recipe)."
        )
    failed.unlink(missing_ok=True)  # what an earlier attempt left


def _some(x: Any) -> Any:
    """Return not more samples than `_SAMPLES`, spread evenly."""
    import numpy as np

    from tfopt.data.structure import count, map_leaves

    chosen = np.linspace(0, count(x) - 1, min(_SAMPLES, count(x))).astype(int)
    return map_leaves(lambda array: array[chosen], x)


def _chooses_classes(model: keras.Model, given: Given) -> bool:
    from tfopt.pipeline.training.compilation import cross_entropy

    if given.labelled:
        return given.data.num_classes is not None
    return not cross_entropy(model).get_config()["from_logits"]


def _lines(
    path: Path, model: keras.Model, file: TFLiteModel, given: Given, verification: Verification
) -> Iterator[str]:
    """Yield the lines that describe a file."""
    from tfopt import graph
    from tfopt.pipeline.preflight import scaled_twice_warning
    from tfopt.pipeline.results.stage_results import contract

    summary = file.summary()
    sizes = f"{formats.size(len(file))}, gzip {formats.size(summary.compressed_bytes)}"
    yield f"{path}: {summary.scheme}, {sizes}"
    yield f"verification: {dataclasses.replace(verification, findings=())}"
    yield from (f"finding: {each}" for each in verification.findings)
    for name in graph.scaled_twice(model, given.data):
        yield f"warning: {scaled_twice_warning(name)}"
    if given.labelled:
        yield from _quality(model, file, given)
    else:
        yield "accuracy: unknown, the data has no labels"
    for name, text in contract_lines(contract(file, given.data)):
        yield f"{name}: {text}"
    if summary.integer:
        floats = [f"{each.operator} of {each.layer}" for each in summary.float_operators]
        yield f"in float: {', '.join(floats) or 'none'}"


def _quality(model: keras.Model, file: TFLiteModel, given: Given) -> Iterator[str]:
    """Yield the accuracy of model and file, or their mean absolute error."""
    import numpy as np

    from tfopt.data.samples import in_parts
    from tfopt.pipeline.results.judging import chance_warning

    x, y = given.data.split("test")
    if len(model.outputs) != 1 or not isinstance(y, np.ndarray):
        yield "accuracy: not measured, for the model has several outputs"
        return
    results = [
        np.asarray(in_parts(functools.partial(model.predict, verbose=0), x)),
        np.asarray(file.predict(x)),
    ]
    labels = given.data.labels("test")
    if labels is None:
        errors = [_error(result, y) for result in results]
        if None not in errors:
            yield f"mean absolute error: model {errors[0]:.4g}, file {errors[1]:.4g} on {len(y)} samples"
        return
    chosen = [_choice(result, model, given.data.num_classes or 0) for result in results]
    if chosen[0] is None or chosen[1] is None:
        yield (
            f"accuracy: not measured, for the model's outputs have the shape {results[0].shape[1:]} and the "
            f"data {given.data.num_classes} classes"
        )
        return
    shares = [float(np.mean(each == labels)) for each in chosen]
    yield (
        f"accuracy: model {formats.percent(shares[0])}, file {formats.percent(shares[1])} on {len(labels)} "
        "samples"
    )
    if shares[0] <= 1.2 / (given.data.num_classes or 1):
        yield f"warning: {chance_warning(given.data)}"


def _choice(result: np.ndarray, model: keras.Model, classes: int) -> np.ndarray | None:
    """Return the class that each row of outputs chooses; `None` where it chooses none."""
    import keras

    from tfopt import graph

    if result.ndim == 2 and result.shape[1] == classes and classes > 1:
        return result.argmax(axis=1)
    if result.ndim == 2 and result.shape[1] == 1 and classes == 2:
        last = graph.nodes(model)[-1].operation
        probability = getattr(last, "activation", None) is keras.activations.sigmoid
        return (result[:, 0] > (0.5 if probability or type(last).__name__ == "Sigmoid" else 0.0)).astype(int)
    return None


def _error(result: np.ndarray, targets: np.ndarray) -> float | None:
    import numpy as np

    if result.size != targets.size:
        return None
    return float(np.mean(np.abs(result.reshape(targets.shape) - targets)))
