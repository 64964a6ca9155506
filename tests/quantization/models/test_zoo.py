"""Every model of the zoos: quantize, train a step, save, load, export, run; the file does the same."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.graph import as_functional
from tfopt.quantization import calibrate, left_in_float
from tfopt.quantization.canonicalize.canonicalize import canonical


def _zoo(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


zoo, int16_zoo, composite_zoo, user_zoo = map(_zoo, ("zoo", "int16_zoo", "composite_zoo", "user_zoo"))
EVERY = {**zoo.MODELS, **int16_zoo.MODELS, **composite_zoo.MODELS, **user_zoo.MODELS}


def _names(models, quick):
    return [name if name in quick else pytest.param(name, marks=pytest.mark.slow) for name in models]


def _samples(model):
    rng = np.random.default_rng(0)
    arrays = [
        rng.normal(size=(64, *tensor.shape[1:])).astype("float32")
        if "float" in tensor.dtype
        else rng.integers(0, 2 if tensor.dtype == "bool" else 20, (64, *tensor.shape[1:])).astype(
            tensor.dtype
        )
        for tensor in as_functional(model).inputs
    ]
    return arrays if len(arrays) > 1 else arrays[0]


def _compare(model, folder):
    """Return the summary of the file and how far it is from the model that it was made of."""
    x = _samples(model)
    model = tfopt.quantize_aware(model)
    calibrate(model, x)
    zeros = [np.zeros((64, *tensor.shape[1:])) for tensor in model.outputs]
    several = len(zeros) > 1
    model.compile("adam", ["mse"] * len(zeros) if several else "mse")
    model.fit(x, zeros if several else zeros[0], epochs=1, verbose=0)

    model.save(folder / "model.keras")
    loaded = keras.models.load_model(folder / "model.keras")
    keras.tree.map_structure(
        np.testing.assert_array_equal, loaded.predict(x, verbose=0), model.predict(x, verbose=0)
    )
    file = tfopt.to_tflite(loaded)
    return file.summary(), file.verify(loaded, x)


@pytest.mark.parametrize("name", _names(zoo.MODELS, zoo.QUICK))
def test_the_file_does_what_the_model_does(name, tmp_path):
    keras.utils.set_random_seed(0)
    summary, difference = _compare(zoo.MODELS[name](), tmp_path)
    assert not summary.float_operators
    assert difference.max_lsb <= 2
    assert difference.mean_lsb <= 0.3


@pytest.mark.parametrize("name", _names(int16_zoo.MODELS, int16_zoo.QUICK))
def test_the_file_is_integer_but_for_what_has_no_kernel(name, tmp_path):
    keras.utils.set_random_seed(0)
    summary, difference = _compare(int16_zoo.MODELS[name](), tmp_path)
    floats = {operator.operator for operator in summary.float_operators}
    assert floats == int16_zoo.LEFT_IN_FLOAT.get(name, set())
    if difference.max_lsb is not None:
        assert difference.max_lsb <= int16_zoo.MAX_LSB.get(name, 2)
        assert difference.mean_lsb <= 0.5
    assert difference.snr_db > 30


@pytest.mark.parametrize("name", _names(composite_zoo.MODELS, composite_zoo.QUICK))
def test_the_file_of_layers_made_of_others_is_integer(name, tmp_path):
    keras.utils.set_random_seed(0)
    summary, difference = _compare(composite_zoo.MODELS[name](), tmp_path)
    floats = {operator.operator for operator in summary.float_operators}
    assert floats == composite_zoo.LEFT_IN_FLOAT.get(name, set())
    assert difference.max_lsb <= composite_zoo.MAX_LSB.get(name, 3)
    assert difference.mean_lsb <= 0.5 or name in composite_zoo.MAX_LSB


@pytest.mark.parametrize("name", _names(user_zoo.MODELS, user_zoo.QUICK))
def test_the_file_of_what_users_write_is_integer(name, tmp_path):
    keras.utils.set_random_seed(0)
    summary, difference = _compare(user_zoo.MODELS[name](), tmp_path)
    floats = {operator.operator for operator in summary.float_operators}
    assert floats == user_zoo.LEFT_IN_FLOAT.get(name, set())
    assert difference.max_lsb <= user_zoo.MAX_LSB.get(name, 2)
    assert difference.mean_lsb <= 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["layer_normalization", "vit_with_positions", "vit_with_a_class_token", "mixer"]
)
def test_normalizations_become_integers_where_a_rule_asks(name):
    keras.utils.set_random_seed(0)
    model = EVERY[name]()
    x = _samples(model)
    quantized = tfopt.quantize_aware(model, rules=dict.fromkeys(left_in_float(model), "int16x8"))
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    difference = file.verify(quantized, x)
    assert difference.max_lsb <= 4
    assert difference.mean_lsb <= 0.3


SLOW = composite_zoo.MODELS.keys() - composite_zoo.QUICK | user_zoo.SLOW


@pytest.mark.parametrize("name", _names(EVERY, EVERY.keys() - SLOW))
def test_the_canonical_model_computes_the_same(name):
    keras.utils.set_random_seed(0)
    model = EVERY[name]()
    x = _samples(model)
    rewritten, _ = canonical(as_functional(model))
    keras.tree.map_structure(
        lambda one, other: np.testing.assert_allclose(one, other, atol=5e-6),
        rewritten(x, training=False),
        model(x, training=False),
    )
