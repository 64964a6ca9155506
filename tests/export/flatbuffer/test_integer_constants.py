"""Integers of few bits in place of constants: packed, with their scales, and biases that follow."""

import numpy as np
import pytest

from tests.export.handmade import Handmade, calls_of, tensor_of, values_of
from tfopt.export.flatbuffer.fields import type_name
from tfopt.export.flatbuffer.integer_constants import Integers, packed, store


@pytest.mark.parametrize(("bits", "expected"), [(8, [1, 0xFE, 7]), (4, [0xE1, 0x07]), (2, [0b111001])])
def test_the_first_value_is_in_the_lowest_bits(bits, expected):
    values = {8: [1, -2, 7], 4: [1, -2, 7], 2: [1, -2, -1]}[bits]
    assert packed(np.array(values), bits).tolist() == expected


def dense(activations, weights):
    """Return a file of a dense layer of two inputs and two outputs."""
    made = Handmade()
    scale = 0.5 if activations == "int8" else None
    x, y = (made.tensor(name, activations, (1, 2), scale) for name in ("x", "y"))
    kernel = made.tensor(
        "kernel", weights, scale=[0.1, 0.2] if weights == "int8" else None, values=np.ones((2, 2))
    )
    bias = made.tensor("bias", "int32", scale=[0.05, 0.1], values=[40, 40])
    made.call("FULLY_CONNECTED", [x, kernel, bias], [y], "FullyConnectedOptions")
    return made.parsed([x], [y])


def stored(file, values, scales, bits):
    (call,) = file.calls()
    columns = Integers(np.array(values, np.int8), np.array(scales), bits, axis=0, channels_last=False)
    store(file.model, call.graph, call.operator, int(call.operator.inputs[1]), columns)


def test_with_int8_activations_the_operator_reads_them_and_the_bias_follows_the_scales():
    file = dense("int8", "int8")
    stored(file, [[7, -7], [3, 1]], [0.05, 0.1], bits=4)
    assert [name for name, *_ in calls_of(file)] == ["FULLY_CONNECTED"]
    assert type_name(tensor_of(file, "kernel")) == "int4"
    np.testing.assert_array_equal(tensor_of(file, "kernel").quantization.scale, np.float32([0.05, 0.1]))
    np.testing.assert_array_equal(values_of(file, "bias"), [80, 80])
    np.testing.assert_allclose(tensor_of(file, "bias").quantization.scale, [0.025, 0.05])


def test_small_integers_are_stretched_for_kernels_that_round_twice():
    file = dense("int8", "int8")
    stored(file, [[3, -3], [1, 2]], [0.7, 1.4], bits=3)
    assert type_name(tensor_of(file, "kernel")) == "int4"
    np.testing.assert_allclose(tensor_of(file, "kernel").quantization.scale, [0.35, 0.7], rtol=1e-6)
    data = np.asarray(file.model.buffers[tensor_of(file, "kernel").buffer].data, np.uint8)
    # The columns are the channels, whose weights are rows in the file: 6 and 2, -6 and 4.
    np.testing.assert_array_equal(data, packed(np.array([[6, 2], [-6, 4]]), 4))


def test_with_float_activations_a_dequantize_reads_them():
    file = dense("float32", "float32")
    stored(file, [[7, -7], [3, 1]], [0.05, 0.1], bits=4)
    assert calls_of(file)[0] == ("DEQUANTIZE", ["kernel:integers"], ["kernel"])
    assert [type_name(tensor_of(file, name)) for name in ("kernel:integers", "kernel")] == ["int4", "float32"]
