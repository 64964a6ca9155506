"""ReversibleEmbedding: one table that trains as one, looked up and multiplied with."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.quantization import calibrate

SCHEMES = ("int8", "int4", "int16x8", "int8_weights", "int4_weights", "dynamic")


def _model(**config):
    keras.utils.set_random_seed(0)
    tokens = keras.Input((6,), dtype="int32")
    embedding = L.ReversibleEmbedding(20, 8, name="tokens", embeddings_initializer="normal", **config)
    hidden = L.Dense(8, activation="relu")(embedding(tokens))
    return keras.Model(tokens, embedding(hidden, reverse=True))


X = np.random.default_rng(0).integers(0, 20, (64, 6)).astype("int32")


@pytest.mark.parametrize(
    "scheme",
    [
        each if each in ("int8", "int8_weights") else pytest.param(each, marks=pytest.mark.slow)
        for each in SCHEMES
    ],
)
def test_the_file_does_what_the_model_does(scheme, tmp_path):
    model = _model()
    quantized = tfopt.quantize_aware(model, scheme)
    if "int8" in scheme or scheme == "int4":
        calibrate(quantized, X) if "weights" not in scheme else None
    quantized.compile("adam", "mse")
    quantized.fit(X, np.zeros((64, 6, 20)), verbose=0)
    assert len(quantized.trainable_weights) == len(model.trainable_weights) == 3
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), quantized.predict(X, verbose=0))
    difference = tfopt.to_tflite(loaded).verify(loaded, X)
    assert difference.passed
    assert difference.max_lsb is None or difference.max_lsb <= 1


@pytest.mark.parametrize(
    "config", [{"tie_weights": False}, {"logit_soft_cap": 0.05}, {"reverse_dtype": "float32"}]
)
def test_the_copy_computes_what_the_layer_computes(config):
    model = _model(**config)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, X)
    expected = model.predict(X, verbose=0)
    error = quantized.predict(X, verbose=0) - expected
    assert np.abs(error).max() < 0.06 * np.abs(expected).max()
    assert not tfopt.to_tflite(quantized).summary().float_operators


def test_a_mask_that_is_in_no_graph_is_refused_and_the_advice_works():
    with pytest.raises(UnsupportedOperation, match="mask_zero=False"):
        tfopt.quantize_aware(_model(mask_zero=True))
    tokens = keras.Input((6,), dtype="int32")
    embedding = L.ReversibleEmbedding(20, 8)
    kept = keras.ops.not_equal(tokens, 0)
    attended = L.MultiHeadAttention(2, 4)(embedding(tokens), embedding(tokens), attention_mask=kept[:, None])
    quantized = tfopt.quantize_aware(keras.Model(tokens, embedding(attended, reverse=True)))
    calibrate(quantized, X)
    assert tfopt.to_tflite(quantized).verify(quantized, X).passed
