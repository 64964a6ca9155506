"""A float input that only a QUANTIZE reads becomes the integers that this makes of it."""

import pytest

from tests.export.handmade import Handmade, calls_of
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.inputs_outputs import inputs_and_outputs
from tfopt.export.passes.integer_inputs import quantize_inputs
from tfopt.export.passes.name_tensors import name_tensors


def two_inputs(*, read_twice=False):
    made = Handmade()
    a, b = (made.tensor(name, "float32") for name in ("a", "b"))
    integers = made.tensor("integers", scale=0.1, zero_point=3)
    y, z = made.tensor("y", scale=0.1, zero_point=3), made.tensor("z", "float32")
    made.call("QUANTIZE", [a], [integers])
    made.call("RELU", [integers], [y])
    made.call("TANH", [a if read_twice else b], [z])
    file = made.parsed([a, b], [y, z])
    name_tensors(file, ("a", "b"), ("y", "z"), str)
    return file


def test_the_quantizer_goes_and_the_signature_follows():
    file = two_inputs()
    assert quantize_inputs(file, {"b"})
    (first, second), _ = inputs_and_outputs(file.model)
    assert (first.name, first.dtype, first.zero_point) == ("a", "int8", 3)
    assert (second.name, second.dtype) == ("b", "float32")
    assert [name for name, *_ in calls_of(file)] == ["RELU", "TANH"]
    assert [type_name(file.graphs[0].tensors[index]) for index in file.graphs[0].inputs] == [
        "int8",
        "float32",
    ]


@pytest.mark.parametrize(
    ("file", "unquantized"), [(two_inputs(), {"a", "b"}), (two_inputs(read_twice=True), {"b"})]
)
def test_an_input_that_something_else_reads_stays_in_float(file, unquantized):
    assert not quantize_inputs(file, unquantized)
    assert [spec.dtype for spec in inputs_and_outputs(file.model)[0]] == ["float32", "float32"]
