"""Reading a TFLite file as data, and giving it the names of the Keras model that it came from."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.flatbuffer import serialize
from tfopt.export.flatbuffer.serialize import IDENTIFIER

SIGNATURE = "serving_default"

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


OPEN_SIZE = 64
"""What stands for a size that a file leaves open, where it is run without data."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a file.

    Attributes:
        name: what the Keras model called it.
        index: its number among the file's tensors.
        shape: with the batch size in front; None for another size that whoever runs the file chooses.
        dtype: such as `"int8"`.
        scale, zero_point: real = scale * (integer - zero_point); `None` where it is not quantized.
        step: the distance of two neighbouring values that it can take, its LSB. A float output that an
            integer one was turned into has one too. `None` for what was computed in float.
    """

    name: str
    index: int
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None
    zero_point: int | None
    step: float | None

    @property
    def batch_size(self) -> int:
        """How many samples it holds at once."""
        return (self.shape[0] or 1) if self.shape else 1


def read(content: bytes, source: str = "The content") -> Any:
    """Return a TFLite file as a `ModelT`, whose fields follow TFLite's schema.

    Args:
        content: of the file.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: this is no TFLite file, or only a part of one.
    """
    if not content:
        raise InvalidArgumentError(f"{source} is empty: expected a TFLite file.")
    if content[4:8] != IDENTIFIER:
        raise InvalidArgumentError(
            f"{source} is not a TFLite file: bytes 4 to 8 must be {IDENTIFIER!r}, got {content[4:8]!r}."
        )
    with naming_damage(source):
        model = flatbuffer_utils.read_model_from_bytearray(content)
        for buffer in model.buffers or []:
            if isinstance(buffer.data, bytes):  # so it comes where it was stored behind the flatbuffer
                buffer.data = np.frombuffer(buffer.data, np.uint8)
    if not model.subgraphs:
        raise InvalidArgumentError(f"{source} is a damaged TFLite file: it holds no graph.")
    return model


@contextlib.contextmanager
def naming_damage(source: str) -> Iterator[None]:
    """Turn what the schema's reader raises where offsets or numbers are wrong into an error for a person."""
    try:
        yield
    except InvalidArgumentError:
        raise
    except (struct.error, TypeError, ValueError, LookupError, AttributeError, MemoryError) as error:
        raise InvalidArgumentError(
            f"{source} is a damaged TFLite file: {error}. Was it cut off while it was copied? Get it again."
        ) from error


def with_names(
    content: bytes,
    input_names: tuple[str, ...],
    output_names: tuple[str, ...],
    readable: Callable[[str], str],
) -> bytes:
    """Return the file with readable names: of tensors, and of inputs and outputs in their order.

    Args:
        content: what the converter wrote.
        input_names, output_names: what the Keras model calls them. Given a signature, the converter itself
            would sort them by name.
        readable: turns the name of a tensor into the one to write.
    """
    model = read(content, "What the converter wrote")
    graph = model.subgraphs[0]
    if len(graph.inputs) != len(input_names) or len(graph.outputs) != len(output_names):
        raise ConversionError(
            f"The converter made a file of {len(graph.inputs)} inputs and {len(graph.outputs)} outputs from "
            f"a model of {len(input_names)} and {len(output_names)}. Remove inputs that nothing depends on."
        )
    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.subgraphIndex = 0
    signature.inputs = _named(input_names, graph.inputs)
    signature.outputs = _named(output_names, graph.outputs)
    model.signatureDefs = [signature]
    taken: set[str] = set()
    for index, tensor in enumerate(graph.tensors):
        ends = dict(zip(graph.inputs, input_names, strict=True))
        tensor.name = unique(ends.get(index) or readable(text(tensor.name)), taken)
    return serialize.write(model)


def unique(name: str, taken: set[str]) -> str:
    """Return `name`, or with `_1`, `_2`... behind it what is not in `taken` yet, and add it there."""
    candidates = itertools.chain([name], (f"{name}_{number}" for number in itertools.count(1)))
    chosen = next(candidate for candidate in candidates if candidate not in taken)
    taken.add(chosen)
    return chosen


def _named(names: tuple[str, ...], indices: list[int]) -> list[Any]:
    entries = []
    for name, index in zip(names, indices, strict=True):
        entry = schema.TensorMapT()
        entry.name, entry.tensorIndex = name, index
        entries.append(entry)
    return entries


def interface(model: Any) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of a file, in its order.

    A file without a signature calls them by the names of its tensors.
    """
    graph = model.subgraphs[0]
    signatures = [each for each in model.signatureDefs or [] if each.subgraphIndex == 0]
    if signatures:
        ends = (signatures[0].inputs or [], signatures[0].outputs or [])
        named = [[(text(entry.name), entry.tensorIndex) for entry in entries] for entries in ends]
    else:
        named = [[(text(graph.tensors[i].name), i) for i in ids] for ids in (graph.inputs, graph.outputs)]
    made_by = {index: operator for operator in graph.operators or [] for index in operator.outputs}
    inputs, outputs = (tuple(_spec(model, made_by, *each) for each in entries) for entries in named)
    return inputs, outputs


def _spec(model: Any, made_by: dict[int, Any], name: str, index: int) -> TensorSpec:
    tensors = model.subgraphs[0].tensors
    tensor = tensors[index]
    scale, zero_point = per_tensor(tensor)
    step = scale
    operator = made_by.get(index)
    if operator is not None and operator_name(model, operator) == "DEQUANTIZE":
        step = per_tensor(tensors[operator.inputs[0]])[0]
    sizes = [] if tensor.shape is None else list(map(int, tensor.shape))
    signature = sizes if tensor.shapeSignature is None else list(map(int, tensor.shapeSignature))
    shape = (*sizes[:1], *(None if size < 0 else size for size in signature[1:]))
    return TensorSpec(name, int(index), shape, type_name(tensor), scale, zero_point, step)


def per_tensor(tensor: Any) -> tuple[float, int] | tuple[None, None]:
    """Return scale and zero point of a tensor with one of each."""
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or len(quantization.scale) != 1:
        return None, None
    return float(quantization.scale[0]), int(quantization.zeroPoint[0])


def type_name(tensor: Any) -> str:
    """Return a tensor's type, such as `"int8"`."""
    return _TYPES[tensor.type]


def operator_code(model: Any, name: str, version: int = 1) -> int:
    """Return the number of an operator's code, which is added where there is none.

    Args:
        model: of the file.
        name: of the operator in TFLite's schema.
        version: the least that knows the form in which it is used.
    """
    builtin = getattr(schema.BuiltinOperator, name)
    for number, code in enumerate(model.operatorCodes):
        if flatbuffer_utils.get_builtin_code_from_operator_code(code) == builtin:
            code.version = max(code.version, version)
            return number
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, version
    code.deprecatedBuiltinCode = min(builtin, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def add_buffer(model: Any, values: np.ndarray) -> int:
    """Append a buffer that holds the bytes of an array and return its number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def operator_name(model: Any, operator: Any) -> str:
    """Return an operator's name in TFLite's schema, such as `"CONV_2D"`, or a custom operator's own."""
    code = model.operatorCodes[operator.opcodeIndex]
    name = _OPERATORS.get(flatbuffer_utils.get_builtin_code_from_operator_code(code), "UNKNOWN")
    return text(code.customCode) if name == "CUSTOM" and code.customCode else name


def text(value: Any) -> str:
    """Return a string of the file, which the schema's reader leaves as bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
