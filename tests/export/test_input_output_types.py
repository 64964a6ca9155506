"""Which inputs and outputs of a file are integers, read off its model."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.export.input_output_types import float_inputs, has_integer_outputs


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    y = L.Concatenate(name="both")([L.Dense(3, name="left")(a), L.Dense(3, name="right")(b)])
    return keras.Model([a, b], L.Dense(2, name="head")(y))


@pytest.mark.parametrize(
    ("rules", "inputs", "integer"),
    [
        (None, set(), True),
        ({"left": None}, {"a"}, True),
        ({"left": None, "right": None}, {"a", "b"}, True),
        ({"head": None}, set(), False),
    ],
)
def test_rules_leave_inputs_and_outputs_in_float(rules, inputs, integer):
    model = tfopt.quantize_aware(two_inputs(), rules=rules)
    assert float_inputs(model) == inputs
    assert has_integer_outputs(model) == integer


def test_an_output_keeps_the_scale_of_what_it_only_moves():
    inputs = keras.Input((4, 4, 2))
    model = keras.Model(inputs, L.Flatten()(L.MaxPooling2D()(L.Conv2D(2, 1)(inputs))))
    assert has_integer_outputs(tfopt.quantize_aware(model))


def test_integer_inputs_are_no_float_inputs():
    tokens = keras.Input((3,), dtype="int32", name="tokens")
    model = tfopt.quantize_aware(keras.Model(tokens, L.Dense(2)(L.Flatten()(L.Embedding(5, 2)(tokens)))))
    assert float_inputs(model) == set()
    tfopt.quantization.calibrate(model, np.zeros((8, 3), np.int32))
    assert tfopt.to_tflite(model).inputs[0].dtype == "int32"
