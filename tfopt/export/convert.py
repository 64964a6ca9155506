"""From a Keras model to a TFLite file."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.calibration import Representative, calibration_arrays
from tfopt.export.flatbuffer import with_names
from tfopt.export.freeze import freeze
from tfopt.export.process import ConverterProcess
from tfopt.export.schemes import EndType, SchemeName, end_type, scheme_of
from tfopt.export.tflite_model import TFLiteModel

_TF_OPERATION = re.compile(r"'tf\.(\w+)'")


def to_tflite(
    model: keras.Model,
    scheme: SchemeName | None = None,
    representative_dataset: Representative | None = None,
    input_type: EndType | None = None,
    output_type: EndType | None = None,
    batch_size: int = 1,
) -> TFLiteModel:
    """Return `model` as a TFLite file.

    Nothing is verified yet: call `verify` on the result, or use the stage `tfopt.ExportTFLite`.

    Args:
        model: a built Sequential or functional Keras 3 model.
        scheme: `"float32"`; `"float16"`, weights in half precision; `"dynamic"`, weights in int8 and
            activations quantized while the file runs; `"int8"`, all in integers. `None` is `"int8"` for a
            quantization-aware model and `"float32"` for others. A quantization-aware model is written
            without its rounding in the schemes but `"int8"`.
        representative_dataset: samples to find the ranges of activations with, for `"int8"` of a model that
            is not quantization-aware: an array of samples (a tuple in the model's order or a dict by name
            for several inputs), a `tfopt.data.Dataset`, or a function that returns samples one after
            another, each a list of arrays with a batch dimension of 1. 100 to 500 samples do.
        input_type, output_type: `"int8"` (the default for the scheme `"int8"`) or `"float32"`. Inputs that
            are integers in the model stay what they are.
        batch_size: how many samples the file takes at once, 1 or more.

    Raises:
        InvalidArgumentError: an argument is out of its range, or `"int8"` lacks data to calibrate with.
        UnsupportedModel: the model is subclassed.
        DataError: the representative data is empty or holds NaN.
        ConversionError: TensorFlow's converter refused the model, or died.

    Example:
        >>> file = tfopt.to_tflite(model, "int8", representative_dataset=x_train)
        >>> file.save("model.tflite")

    Reference:
        Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", 2018; TFLite 8-bit quantization specification.
    """
    graph.require_functional(model)
    quantized = graph.is_quantized(model)
    scheme = scheme or ("int8" if quantized else "float32")
    options = scheme_of(scheme)
    ends = {
        "input_type": end_type("input_type", input_type, scheme),
        "output_type": end_type("output_type", output_type, scheme),
    }
    calibrate = options.integer and not quantized
    if calibrate and representative_dataset is None:
        raise InvalidArgumentError(
            "The scheme 'int8' must know the ranges of activations: give representative_dataset (100 samples "
            "or more of the training data), or a model from tfopt.quantize_aware."
        )
    frozen = freeze(model, batch_size, fake_quantization=options.integer)
    with tempfile.TemporaryDirectory(prefix="tfopt-") as folder:
        files = {name: Path(folder, name) for name in ("graph", "calibration.npz", "result")}
        files["graph"].write_bytes(frozen.graph_def)
        if calibrate:
            dtypes = tuple(keras.backend.standardize_dtype(tensor.dtype) for tensor in model.inputs)
            arrays = calibration_arrays(
                representative_dataset, frozen.input_names, frozen.input_shapes, dtypes
            )
            np.savez(files["calibration.npz"], *arrays)
        request = {
            "graph": str(files["graph"]),
            "inputs": frozen.inputs,
            "outputs": frozen.outputs,
            "calibration": str(files["calibration.npz"]) if calibrate else None,
            "optimize": options.optimize,
            "float16": options.float16,
            "result": str(files["result"]),
            **ends,
        }
        try:
            ConverterProcess.request(request)
        except ConversionError as error:
            layers = sorted(
                {x for op in _TF_OPERATION.findall(str(error)) for x in frozen.operations.get(op, ())}
            )
            advice = f" Replace these layers: {', '.join(layers)}." if layers else ""
            message = f"Cannot write {model.name!r} as {scheme} TFLite. {error}{advice}"
            raise ConversionError(message) from error
        content = files["result"].read_bytes()
    readable = frozen.tensor_names.readable
    return TFLiteModel(with_names(content, frozen.input_names, frozen.output_names, readable))
