import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e30])
def test_an_exploded_range_is_refused_at_export(quantized, value):
    maximum = quantized.get_layer("relu.quantizer").maximum
    before = maximum.numpy()
    maximum.assign(value)
    try:
        with pytest.raises(InvalidArgumentError, match=r"exploded in 'relu' \(its output ranges from 0 to"):
            tfopt.to_tflite(quantized)
    finally:
        maximum.assign(before)


def test_exploded_weights_are_refused_at_export(trained, digits):
    bias = trained.get_layer("head").bias
    before = bias.numpy()
    bias.assign(before * np.nan)
    try:
        with pytest.raises(InvalidArgumentError, match=r"exploded in 'head' \(NaN or infinity in bias\)"):
            tfopt.to_tflite(trained, "int8", digits.x_train[:8])
    finally:
        bias.assign(before)
