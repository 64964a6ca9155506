"""Tensors, inputs and outputs are called as in the Keras model, in its order."""

import pytest

from tests.export.handmade import Handmade
from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.fields import text
from tfopt.export.flatbuffer.inputs_outputs import inputs_and_outputs
from tfopt.export.passes.name_tensors import name_tensors


@pytest.fixture
def file():
    made = Handmade()
    a, b, c, d = (made.tensor(name, "float32") for name in ("input_0", "input_1", "model/conv/add", "relu"))
    made.call("ADD", [a, b], [c])
    made.call("RELU", [c], [d])
    return made.parsed([b, a], [d, c])


def test_names_and_order(file):
    assert name_tensors(file, ("zebra", "apple"), ("yew", "ash"), lambda name: f"<{name}>")
    inputs, outputs = inputs_and_outputs(file.model)
    assert [(spec.name, spec.index) for spec in inputs] == [("zebra", 1), ("apple", 0)]
    assert [(spec.name, spec.index) for spec in outputs] == [("yew", 3), ("ash", 2)]
    names = [text(each.name) for each in file.graphs[0].tensors]
    assert names == ["apple", "zebra", "<model/conv/add>", "<relu>"]


def test_equal_names_are_numbered(file):
    name_tensors(file, ("x", "y"), ("a", "b"), lambda _name: "x")
    assert [text(each.name) for each in file.graphs[0].tensors] == ["y", "x", "x_1", "x_2"]


def test_a_file_with_fewer_inputs_than_the_model_is_refused(file):
    with pytest.raises(ConversionError, match="2 inputs and 2 outputs from a model of 3 and 2"):
        name_tensors(file, ("a", "b", "c"), ("d", "e"), str)
