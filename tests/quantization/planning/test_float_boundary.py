"""What a rule leaves in float: identities in training, and the same model after saving."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization.planning.float_boundary import FloatBoundary


def boundaries(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if isinstance(layer, FloatBoundary)]


def model() -> keras.Model:
    x = keras.Input((4,))
    hidden = keras.layers.Dense(6, name="hidden")(x)
    largest = keras.layers.Maximum(name="largest")([hidden, keras.layers.Dense(6, name="other")(x)])
    return keras.Model(x, keras.layers.Dense(2, name="out")(largest))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (None, []),
        ({"largest": None}, ["largest.boundary"]),
        ({"largest": None, "out": None}, ["largest.boundary"]),
        ({"hidden": None}, ["hidden.boundary"]),
    ],
)
def test_stand_around_what_a_rule_leaves_in_float(rules, expected):
    assert boundaries(tfopt.quantize_aware(model(), rules=rules)) == expected


def test_stand_nowhere_where_all_activations_are_in_float():
    assert not boundaries(tfopt.quantize_aware(model(), "int8_weights"))


def test_are_the_same_after_saving(tmp_path):
    x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
    quantized = tfopt.quantize_aware(model(), rules={"largest": None})
    tfopt.quantization.calibrate(quantized, x)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert boundaries(loaded) == ["largest.boundary"]
    assert bytes(tfopt.to_tflite(loaded)) == bytes(tfopt.to_tflite(quantized))
