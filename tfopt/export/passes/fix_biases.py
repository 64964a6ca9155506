"""Fixing biases that TensorFlow's converter writes wrongly.

Where all elements of a bias are one number, such as the 3 of `relu6(x + 3)` after a convolution without a
bias, the converter of a quantization-aware model (TensorFlow 2.21) divides that number by the first channel's
scale and writes the result into all channels, though each has a scale of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.export.flatbuffer.edit import add_buffer
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.file import ParsedFile

_BIASED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "CONV_3D")
_INTEGERS = {"int32": np.int32, "int64": np.int64}


def fix_uniform_biases(file: ParsedFile) -> bool:
    """Divide each uniform bias by the scales of its channels.

    A bias whose integers are equal by chance, though its channels have different scales, moves by less than
    its first channel's scale, which is a hundredth of an output's or less.
    """
    graph = file.model.subgraphs[0]
    wrong = {
        int(index)
        for call in file.calls()
        if call.graph is graph and call.name in _BIASED
        for index in call.operator.inputs[2:]
        if index >= 0 and _is_uniform(file.model, graph.tensors[index])
    }
    for index in wrong:
        _fix(file.model, graph.tensors[index])
    return bool(wrong)


def _is_uniform(model: Any, tensor: Any) -> bool:
    if type_name(tensor) not in _INTEGERS or tensor.quantization is None:
        return False
    scales, values = tensor.quantization.scale, _values(model, tensor)
    if scales is None or values is None or len(scales) != len(values) or len(scales) < 2:
        return False
    return bool(np.all(values == values[0]) and values[0] != 0 and np.any(scales != scales[0]))


def _values(model: Any, tensor: Any) -> Any:
    data = model.buffers[tensor.buffer].data
    integer = _INTEGERS[type_name(tensor)]
    return None if data is None else np.frombuffer(np.asarray(data, np.uint8).tobytes(), integer)


def _fix(model: Any, tensor: Any) -> None:
    scales, values = np.asarray(tensor.quantization.scale, np.float64), _values(model, tensor)
    limits = np.iinfo(values.dtype)
    fixed = np.clip(np.round(values * scales[0] / scales), limits.min, limits.max).astype(values.dtype)
    # Equal constants share a buffer in a file, and others may be right as they are.
    tensor.buffer = add_buffer(model, fixed)
