import numpy as np
import pytest

from tests.export.handmade import Handmade, calls_of, tensor_of
from tfopt.export.flatbuffer.fields import per_tensor, type_name
from tfopt.export.flatbuffer.replace_operator import Replacement


@pytest.fixture
def file():
    made = Handmade()
    x, y, z = (made.tensor(name, scale=scale) for name, scale in (("x", 0.1), ("y", 0.2), ("z", 0.3)))
    made.call("RELU", [x], [y])
    made.call("SOFTMAX", [y], [z], "SoftmaxOptions", beta=2.0)
    return made.parsed([x], [z])


def replacement(file, name):
    (call,) = (each for each in file.calls() if each.name == name)
    return Replacement(file.model, call.graph, call.operator)


def test_new_operators_stand_in_the_place_of_the_old_one(file):
    made = replacement(file, "RELU")
    zero = made.constant("zero", np.zeros((1, 1), np.int8), made.grid(made.input))
    positive = made.tensor("positive", made.shape(made.input), made.grid(made.input))
    made.add("MAXIMUM", [made.input, zero], positive, "MaximumMinimumOptions")
    made.add("QUANTIZE", [positive], made.output, "QuantizeOptions")
    assert [name for name, *_ in calls_of(file)] == ["RELU", "SOFTMAX"]
    made.apply()
    assert calls_of(file) == [
        ("MAXIMUM", ["x", "y/zero"], ["y/positive"]),
        ("QUANTIZE", ["y/positive"], ["y"]),
        ("SOFTMAX", ["y"], ["z"]),
    ]
    assert per_tensor(tensor_of(file, "y/positive")) == (pytest.approx(0.1), 0)


def test_the_operator_itself_between_other_tensors_keeps_its_options(file):
    made = replacement(file, "SOFTMAX")
    floats = made.add("DEQUANTIZE", [made.input], made.tensor("in", [1, 4]), "DequantizeOptions")
    made.add_same([floats], made.output)
    made.apply()
    assert [name for name, *_ in calls_of(file)] == ["RELU", "DEQUANTIZE", "SOFTMAX"]
    assert file.graphs[0].operators[-1].builtinOptions.beta == 2.0
    assert type_name(tensor_of(file, "z/in")) == "float32"


def test_a_tensor_without_a_scale_has_no_grid(file):
    tensor_of(file, "x").quantization = None
    with pytest.raises(ValueError, match="'x' is not quantized"):
        replacement(file, "RELU").grid(0)
