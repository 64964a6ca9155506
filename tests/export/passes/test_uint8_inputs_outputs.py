"""Inputs and outputs in uint8 are those in int8, 128 higher."""

import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export import TFLiteModel


@pytest.fixture(params=["quantization-aware", "after training", "litert-quantizer"])
def export(request, trained, quantized, digits):
    if request.param == "quantization-aware":
        return lambda **types: tfopt.to_tflite(quantized, **types)
    engine = "litert-quantizer" if request.param == "litert-quantizer" else None
    data = digits.x_train[:64]
    return lambda **types: tfopt.to_tflite(trained, "int8", data, engine=engine, **types)


def test_the_integers_are_128_higher_and_all_else_is_equal(export, digits):
    signed, unsigned = export(), export(input_type="uint8", output_type="uint8")
    x = digits.x_test[:64]
    for before, after in zip(
        (*signed.inputs, *signed.outputs), (*unsigned.inputs, *unsigned.outputs), strict=True
    ):
        assert (before.dtype, after.dtype) == ("int8", "uint8")
        assert (after.scale, after.zero_point) == (before.scale, before.zero_point + 128)
        assert (after.name, after.step, after.shape) == (before.name, before.step, before.shape)
    np.testing.assert_array_equal(
        unsigned.predict_quantized(x).astype(int), signed.predict_quantized(x).astype(int) + 128
    )
    np.testing.assert_array_equal(unsigned.predict(x), signed.predict(x))
    assert unsigned.summary().scheme == "int8"


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ({"input_type": "uint8"}, ("uint8", "int8")),
        ({"output_type": "uint8"}, ("int8", "uint8")),
        ({"input_type": "uint8", "output_type": "float32"}, ("uint8", "float32")),
    ],
)
def test_each_end_for_itself(quantized, digits, types, expected):
    file = TFLiteModel(bytes(tfopt.to_tflite(quantized, **types)))
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == expected
    signed = tfopt.to_tflite(quantized, output_type="float32" if expected[1] == "float32" else None)
    np.testing.assert_array_equal(file.predict(digits.x_test[:64]), signed.predict(digits.x_test[:64]))


@pytest.mark.parametrize("scheme", ["float32", "dynamic", "int16x8"])
def test_other_schemes_have_no_uint8(trained, digits, scheme):
    with pytest.raises(InvalidArgumentError, match=r"input_type must be .* got 'uint8'"):
        tfopt.to_tflite(trained, scheme, digits.x_train[:8], input_type="uint8")
