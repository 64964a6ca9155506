"""Replacing an operator of a parsed TFLite file by others."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer, operator_code
from tfopt.export.flatbuffer.fields import per_tensor, text

_VERSIONS = {"DEPTHWISE_CONV_2D": 3, "AVERAGE_POOL_2D": 1, "PRELU": 1, "SOFTMAX": 1, "QUANTIZE": 1}
"""Operator -> the version of the schema that has its int8 kernel, where that is not 2."""

_TYPES = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
    np.dtype(np.float32): schema.TensorType.FLOAT32,
}


class Replacement:
    """Operators that take the place of one of one output; they are put there by `apply`.

    Args:
        model, graph: of the file; they are changed.
        operator: the one to replace.
    """

    def __init__(self, model: Any, graph: Any, operator: Any) -> None:
        self.model, self.graph, self.operator = model, graph, operator
        self.input, self.output = int(operator.inputs[0]), int(operator.outputs[0])
        self._made: list[Any] = []

    def tensor_of(self, index: int) -> Any:
        """Return a tensor by its number."""
        return self.graph.tensors[index]

    def shape(self, index: int) -> list[int]:
        """Return the sizes of a tensor."""
        return [int(size) for size in self.tensor_of(index).shape]

    def grid(self, index: int) -> tuple[float, int]:
        """Return scale and zero point of a tensor that has one of each."""
        scale, zero_point = per_tensor(self.tensor_of(index))
        if scale is None or zero_point is None:
            raise ValueError(f"The tensor {text(self.tensor_of(index).name)!r} is not quantized.")
        return scale, zero_point

    def tensor(self, part: str, shape: Sequence[int], grid: tuple[float, int] | None = None) -> int:
        """Add an int8 tensor on a grid, or a float one, and return its number.

        Args:
            part: what its name has after the output's.
            shape: of the tensor.
            grid: scale and zero point.
        """
        tensor = schema.TensorT()
        tensor.name = f"{text(self.tensor_of(self.output).name)}/{part}"
        tensor.shape = np.asarray(shape, np.int32)
        tensor.buffer = 0  # the empty one
        tensor.type = schema.TensorType.FLOAT32 if grid is None else schema.TensorType.INT8
        if grid is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.asarray([grid[0]], np.float32)
            tensor.quantization.zeroPoint = np.asarray([grid[1]], np.int64)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def constant(self, part: str, values: np.ndarray, grid: tuple[float, int] | None = None) -> int:
        """Add a tensor that holds values, int8, int32 or float32, and return its number."""
        index = self.tensor(part, values.shape, grid)
        self.tensor_of(index).buffer = add_buffer(self.model, values)
        self.tensor_of(index).type = _TYPES[values.dtype]
        return index

    def add(
        self, name: str, inputs: Sequence[int], output: int, kind: str | None = None, **options: Any
    ) -> int:
        """Add an operator and return the number of its output.

        Args:
            name: of the operator in TFLite's schema.
            inputs: numbers of tensors.
            output: number of the tensor that it makes.
            kind: of its options, such as `"Pool2DOptions"`.
            options: what differs from their defaults.
        """
        made = schema.OperatorT()
        made.opcodeIndex = operator_code(self.model, name, _VERSIONS.get(name, 2))
        made.inputs, made.outputs = np.asarray(inputs, np.int32), np.asarray([output], np.int32)
        if kind is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for option, value in options.items():
                setattr(made.builtinOptions, option, value)
        self._made.append(made)
        return output

    def add_same(self, inputs: Sequence[int], output: int) -> int:
        """Add the operator that is replaced, with its options, between other tensors."""
        made = copy.copy(self.operator)
        made.inputs, made.outputs = np.asarray(inputs, np.int32), np.asarray([output], np.int32)
        self._made.append(made)
        return output

    def apply(self) -> None:
        """Put the operators that were added into the file."""
        place = next(i for i, each in enumerate(self.graph.operators) if each is self.operator)
        self.graph.operators[place : place + 1] = self._made
