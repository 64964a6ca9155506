"""In which scheme a quantization-aware model is written, and which of its weights are put into the file."""

import keras
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export.trained_weights.file_scheme import file_scheme, quantized_weights, schemes_in
from tfopt.quantization import Scheme


def float_model():
    inputs = keras.Input((6,))
    return keras.Model(inputs, L.Dense(4, name="head")(L.Dense(32, name="hidden")(inputs)))


@pytest.fixture(scope="module")
def aware():
    schemes = ("int8", "int16x8", "dynamic", "int8_weights", "int4", "int4_weights")
    return {scheme: tfopt.quantize_aware(float_model(), scheme) for scheme in schemes}


@pytest.mark.parametrize(
    ("trained", "asked", "expected"),
    [
        ("int8", None, ("int8", True)),
        ("int8", "int8", ("int8", True)),
        ("int4", None, ("int8", True)),
        ("int16x8", None, ("int16x8", True)),
        ("int4_weights", None, ("float32", True)),
        ("dynamic", "dynamic", ("float32", True)),
        ("int8", "dynamic", ("dynamic", False)),
        ("int8", "float16", ("float16", False)),
        ("int4_weights", "float32", ("float32", False)),
    ],
)
def test_a_model_is_written_as_trained_or_without_its_rounding(aware, trained, asked, expected):
    assert file_scheme(aware[trained], asked) == expected


@pytest.mark.parametrize(("asked", "expected"), [(None, ("float32", False)), ("int4", ("int4", False))])
def test_a_float_model_is_written_as_asked(asked, expected):
    assert file_scheme(float_model(), asked) == expected


def test_another_scheme_than_the_trained_one_is_refused(aware):
    with pytest.raises(InvalidArgumentError, match="was trained for 'int8', and cannot be written as 'int4'"):
        file_scheme(aware["int8"], "int4")


def test_float_weights_with_integer_activations_have_no_kernel():
    model = tfopt.quantize_aware(float_model(), Scheme(weight_bits=None))
    with pytest.raises(InvalidArgumentError, match="weights of 'hidden' were trained in float"):
        file_scheme(model, None)


def test_weights_that_the_converter_rounds_alike_are_left_to_it(aware):
    assert quantized_weights(aware["int8"]) == {}
    found = quantized_weights(aware["int4"])
    assert {path: each.bits for path, each in found.items()} == {"hidden": 4, "head": 4}
    assert found["hidden"].values.shape == (6, 32)
    assert {*schemes_in(aware["int4"])} == {"hidden", "head"}
