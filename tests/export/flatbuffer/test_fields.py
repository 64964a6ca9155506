import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from tests.export.handmade import Handmade, tensor_of
from tfopt.export.flatbuffer.fields import constant, operator_name, per_tensor, scales_of, text, type_name


@pytest.fixture
def file():
    made = Handmade()
    x = made.tensor("x", scale=0.5, zero_point=3)
    weights = made.tensor("weights", scale=[0.1, 0.2], values=[[1, 2], [3, 4]])
    y = made.tensor("y", "float32")
    made.call("CUSTOM", [x, weights], [y])
    return made.parsed([x], [y])


def test_of_tensors(file):
    x, weights, y = (tensor_of(file, name) for name in ("x", "weights", "y"))
    assert [type_name(each) for each in (x, weights, y)] == ["int8", "int8", "float32"]
    assert [per_tensor(each) for each in (x, weights, y)] == [(0.5, 3), (None, None), (None, None)]
    assert [scales_of(each).tolist() for each in (x, y)] == [[0.5], []]
    np.testing.assert_allclose(scales_of(weights), [0.1, 0.2])
    assert [constant(file.model, each) for each in (x, weights, y)] == [None, b"\x01\x02\x03\x04", None]


def test_of_operators(file):
    operator = file.graphs[0].operators[0]
    assert operator_name(file.model, operator) == "CUSTOM"
    file.model.operatorCodes[0].customCode = b"MyOperator"
    assert operator_name(file.model, operator) == "MyOperator"
    code = file.model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.ADD
    assert operator_name(file.model, operator) == "ADD"


@pytest.mark.parametrize(
    ("value", "expected"), [(b"L\xc3\xb6we", "Löwe"), ("Löwe", "Löwe"), (None, ""), (b"\xff", "\ufffd")]
)
def test_text_is_read_whatever_its_bytes_are(value, expected):
    assert text(value) == expected
