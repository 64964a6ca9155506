"""The tensors of a file that hold real numbers, in the order in which it runs."""

import numpy as np
import pytest

from tests.export.handmade import Handmade
from tfopt.errors import InvalidArgumentError
from tfopt.export import TFLiteModel
from tfopt.export.debug.intermediate_tensors import INPUT, Trace, file_tensors


@pytest.fixture
def file():
    """x + constant, in int8, and its square root in float; and the shape of x, which is no real number."""
    made = Handmade()
    x, y = made.tensor("x", scale=0.5), made.tensor("y", scale=0.5)
    constant = made.tensor("constant", scale=0.5, values=[[1, 2, 3, 4]])
    floats, root = made.tensor("floats", "float32"), made.tensor("root", "float32")
    shape = made.tensor("shape", "int32", shape=(2,))
    made.call("ADD", [x, constant], [y], "AddOptions")
    made.call("DEQUANTIZE", [y], [floats], "DequantizeOptions")
    made.call("SQRT", [floats], [root])
    made.call("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    return TFLiteModel(made.parsed([x], [root]).serialize())


def test_constants_shapes_and_dequantized_copies_are_left_out(file):
    found = [(each.name, each.operator, each.position, each.scale) for each in file_tensors(file)]
    assert found == [("x", INPUT, -1, 0.5), ("y", "ADD", 0, 0.5), ("root", "SQRT", 2, None)]
    by_name = {each.name: each for each in file_tensors(file)}
    assert by_name["y"].sources == (by_name["x"].index,)
    assert by_name["root"].sources == (by_name["y"].index,)


@pytest.mark.parametrize("kernels", ["delegate", "builtin", "reference"])
def test_a_trace_keeps_their_real_numbers(file, kernels):
    tensors = file_tensors(file)
    x = np.array([[1, 2, 3, 4], [0, 1, 0, 1]], np.float32)
    values = Trace(file, kernels).run([x], tensors)
    y = x + 0.5 * np.array([1, 2, 3, 4])
    np.testing.assert_allclose(values[tensors[0].index], x)
    np.testing.assert_allclose(values[tensors[1].index], y)
    np.testing.assert_allclose(values[tensors[2].index], np.sqrt(y), rtol=1e-6)


def test_unknown_kernels_are_refused(file):
    with pytest.raises(InvalidArgumentError, match="kernels"):
        Trace(file, "fast")
