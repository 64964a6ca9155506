"""What TensorFlow's converter is asked for, and what is left to a pass over its file."""

import keras
import pytest
from keras import layers as L

import tfopt
from tfopt.export.conversion import Conversion
from tfopt.export.converter.settings import converter_settings
from tfopt.export.options import Options


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    y = L.Concatenate(name="both")([L.Dense(3, name="left")(a), L.Dense(3, name="right")(b)])
    return keras.Model([a, b], L.Dense(2, name="head")(y))


def conversion(scheme, input_type, output_type, *, quantized=False):
    options = Options(scheme=scheme)
    return Conversion(
        options=options,
        scheme=scheme,
        integer=options.integer,
        quantized=quantized,
        rounded=quantized,
        input_type=input_type,
        output_type=output_type,
        settings={},
        samples=None,
        batch_size=1,
        left_open=(),
        named_after=None,
    )


@pytest.mark.parametrize(
    ("scheme", "dtypes", "expected"),
    [
        ("float32", ("float32", "float32"), {}),
        ("float16", ("float32", "float32"), {"optimize": True, "float16": True}),
        ("int8", ("int8", "float32"), {"optimize": True}),
        ("int16x8", ("int16", "int16"), {"optimize": True, "int16": True}),
    ],
)
def test_of_a_float_model_they_are_those_of_the_scheme(scheme, dtypes, expected):
    settings, by_pass = converter_settings(two_inputs(), conversion(scheme, *dtypes))
    assert settings == {**expected, "input_type": dtypes[0], "output_type": dtypes[1]}
    assert by_pass is None


def test_uint8_is_left_to_a_pass():
    settings, _ = converter_settings(two_inputs(), conversion("int8", "uint8", "uint8"))
    assert (settings["input_type"], settings["output_type"]) == ("int8", "int8")


@pytest.mark.parametrize(
    ("rules", "dtypes", "expected", "by_pass"),
    [
        (None, ("int16", "int16"), ("int8", "int8"), None),
        (None, ("float32", "float32"), ("float32", "float32"), None),
        ({"left": None}, ("int16", "int16"), ("float32", "int8"), {"a"}),
        ({"left": None}, ("float32", "int16"), ("float32", "int8"), None),
        ({"head": None}, ("int16", "int16"), ("int8", "float32"), None),
    ],
)
def test_a_trained_model_is_converted_in_int8_and_what_it_has_in_float_stays(
    rules, dtypes, expected, by_pass
):
    model = tfopt.quantize_aware(two_inputs(), "int16x8", rules=rules)
    settings, found = converter_settings(model, conversion("int16x8", *dtypes, quantized=True))
    assert (settings["input_type"], settings["output_type"]) == expected
    assert "int16" not in settings
    assert found == by_pass
