"""The settings of TensorFlow's converter for a model, and what is left to a pass over its file."""

from __future__ import annotations

from collections.abc import Collection

import keras

from tfopt.export.conversion import Conversion
from tfopt.export.input_output_types import float_inputs, has_integer_outputs
from tfopt.export.schemes import scheme_of


def converter_settings(
    model: keras.Model, conversion: Conversion
) -> tuple[dict[str, bool | str], Collection[str] | None]:
    """Return the converter's settings, and the float inputs next to others that a pass is to quantize.

    Passes make uint8 of int8, and int16 of the int8 that the converter writes for a trained model. Where
    something else than a quantizer reads an input, the converter writes all inputs in float; a pass makes
    integers of the others again.

    Args:
        model: that is converted.
        conversion: how.

    Returns:
        The settings, as `worker.py` lists them; and names of inputs, `None` where no pass is needed.
    """
    trained = conversion.trained
    by_pass = ("uint8", "int16") if trained else ("uint8",)
    dtypes = (conversion.input_type, conversion.output_type)
    input_type, output_type = ("int8" if each in by_pass else each for each in dtypes)
    in_float = float_inputs(model) if trained else frozenset()
    quantized_by_pass = in_float if in_float and input_type != "float32" else None
    if in_float:
        input_type = "float32"
    if trained and not has_integer_outputs(model):
        output_type = "float32"
    settings = scheme_of("int8" if trained else conversion.scheme).converter or {}
    return {**settings, "input_type": input_type, "output_type": output_type}, quantized_by_pass
