"""Names of quantizers, and what they say in files of models that were saved by older versions."""

import pytest

from tfopt.quantization import ActivationQuantizer, FixedQuantizer
from tfopt.quantization.quantizers.activation_int16 import WideQuantizer
from tfopt.quantization.quantizers.names import quantized_by, requantizer_name


def test_names():
    assert requantizer_name("conv.relu.quantizer") == "conv.relu.int8.quantizer"
    assert quantized_by("conv.relu.quantizer") == "conv.relu"
    assert quantized_by("conv") == "conv"


@pytest.mark.parametrize("make", [ActivationQuantizer, lambda **kwargs: FixedQuantizer(-1.0, 1.0, **kwargs)])
@pytest.mark.parametrize(
    ("name", "expected"), [("a.int8.quantizer", "a.quantizer"), ("a.quantizer", None), ("int8", None)]
)
def test_in_an_old_file_the_name_says_what_is_requantized(make, name, expected):
    layer = make(name=name)
    config = layer.get_config()
    assert config.pop("requantizes") is None
    assert type(layer).from_config(config).requantizes == expected


@pytest.mark.parametrize("make", [ActivationQuantizer, lambda **kwargs: FixedQuantizer(-1.0, 1.0, **kwargs)])
def test_in_a_new_file_the_name_says_nothing(make):
    layer = make(name="a.int8.quantizer")
    assert type(layer).from_config(layer.get_config()).requantizes is None
    layer = make(name="b", requantizes="a.quantizer")
    assert type(layer).from_config(layer.get_config()).requantizes == "a.quantizer"


def test_of_16_bits_nothing_is_requantized():
    layer = WideQuantizer(name="a.int8.quantizer")
    assert WideQuantizer.from_config(layer.get_config()).requantizes is None
