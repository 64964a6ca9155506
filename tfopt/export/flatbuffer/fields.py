"""The fields of a file's tensors and operators as names, numbers and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


def text(value: Any) -> str:
    """Return a string of the file, which the schema's reader leaves as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")


def operator_name(model: Any, operator: Any) -> str:
    """Return an operator's name in TFLite's schema, such as `"CONV_2D"`, or a custom operator's own."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _OPERATORS.get(flatbuffer_utils.get_builtin_code_from_operator_code(code), "UNKNOWN")
    return text(code.customCode) if name == "CUSTOM" and code.customCode else name


def type_name(tensor: Any) -> str:
    """Return a tensor's type, such as `"int8"`."""
    return str(_TYPES[tensor.type])


def per_tensor(tensor: Any) -> tuple[float, int] | tuple[None, None]:
    """Return scale and zero point of a tensor with one of each."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None, None
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def scales_of(tensor: Any) -> np.ndarray:
    """Return the scales of a tensor, float64; none where it is not quantized."""
    scales = None if tensor.quantization is None else tensor.quantization.scale
    return np.asarray([] if scales is None else scales, np.float64)


def constant(model: Any, tensor: Any) -> bytes | None:
    """Return the content of a constant tensor, or None for one that is computed."""
    data = model.buffers[tensor.buffer].data
    return None if data is None or len(data) == 0 else np.asarray(data, np.uint8).tobytes()
