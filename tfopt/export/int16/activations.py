"""Activations in int16 in a file that the converter made in int8.

The model that the converter got is made by `tfopt.export.keras_graph.int16_as_int8`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.edit import drop_unused_buffers, operator_code
from tfopt.export.flatbuffer.fields import operator_name, scales_of, text, type_name
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.int16.tensors import FLOAT32, INT8, INT16, INT32, INT64, Int16Tensors
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec, ScaleAndZeroPoint

_WEIGHTS = {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "FULLY_CONNECTED": 1, "TRANSPOSE_CONV": 1}
"""Operator -> which of its inputs stays in 8 bits."""
_BIASES = {"CONV_2D": 2, "DEPTHWISE_CONV_2D": 2, "FULLY_CONNECTED": 2, "TRANSPOSE_CONV": 3}
"""Operator -> which of its inputs is in the scale of the products."""
_FIXED = ("LOGISTIC", "SOFTMAX", "TANH")
"""The operators whose outputs have a prescribed scale."""
_FIXED_SCALE = 1 / 32768
FLOAT_FOR_INT16 = ("PRELU", "RESIZE_BILINEAR")
"""The operators whose 16-bit kernels (LiteRT 2.3) are wrong, or weigh neighbours by a thousandth: they stay
in float."""
_COMPARISONS = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
"""The operators whose 16-bit kernels compare integers without regard to their scales."""
_CONVERTING = ("QUANTIZE", "DEQUANTIZE")


def write_int16_activations(file: ParsedFile, int16: Int16Spec) -> bool:
    """Give the tensors 16-bit integers that have them in the model.

    Args:
        file: what the converter made of a model that `int16_as_int8.as_int8` has changed.
        int16: what that returned.

    Raises:
        ConversionError: the converter has changed a constant so that its values are not to be found.
    """
    for graph in file.graphs:
        _Int16Graph(file.model, graph, int16).run()
    drop_unused_buffers(file.model)
    return True


class _Int16Graph:
    """One graph of a file, whose int16 tensors get their type, and their neighbours what fits them."""

    def __init__(self, model: Any, graph: Any, int16: Int16Spec) -> None:
        self._model, self._graph, self._int16 = model, graph, int16
        self._tensors = Int16Tensors(model, graph, int16)
        self._scales: dict[int, float] = {}

    def run(self) -> None:
        """Find the int16 tensors, match the operators next to them, then set their types."""
        operators = list(self._graph.operators or [])
        for index in map(int, self._graph.inputs):
            self._find(index)
        for operator in operators:
            self._find_outputs(operator)
        for operator in operators:
            self._match(operator)
        for index, scale in self._scales.items():
            self._tensors.retype(index, INT16, (scale, 0))

    def _find(self, index: int) -> None:
        scale = self._tensors.scale(index)
        if scale is not None:
            self._scales[index] = scale

    def _find_outputs(self, operator: Any) -> None:
        inputs = [int(index) for index in operator.inputs if index >= 0]
        for index in map(int, operator.outputs):
            self._find(index)
            if index not in self._scales and self._is_fixed(operator, inputs, index):
                self._scales[index] = _FIXED_SCALE

    def _is_fixed(self, operator: Any, inputs: Sequence[int], output: int) -> bool:
        """Return whether a tensor has the prescribed scale of 16 bits: at its source, or passed on."""
        tensor = self._graph.tensors[output]
        if type_name(tensor) != "int8":
            return False
        if operator_name(self._model, operator) in _FIXED:
            made = set(layer_of(text(tensor.name)).split(" + "))
            return bool(made & self._int16.fixed) or inputs[0] in self._scales
        passed = [each for each in inputs if self._scales.get(each) == _FIXED_SCALE]
        return any(_grid(self._graph.tensors[each]) == _grid(tensor) for each in passed)

    def _match(self, operator: Any) -> None:
        """Give an operator inputs of the width that it computes in, which is that of its output."""
        name = operator_name(self._model, operator)
        inputs = [int(index) for index in operator.inputs]
        outputs = [int(index) for index in operator.outputs]
        if name in _CONVERTING or not any(index in self._scales for index in (*inputs, *outputs)):
            return
        if any(type_name(self._graph.tensors[i]) == "int8" and i not in self._scales for i in outputs):
            operator.inputs = self._in_8_bits(operator, name, inputs)
        elif name in FLOAT_FOR_INT16:
            self._keep_in_float(operator, inputs, outputs[0])
        elif name in _COMPARISONS:
            operator.inputs = self._in_one_scale(operator, inputs)
        else:
            operator.inputs = self._in_16_bits(operator, name, inputs)

    def _in_16_bits(self, operator: Any, name: str, inputs: list[int]) -> list[int]:
        if hasattr(operator.builtinOptions, "potScaleInt16"):
            # Scales near powers of two are taken for such otherwise, by a kernel that ends the process where
            # it should broadcast.
            operator.builtinOptions.potScaleInt16 = False
        before = [self._scales[index] for index in inputs if index in self._scales]
        ratio = 128.0 if _FIXED_SCALE in before else 1.0  # in 8 bits the prescribed scale is so much larger
        for position, index in enumerate(inputs):
            known = index >= 0 and self._tensors.is_constant(index)
            if known and position == _BIASES.get(name):
                inputs[position] = self._tensors.bias(index, ratio, INT64)
            elif index < 0 or type_name(self._graph.tensors[index]) != "int8":
                continue
            elif known and position != _WEIGHTS.get(name):
                inputs[position] = self._tensors.constant(index)
            elif known and name == "FULLY_CONNECTED" and (matrix := self._tensors.matrix(index)) is not None:
                return self._product(operator, inputs, matrix)
            elif not known and index not in self._scales:
                grid = (_grid(self._graph.tensors[index])[0], 0)  # each of the 8-bit values is a 16-bit one
                inputs[position] = self._tensors.converted(index, INT16, grid, operator)
        return inputs

    def _in_one_scale(self, operator: Any, inputs: list[int]) -> list[int]:
        """Return inputs in one scale, or else in float."""
        constants = [index for index in inputs if self._tensors.is_constant(index)]
        scales = {self._scales.get(index) for index in inputs if index not in constants}
        scale = scales.pop() if len(scales) == 1 else None
        if scale is None:
            return self._in_float(operator, inputs)
        return [self._tensors.constant(index, scale) if index in constants else index for index in inputs]

    def _product(self, operator: Any, inputs: list[int], matrix: int) -> list[int]:
        """Make a product of two tensors again of one with what the converter took for weights.

        Raises:
            ConversionError: it has also taken in what only an operator with weights can.
        """
        name = text(self._graph.tensors[int(operator.outputs[0])].name)
        shapes = [list(self._graph.tensors[index].shape) for index in (inputs[0], int(operator.outputs[0]))]
        plain = getattr(operator.builtinOptions, "fusedActivationFunction", None) == 0
        if not plain or any(index >= 0 for index in inputs[2:]) or shapes[0][:-1] != shapes[1][:-1]:
            raise ConversionError(
                f"The converter made {name!r} of a product with a matrix, which LiteRT multiplies by weights "
                f"of 8 bits alone. Give it another scheme, as with rules={{{layer_of(name)!r}: 'int8'}}."
            )
        operator.opcodeIndex = operator_code(self._model, "BATCH_MATMUL")
        operator.builtinOptionsType = schema.BuiltinOptions.BatchMatMulOptions
        operator.builtinOptions = schema.BatchMatMulOptionsT()
        operator.builtinOptions.adjY = True
        return [inputs[0], matrix]

    def _in_8_bits(self, operator: Any, name: str, inputs: list[int]) -> list[int]:
        """Where a quantizer to 8 bits came right after one to 16, the converter has left it out."""
        ratio = 1.0
        for position, index in enumerate(inputs):
            if index in self._scales:
                held = _grid(self._graph.tensors[index])
                grid = self._int8_grid(held)
                ratio *= held[0] / grid[0]
                inputs[position] = self._tensors.converted(index, INT8, grid, operator)
        bias = _BIASES.get(name, len(inputs))
        if ratio != 1.0 and bias < len(inputs) and inputs[bias] >= 0:
            inputs[bias] = self._tensors.bias(inputs[bias], ratio, INT32)
        return inputs

    def _int8_grid(self, held: ScaleAndZeroPoint) -> ScaleAndZeroPoint:
        return self._int16.requantized(held[0]) or held  # else what TFLite prescribes for 8 bits

    def _keep_in_float(self, operator: Any, inputs: list[int], output: int) -> None:
        """Let an operator compute in float between integers of 16 bits."""
        made = self._tensors.like(output, FLOAT32, None)
        operator.inputs, operator.outputs = self._in_float(operator, inputs), [made]
        self._tensors.insert("QUANTIZE", self._graph.operators.index(operator) + 1, made, output)

    def _in_float(self, operator: Any, inputs: list[int]) -> list[int]:
        """Return the inputs of an operator in float."""
        for position, index in enumerate(inputs):
            if index < 0 or type_name(self._graph.tensors[index]) != "int8":
                continue
            if self._tensors.is_constant(index):
                inputs[position] = self._tensors.float_constant(index)
            else:
                inputs[position] = self._tensors.converted(index, FLOAT32, None, operator)
        return inputs


def _grid(tensor: Any) -> ScaleAndZeroPoint:
    """Return scale and zero point of an activation."""
    return float(scales_of(tensor)[0]), int(tensor.quantization.zeroPoint[0])
