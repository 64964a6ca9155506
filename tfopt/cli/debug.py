"""`tfopt debug`: the layers in which a .tflite file and its Keras model differ."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfopt.cli.keras_files import model_options
from tfopt.cli.options import READABLE_FILE, common_options
from tfopt.cli.show import print_rich
from tfopt.errors import DataError

if TYPE_CHECKING:
    import keras


@click.command(short_help="Find the layers in which a .tflite file and its Keras model differ.")
@click.argument("model", type=READABLE_FILE)
@click.argument("tflite", type=READABLE_FILE)
@click.argument("data")
@click.option(
    "--samples", type=click.IntRange(min=1), default=64, show_default=True, help="Number of samples."
)
@click.option("--worst", type=click.IntRange(min=1), help="Number of layers to show.  [default: all]")
@click.option(
    "--kernels",
    type=click.Choice(["delegate", "builtin", "reference"]),
    default="delegate",
    show_default=True,
    help="Kernels that run the file: XNNPACK, LiteRT's default; LiteRT's own; its reference kernels.",
)
@model_options
@common_options
def debug(
    model: Path,
    tflite: Path,
    data: str,
    samples: int,
    worst: int | None,
    kernels: str,
    custom: Path | None,
    trust: bool,
) -> None:
    """Run the file TFLITE and the Keras model MODEL (.keras or .h5) on one input, compared layer by layer.

    DATA is the name of a dataset (digits), of which the test split is taken, or an .npz file: with one array,
    with one for each input by its name, or with x_test and y_test next to the training data.
    """
    import keras

    import tfopt
    from tfopt.cli import keras_files
    from tfopt.export import TFLiteModel

    file = TFLiteModel(tflite)
    loaded = keras_files.load(model, custom=custom, trust=trust)
    x = keras.tree.map_structure(lambda array: array[:samples], _inputs(data, loaded))
    report = tfopt.debug_quantization(loaded, file, x, kernels=kernels)
    print_rich(report.table(worst))
    click.echo(f"\n{report.conclusion()}")


def _inputs(source: str, model: keras.Model) -> Any:
    """Return the arrays in `source` that the model takes."""
    import numpy as np

    import tfopt

    if source.endswith(".npz") and Path(source).exists():
        names = [tensor.name for tensor in model.inputs]
        try:
            with np.load(source, allow_pickle=False) as arrays:
                if set(names) <= set(arrays.files):
                    return {name: arrays[name] for name in names}
                if len(arrays.files) == 1:
                    return arrays[arrays.files[0]]
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise DataError(f"Cannot read {source}: {error}.") from error
    return tfopt.data.load(source).x_test
