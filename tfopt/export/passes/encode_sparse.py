"""Weights without their zeros: TFLite's sparse encoding, and the operators that LiteRT decodes it with.

A `DENSIFY` operator makes a dense tensor of a sparse constant. XNNPACK does so once, when it packs weights,
and LiteRT's own kernel in the first run: what is computed, and how fast, stays the same. Which operators read
a decoded tensor was tried one by one on LiteRT 2.3 (`tests/export/passes/test_encode_sparse.py`).
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer, drop_unused_buffers, operator_code
from tfopt.export.flatbuffer.fields import constant, operator_name, per_tensor, text, type_name
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.sparse_tensors import parameters
from tfopt.export.flatbuffer.tensor_names import LAYER_END, layer_of
from tfopt.measure.sparse_encoding import SparseEncoding

logger = logging.getLogger(__name__)

TYPES = {"float32": np.float32, "float16": np.float16, "int8": np.int8}
"""The types of a tensor that DENSIFY decodes."""

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")
_READERS = {
    ("float32", "float32"): (*_CONVOLUTIONS, "FULLY_CONNECTED"),
    ("int8", "int8"): _CONVOLUTIONS,
    ("int8", "int16"): (*_CONVOLUTIONS, "FULLY_CONNECTED"),
    # Of weights that are stored in fewer bits than they are computed in.
    ("float16", "float32"): ("DEQUANTIZE",),
    ("int8", "float32"): ("DEQUANTIZE",),
}
"""(type of the weights, type of what is computed) -> operators that read a decoded tensor. Of int8 XNNPACK
refuses a fully connected layer, and every operator that rounds float activations by itself."""

OVERHEAD = 300
"""The bytes that an encoded tensor takes besides its content: a second tensor, an operator, the axes."""


def encode_sparse(file: ParsedFile) -> bool:
    """Encode the weights that take fewer bytes so; of the others the log tells why they stay as they are.

    The outputs of the file stay the same bit for bit.

    Args:
        file: to change, after all passes that read weights.
    """
    model, graph = file.model, file.graphs[0]  # in a loop DENSIFY would run with every step
    shared = Counter(tensor.buffer for each in file.graphs for tensor in each.tensors)
    encoded = []
    for index, tensor in list(enumerate(graph.tensors)):
        data = constant(model, tensor)
        if data is None or tensor.shape is None or len(tensor.shape) < 2:
            continue
        reason = _reason(file, index, tensor, shared)
        if not reason:
            values = np.frombuffer(data, TYPES[type_name(tensor)]).reshape(tensor.shape)
            encoding = SparseEncoding.smallest(values)
            if encoding.bytes + OVERHEAD < values.nbytes:
                encoded.append(_decoding(file, index, encoding))
                continue
            reason = f"it has {np.mean(values != 0):.0%} non-zero values, too many or too few in all"
        logger.debug("the weights of %s stay dense: %s", layer_of(text(tensor.name)), reason)
    if not encoded:
        warnings.warn(
            "sparse=True changes nothing: no weights of this file take fewer bytes in the sparse encoding. "
            "It pays for large kernels of which half or more are zero (tfopt.prune).",
            UserWarning,
            stacklevel=2,
        )
        return False
    graph.operators = [*encoded, *graph.operators]
    drop_unused_buffers(model)
    return True


def _reason(file: ParsedFile, index: int, tensor: Any, shared: Counter[int]) -> str:
    """Return why a constant cannot be encoded, `""` where it can."""
    kind, graph = type_name(tensor), file.graphs[0]
    if kind not in TYPES:
        return f"there is no sparse encoding of {kind}"
    if shared[tensor.buffer] > 1:
        return "several tensors have its values"
    if tensor.sparsity is not None:
        return "it is encoded already"
    if per_tensor(tensor)[1]:
        return "its zero point is not 0"
    for operator in graph.operators:
        if index in operator.inputs:
            name = operator_name(file.model, operator)
            computed = type_name(graph.tensors[operator.outputs[0]])
            at = 0 if name == "DEQUANTIZE" else 1
            if name not in _READERS.get((kind, computed), ()) or list(operator.inputs).index(index) != at:
                return f"{name} does not take decoded {kind} weights where it computes in {computed}"
    return ""


def _decoding(file: ParsedFile, index: int, encoding: SparseEncoding) -> Any:
    """Encode a tensor; return the operator that decodes it to a tensor which all that read it read now."""
    graph = file.graphs[0]
    tensor, number = graph.tensors[index], len(graph.tensors)
    dense = copy.copy(tensor)
    dense.buffer = 0
    graph.tensors.append(dense)
    name = text(tensor.name)
    tensor.name = f"{name}{'/' if LAYER_END in name.split(';')[-1] else LAYER_END}sparse"
    tensor.buffer, tensor.sparsity = add_buffer(file.model, encoding.values), parameters(encoding)
    for operator in graph.operators:
        operator.inputs = np.array([number if each == index else each for each in operator.inputs], np.int32)
    decode = schema.OperatorT()
    decode.opcodeIndex = operator_code(file.model, "DENSIFY")
    decode.inputs, decode.outputs = np.array([index], np.int32), np.array([number], np.int32)
    decode.builtinOptionsType = schema.BuiltinOptions.DensifyOptions
    decode.builtinOptions = schema.DensifyOptionsT()
    return decode
