"""Every operation of the table: the quantization-aware copy is near the model, the file is the copy."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical

_SPEC = importlib.util.spec_from_file_location(
    "operations_table", Path(__file__).with_name("operations_table.py")
)
table = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(table)


def _samples(model):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=(64, *x.shape[1:])).astype("float32") for x in model.inputs]
    for array in arrays:
        array[0] = 0.0  # such as padding: no norm divides by it
    return arrays if len(arrays) > 1 else arrays[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", table.MODELS)
def test_the_file_does_what_the_model_does(name):
    keras.utils.set_random_seed(0)
    model = table.MODELS[name]()
    x = _samples(model)
    np.testing.assert_allclose(canonical(model)[0](x), model(x), atol=1e-4, rtol=1e-4)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    difference = file.verify(quantized, x)
    assert difference.passed
    # A mean of four integers lies halfway between two often, which LiteRT rounds up; Dense multiplies that.
    assert difference.max_lsb is None or difference.max_lsb <= (3 if name == "Resizing" else 2)
    assert difference.snr_db > 25
