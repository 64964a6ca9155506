"""A frozen graph goes through TensorFlow's converter, which runs in a process of its own."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import ConversionError
from tfopt.export.converter.process import ConverterProcess
from tfopt.export.keras_graph.freeze import Frozen

_TF_OPERATION = re.compile(r"'tf\.(\w+)'")


def convert_graph(
    model: keras.Model,
    frozen: Frozen,
    scheme: str,
    settings: Mapping[str, bool | str],
    samples: list[np.ndarray] | None,
) -> bytes:
    """Return the file that TensorFlow's converter makes of a frozen graph.

    Args:
        model: that was frozen.
        frozen: its graph.
        scheme: the name of the scheme of the file, for error messages.
        settings: of the converter; see `worker.py`.
        samples: one array an input, of shape (batches, batch_size, ...), to calibrate with.

    Raises:
        ConversionError: the converter refused the graph, or crashed.
    """
    with tempfile.TemporaryDirectory(prefix="tfopt-") as folder:
        files = {name: Path(folder, name) for name in ("graph", "calibration.npz", "result")}
        files["graph"].write_bytes(frozen.graph_def)
        if samples is not None:
            np.savez(files["calibration.npz"], *samples)
        request = {
            "graph": str(files["graph"]),
            "inputs": frozen.inputs,
            "outputs": frozen.outputs,
            "calibration": str(files["calibration.npz"]) if samples is not None else None,
            "result": str(files["result"]),
            **settings,
        }
        try:
            ConverterProcess.request(request)
        except ConversionError as error:
            advice = _advice(model, frozen, scheme, error)
            message = f"Cannot write {model.name!r} as {scheme} TFLite. {error}{advice}"
            raise type(error)(message) from error
        return files["result"].read_bytes()


def _advice(model: keras.Model, frozen: Frozen, scheme: str, error: ConversionError) -> str:
    """Return which layers to replace, and which other engine to take."""
    operations = _TF_OPERATION.findall(str(error))
    layers = sorted({layer for each in operations for layer in frozen.operations.get(each, ())})
    advice = f" Replace these layers: {', '.join(layers)}." if layers else ""
    if scheme in ("int8", "int16x8") and not graph.is_quantized(model):
        advice += " Or let another engine do it: engine='keras', or engine='litert-quantizer'."
    return advice
