"""What whoever runs a TFLite file has to give it, and gets: the contract of a file."""

from __future__ import annotations

from typing import Any

from tfopt.data.dataset import Dataset
from tfopt.export import TFLiteModel
from tfopt.export.flatbuffer.inputs_outputs import TensorSpec


def contract(file: TFLiteModel, data: Dataset) -> dict[str, Any]:
    """Return inputs, outputs, preprocessing and class names of a file as JSON values."""
    return {
        **{end: [_spec(each) for each in getattr(file, end)] for end in ("inputs", "outputs")},
        "preprocessing": data.normalization,
        "class_names": None if data.class_names is None else list(data.class_names),
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    """Return an input or output of a file: real = scale * (integer - zero_point)."""
    return {
        "name": spec.name,
        "shape": list(spec.shape),
        "dtype": spec.dtype,
        "scale": spec.scale,
        "zero_point": spec.zero_point,
    }
