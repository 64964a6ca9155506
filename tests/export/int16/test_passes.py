"""What the int16 pass makes of single operators of a hand-made int8 file."""

import numpy as np
import pytest

from tests.export.handmade import Handmade, calls_of, tensor_of, values_of
from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.fields import per_tensor, type_name
from tfopt.export.int16.activations import write_int16_activations
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec

INT16, OTHER, INT8 = 1e-4, 3e-4, 0.02
"""The scales of two tensors of 16 bits, and of one of 8."""
SPEC = Int16Spec(scales={INT16, OTHER}, int8_grids={INT16: (0.0256, -3)})


def types(file):
    return {
        name: type_name(tensor_of(file, name)) for _, read, made in calls_of(file) for name in (*read, *made)
    }


def one(operator, inputs, output, options=None, constant=None, **fields):
    """Return the file of one operator after the pass: of tensors with these scales, and a constant."""
    made = Handmade()
    read = [made.tensor(f"x{number}", scale=scale) for number, scale in enumerate(inputs)]
    added = [] if constant is None else [made.tensor("constant", scale=constant[0], values=constant[1])]
    y = made.tensor("y:op", scale=output)
    made.call(operator, [*read, *added], [y], options, **fields)
    file = made.parsed(read, [y])
    assert write_int16_activations(file, SPEC)
    return file


def test_tensors_of_known_scales_get_16_bits():
    file = one("ADD", [INT16, OTHER], INT16, "AddOptions", potScaleInt16=True)
    assert types(file) == {"x0": "int16", "x1": "int16", "y:op": "int16"}
    assert per_tensor(tensor_of(file, "x0")) == (pytest.approx(INT16), 0)
    assert not file.graphs[0].operators[0].builtinOptions.potScaleInt16


def test_an_int8_input_of_an_int16_operator_is_converted_without_loss():
    file = one("ADD", [INT16, INT8], INT16, "AddOptions")
    assert [name for name, *_ in calls_of(file)] == ["QUANTIZE", "ADD"]
    assert types(file) == {"x0": "int16", "x1": "int8", "x1:int16": "int16", "y:op": "int16"}
    assert per_tensor(tensor_of(file, "x1:int16")) == (pytest.approx(INT8), 0)


def test_an_int16_input_of_an_int8_operator_is_requantized_to_the_grid_of_the_model():
    file = one("RELU", [INT16], INT8)
    assert calls_of(file) == [("QUANTIZE", ["x0"], ["x0:int8"]), ("RELU", ["x0:int8"], ["y:op"])]
    assert per_tensor(tensor_of(file, "x0:int8")) == (pytest.approx(0.0256), -3)


def test_operators_without_an_exact_kernel_compute_in_float():
    file = one("RESIZE_BILINEAR", [INT16], INT16)
    assert [name for name, *_ in calls_of(file)] == ["DEQUANTIZE", "RESIZE_BILINEAR", "QUANTIZE"]
    assert types(file)["y:op:float32"] == "float32"


def test_a_comparison_is_of_one_scale_or_in_float():
    assert [name for name, *_ in calls_of(one("GREATER", [INT16, INT16], INT16))] == ["GREATER"]
    names = [name for name, *_ in calls_of(one("GREATER", [INT16, OTHER], INT16))]
    assert names == ["DEQUANTIZE", "DEQUANTIZE", "GREATER"]


def test_a_constant_in_range_keeps_its_values():
    file = one("MUL", [INT16], INT16, "MulOptions", constant=(OTHER, [[3, -4, 5, 6]]))
    (_, read, _) = calls_of(file)[0]
    tensors = file.graphs[0].tensors
    constant = tensors[int(file.graphs[0].operators[0].inputs[1])]
    assert (read[0], type_name(constant)) == ("x0", "int16")
    data = np.asarray(file.model.buffers[constant.buffer].data, np.uint8).tobytes()
    np.testing.assert_array_equal(np.frombuffer(data, np.int16), [3, -4, 5, 6])


def test_a_constant_that_was_cut_off_and_is_not_the_models_is_refused():
    with pytest.raises(ConversionError, match="changed the constant 'constant'"):
        one("MUL", [INT16], INT16, "MulOptions", constant=(OTHER, [[3, -4, 127, 6]]))


def test_a_bias_has_64_bits_and_weights_stay_in_8():
    made = Handmade()
    x, y = made.tensor("x", scale=INT16), made.tensor("y:op", scale=INT16)
    weights = made.tensor("weights", scale=[0.1, 0.2], values=np.ones((2, 4)))
    bias = made.tensor("bias", "int32", scale=[INT16 * 0.1, INT16 * 0.2], values=[40, 50])
    made.call("FULLY_CONNECTED", [x, weights, bias], [y], "FullyConnectedOptions")
    file = made.parsed([x], [y])
    write_int16_activations(file, SPEC)
    operator = file.graphs[0].operators[0]
    found = [type_name(file.graphs[0].tensors[int(index)]) for index in operator.inputs]
    assert found == ["int16", "int8", "int64"]
    np.testing.assert_array_equal(values_of(file, "weights"), np.ones(8))


def test_a_prescribed_scale_is_that_of_16_bits():
    made = Handmade()
    x, y = made.tensor("x", scale=INT16), made.tensor("gate:Sigmoid", scale=1 / 256, zero_point=-128)
    made.call("LOGISTIC", [x], [y])
    file = made.parsed([x], [y])
    write_int16_activations(file, Int16Spec(scales={INT16}, fixed={"gate"}))
    assert per_tensor(tensor_of(file, "gate:Sigmoid")) == (1 / 32768, 0)
