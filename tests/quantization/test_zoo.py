"""Every model of the zoo: quantize, train a step, save, load, export, run; the file does the same."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization import calibrate

_spec = importlib.util.spec_from_file_location("zoo", Path(__file__).with_name("zoo.py"))
zoo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(zoo)


@pytest.mark.parametrize("name", zoo.MODELS)
def test_the_file_does_what_the_model_does(name, tmp_path):
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(64, *zoo.SHAPE)).astype("float32")
    model = tfopt.quantize_aware(zoo.MODELS[name]())
    calibrate(model, x)
    model.compile("adam", "mse")
    model.fit(x, np.zeros((len(x), *model.output_shape[1:])), epochs=1, verbose=0)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))

    file = tfopt.to_tflite(loaded)
    summary = file.summary()
    assert not summary.float_operators
    difference = file.verify(loaded, x)
    assert difference.max_lsb <= 2
    assert difference.mean_lsb <= 0.3
