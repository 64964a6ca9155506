"""Quantization-aware training by tensorflow-model-optimization, in a Keras 3 fit."""

import re

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedOperation


def _ranges(model):
    return {
        each.name.split(".")[-1]: float(each.numpy())
        for each in tfopt.tfmot.bridge_of(model).shared
        if each.name.endswith(("_min", "_max")) and each.shape == ()
    }


@pytest.fixture(scope="module")
def trained(cnn, digits, logits_loss):
    """A model that is pruned by tfopt, calibrated, trained by Keras 3 and written, with its history."""
    x, y = digits.x_train[:256], digits.y_train[:256]
    pruned = tfopt.prune(cnn(), 0.6)
    model = tfopt.quantize_aware(pruned, engine="tfmot")
    guessed = _ranges(model)
    tfopt.quantization.calibrate(model, x)
    calibrated = _ranges(model)
    model.compile(keras.optimizers.AdamW(0.003), logits_loss)
    losses = model.fit(x, y, epochs=2, verbose=0).history["loss"]
    return model, tfopt.to_tflite(model), pruned, (guessed, calibrated, _ranges(model)), losses


def test_it_learns(trained):
    assert trained[-1][-1] < trained[-1][0]


def test_the_file_is_of_integers_and_does_what_the_model_does(trained, digits):
    model, file, *_ = trained
    summary = file.summary()
    assert summary.scheme == "int8"
    assert not summary.float_operators
    found = file.verify(model, digits.x_test)
    assert found.passed
    assert found.top1_agreement > 0.99


def test_zeros_of_an_earlier_stage_stay_in_the_model_and_in_the_file(trained):
    model, file, pruned, *_ = trained
    assert tfopt.measure.sparsity(model) == tfopt.measure.sparsity(pruned)
    tfopt.Prune(0.6).check(pruned, model)
    assert file.summary().sparsity >= tfopt.measure.sparsity(pruned)
    assert tfopt.measure.macs(model) == tfopt.measure.macs(pruned)


def _input(ranges):
    # tf_keras numbers the layer that stands first.
    return next(value for name, value in ranges.items() if re.fullmatch(r"quantize_layer.*_max", name))


def test_calibration_replaces_the_guess_and_training_moves_on_from_it(trained, digits):
    guessed, calibrated, moved = trained[3]
    assert guessed["output_max"] == 6.0
    assert _input(calibrated) == pytest.approx(digits.x_train[:256].max())
    assert 0 < calibrated["output_max"] < 6.0
    assert moved["output_max"] != calibrated["output_max"]


def test_it_is_saved_by_the_recipe_that_made_it(trained, digits, tmp_path):
    model = trained[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = digits.x_test[:64]
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
    assert tfopt.graph.is_quantized(loaded)


def test_a_quantized_model_is_not_stripped(trained):
    with pytest.raises(InvalidArgumentError, match=r"tfopt\.to_tflite"):
        tfopt.tfmot.strip(trained[0])


def _with(layer):
    return keras.Sequential([keras.Input((6, 4)), layer, keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.BatchNormalization(name="odd"), "no rule for BatchNormalization"),
        (keras.layers.RMSNormalization(name="odd"), "no rule for RMSNormalization"),
        (keras.layers.Dense(4, activation="elu", name="odd"), "no rule for its activation"),
    ],
    ids=["bn first", "not in tf_keras", "activation"],
)
def test_the_layer_that_it_stumbles_over_is_named(layer, message):
    with pytest.raises(UnsupportedOperation, match=f"quantize 'odd'.*{message}.*engine=\"keras\" takes it"):
        tfopt.quantize_aware(_with(layer), engine="tfmot")


@pytest.mark.slow
def test_a_rule_leaves_a_layer_in_float():
    model = tfopt.quantize_aware(
        _with(keras.layers.RMSNormalization(name="odd")), rules={"odd": None}, engine="tfmot"
    )
    tfopt.quantization.calibrate(model, np.random.default_rng(0).normal(size=(32, 6, 4)).astype("float32"))
    assert tfopt.to_tflite(model).summary().float_operators


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheme": "int4"}, 'knows the scheme "int8" alone'),
        ({"engine_options": {"scheme": "default_4bit"}}, "'preserve_sparsity'"),
        ({"preserve": "sparsity", "engine_options": {"scheme": "default_8bit"}}, "not both"),
    ],
)
def test_bad_arguments(cnn, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.quantize_aware(cnn(), engine="tfmot", **arguments)


@pytest.mark.slow
def test_clusters_and_zeros_are_preserved_by_the_schemes_of_the_engine(
    cnn, some_digits, logits_loss, tmp_path
):
    x, y = some_digits
    pruned = tfopt.prune(cnn(), 0.5)
    clustered = tfopt.cluster(pruned, 8, engine="tfmot")
    clustered.compile("adam", logits_loss)
    clustered.fit(x, y, verbose=0)
    source = tfopt.tfmot.strip(clustered)
    tfopt.Prune().check(pruned, source)
    model = tfopt.quantize_aware(source, engine="tfmot", preserve=["sparsity", "clusters"])
    tfopt.quantization.calibrate(model, x)
    model.compile("adam", logits_loss)
    model.fit(x, y, verbose=0)
    file = tfopt.to_tflite(model)
    for weights in file.summary().weights:
        assert weights.sparsity >= 0.5
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))
