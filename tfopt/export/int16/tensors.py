"""Making the tensors that int16 operators, and those next to them, need in place of int8 ones."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.edit import add_buffer, operator_code
from tfopt.export.flatbuffer.fields import constant, scales_of, text, type_name
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.int16.constants import cut_off_from, matrices_from, only, rounded_from
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec, ScaleAndZeroPoint

INT8, INT16, INT32, INT64, FLOAT32 = (
    getattr(schema.TensorType, name) for name in ("INT8", "INT16", "INT32", "INT64", "FLOAT32")
)
_BIASES = {INT32: np.int32, INT64: np.int64}
_NAMES = {INT8: "int8", INT16: "int16", FLOAT32: "float32"}
_SMALLEST = 1e-6


class Int16Tensors:
    """The tensors of one graph of a file, by number; new ones are appended.

    Args:
        model, graph: of the file; they are changed.
        int16: what has 16 bits in the model that the file was made from.
    """

    def __init__(self, model: Any, graph: Any, int16: Int16Spec) -> None:
        self._model, self._graph, self._int16 = model, graph, int16
        self._made: dict[tuple[int | float | None, ...], int] = {}

    def scale(self, index: int) -> float | None:
        """Return the scale of a tensor that the converter has put on the grid of a 16-bit one, else None."""
        tensor = self._graph.tensors[index]
        scales = scales_of(tensor)
        if type_name(tensor) != "int8" or len(scales) != 1 or int(tensor.quantization.zeroPoint[0]) != 0:
            return None
        known = self._int16.has_scale(float(scales[0]))
        return float(scales[0]) if known else None

    def is_constant(self, index: int) -> bool:
        """Return whether a tensor is known before the file runs."""
        return constant(self._model, self._graph.tensors[index]) is not None

    def matrix(self, index: int) -> int | None:
        """Return in 16 bits what the converter took for weights, and the model has in 16; None for weights.

        Raises:
            ConversionError: it could be several.
        """
        tensor, scale = self._graph.tensors[index], self.scale(index)
        if scale is None:
            return None
        found = matrices_from(self._int16, *self._held(index), tuple(map(int, tensor.shape)))
        if not found:
            return None
        return self._once(
            (index, INT16), lambda: self._in_16_bits(index, scale, self._known(tensor, only(found)))
        )

    def bias(self, index: int, ratio: float, type_: int) -> int:
        """Return a bias whose scale is `1 / ratio` of what it was."""

        def make() -> int:
            tensor = self._graph.tensors[index]
            values = np.frombuffer(constant(self._model, tensor) or b"", np.int32).astype(np.float64)
            made = self._with_values(tensor, np.rint(values * ratio).astype(_BIASES[type_]), type_)
            self._graph.tensors[made].quantization.scale = (scales_of(tensor) / ratio).astype(np.float32)
            return made

        return self._once((index, type_), make)

    def constant(self, index: int, wanted: float | None = None) -> int:
        """Return a constant in 16 bits: of the model's own values where these were cut off in 8 bits.

        Args:
            index: of the constant.
            wanted: the scale that it is to have, where that is not its own.

        Raises:
            ConversionError: they are not to be found.
        """

        def make() -> int:
            tensor = self._graph.tensors[index]
            scale = self.scale(index)
            held = self._held(index)
            if scale is None:  # the converter has found a grid of its own
                values = rounded_from(self._int16, *held)
                scale = max(float(np.abs(values).max()), _SMALLEST) / (2**15 - 1)
            else:
                values = self._known(tensor, cut_off_from(self._int16, *held))
            return self._in_16_bits(index, wanted or scale, values)

        return self._once((index, INT16, wanted), make)

    def _in_16_bits(self, index: int, scale: float, values: np.ndarray) -> int:
        integers = np.clip(np.rint(values / scale), -(2**15), 2**15 - 1).astype(np.int16)
        made = self._with_values(self._graph.tensors[index], integers, INT16)
        self.retype(made, INT16, (scale, 0))
        return made

    @staticmethod
    def _known(tensor: Any, values: np.ndarray | None) -> np.ndarray:
        if values is not None:
            return values
        name = text(tensor.name)
        raise ConversionError(
            f"The converter changed the constant {name!r}, so that its values in 16 bits are not known. Give "
            f"its layer another scheme, as with rules={{{layer_of(name)!r}: 'int8'}}."
        )

    def float_constant(self, index: int) -> int:
        """Return a constant in float."""

        def make() -> int:
            values = rounded_from(self._int16, *self._held(index)).astype(np.float32)
            made = self._with_values(self._graph.tensors[index], values, FLOAT32)
            self.retype(made, FLOAT32, None)
            return made

        return self._once((index, FLOAT32), make)

    def converted(self, index: int, type_: int, grid: ScaleAndZeroPoint | None, reader: Any) -> int:
        """Return what a tensor is in another type, made before the operator that reads it."""

        def make() -> int:
            made = self.like(index, type_, grid)
            name = "DEQUANTIZE" if type_ == FLOAT32 else "QUANTIZE"
            self.insert(name, self._graph.operators.index(reader), index, made)
            return made

        return self._once((index, type_), make)

    def like(self, index: int, type_: int, grid: ScaleAndZeroPoint | None) -> int:
        """Append a tensor of the same shape and return its number."""
        made = copy.copy(self._graph.tensors[index])
        made.name = f"{text(made.name)}:{_NAMES[type_]}"
        self._graph.tensors.append(made)
        self.retype(len(self._graph.tensors) - 1, type_, grid)
        return len(self._graph.tensors) - 1

    def retype(self, index: int, type_: int, grid: ScaleAndZeroPoint | None) -> None:
        """Set a tensor's type and grid."""
        tensor = self._graph.tensors[index]
        tensor.type, tensor.quantization = type_, None
        if grid is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.asarray([grid[0]], np.float32)
            tensor.quantization.zeroPoint = np.asarray([grid[1]], np.int64)

    def insert(self, name: str, place: int, input_: int, output: int) -> None:
        """Insert a QUANTIZE or DEQUANTIZE before the operator at a place."""
        options = name.capitalize() + "Options"
        operator = schema.OperatorT()
        operator.opcodeIndex = operator_code(self._model, name)
        operator.inputs, operator.outputs = [input_], [output]
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options)
        operator.builtinOptions = getattr(schema, options + "T")()
        self._graph.operators.insert(place, operator)

    def _once(self, key: tuple[int | float | None, ...], make: Callable[[], int]) -> int:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def _held(self, index: int) -> tuple[np.ndarray, float]:
        """Return the values that a constant of 8 bits holds, and its scale."""
        tensor = self._graph.tensors[index]
        (scale,), zero_point = scales_of(tensor), int(tensor.quantization.zeroPoint[0])
        integers = np.frombuffer(constant(self._model, tensor) or b"", np.int8).astype(np.float64)
        return (integers - zero_point) * scale, float(scale)

    def _with_values(self, tensor: Any, values: np.ndarray, type_: int) -> int:
        """Append a tensor with other values and return its number."""
        made = copy.deepcopy(tensor)
        made.buffer, made.type = add_buffer(self._model, values), type_
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1
