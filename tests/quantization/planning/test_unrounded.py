"""Indices that come in as floats are not rounded, on whatever way they take to what reads them."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

TOKENS = 1000


def _over(function, shape=(6,)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(function(inputs))))


def _embedded(x):
    return L.Embedding(TOKENS, 4, embeddings_initializer="uniform")(x)


def _rows_of_the_batch(x):
    return ops.where(ops.not_equal(x, 0)[..., None], 1.0, ops.ones((ops.shape(x)[0], 6, 4)))


WAYS = {
    "embedding": _embedded,
    "next_to_positions": lambda x: _embedded(x) + L.Embedding(6, 4)(ops.arange(ops.shape(x)[1])),
    "next_to_a_row_a_sample": lambda x: _embedded(x) + L.Lambda(_rows_of_the_batch)(x),
    "cast": lambda x: _embedded(ops.cast(x, "int32")),
    "reshape": lambda x: _embedded(L.Reshape((2, 3))(x)),
    "slice": lambda x: _embedded(x[:, 1:4]),
    "concatenate": lambda x: _embedded(ops.concatenate([x, x[:, ::-1]], axis=1)),
    "clip": lambda x: _embedded(ops.clip(x, 0, TOKENS - 1)),
    "floor": lambda x: _embedded(ops.floor(x + 0.25)),
    "one_hot": lambda x: ops.one_hot(x, TOKENS),
    "take": lambda x: ops.take(np.eye(TOKENS, 4, dtype="float32"), ops.cast(x, "int32"), axis=0),
    "category_encoding": lambda x: L.CategoryEncoding(TOKENS, output_mode="multi_hot")(x),
    "discretization": lambda x: L.Embedding(5, 4)(L.Discretization([700.25, 700.75, 701.25, 701.75])(x)),
}
QUICK = ("embedding", "next_to_a_row_a_sample", "next_to_positions", "slice", "one_hot")


@pytest.mark.parametrize(
    "way", [way if way in QUICK else pytest.param(way, marks=pytest.mark.slow) for way in WAYS]
)
def test_tokens_in_a_float_input_are_told_apart(way):
    keras.utils.set_random_seed(0)
    model = _over(WAYS[way])
    x = np.random.default_rng(0).integers(1, TOKENS, (64, 6)).astype("float32")
    x[:, 1:4] = 700.0 + np.arange(64)[:, None] % 4  # tokens that lie in one step of 255
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    scale = np.abs(model.predict(x, verbose=0)).max()
    np.testing.assert_allclose(
        quantized.predict(x, verbose=0), model.predict(x, verbose=0), atol=0.05 * scale
    )
    file = tfopt.to_tflite(quantized)
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert file.verify(quantized, x).max_lsb <= 1


@pytest.mark.parametrize("dtype", ["float32", "int32"])
def test_angles_of_many_turns_are_exact(dtype):
    """The embedding of a time or a position, as diffusion models and radiance fields have it."""
    keras.utils.set_random_seed(0)
    speeds = 2.0 * np.pi * np.exp(np.linspace(0.0, np.log(1000.0), 8)).astype("float32")
    x = np.random.default_rng(0).random((256, 1), dtype="float32")
    if dtype == "int32":
        speeds, x = speeds / 1000.0, (1000.0 * x).astype(dtype)

    def angles(time):
        angle = ops.cast(time, "float32") * speeds
        return ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)

    time = keras.Input((1,), dtype=dtype)
    model = keras.Model(time, L.Dense(4)(L.Dense(16, activation="relu")(L.Lambda(angles)(time))))
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, x).max_lsb <= 1
    assert file.verify(model, x, classification=False).snr_db > 25


def _table(x):
    numbers = L.Dense(8)(x[:, :4])
    return L.Concatenate()([numbers, L.Flatten()(_embedded(ops.cast(x[:, 4:], "int32")))])


def test_numbers_next_to_tokens_in_one_input_have_a_range_of_their_own():
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(64, 4)), rng.integers(0, TOKENS, (64, 2))], axis=1).astype("float32")
    model = _over(_table)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    scale = np.abs(model.predict(x, verbose=0)).max()
    np.testing.assert_allclose(
        quantized.predict(x, verbose=0), model.predict(x, verbose=0), atol=0.05 * scale
    )
    assert tfopt.to_tflite(quantized).verify(quantized, x).max_lsb <= 1


def test_an_input_that_is_read_both_ways_is_rounded_for_one():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    both = L.Concatenate()([L.Dense(4)(inputs), L.Flatten()(_embedded(inputs))])
    model = keras.Model(inputs, L.Dense(3)(both))
    x = np.random.default_rng(0).integers(0, TOKENS, (64, 6)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert file.verify(quantized, x).max_lsb <= 1
    assert any(operator.name == "QUANTIZE" for operator in file.summary().operators)


def test_other_inputs_of_the_model_are_integers_as_ever():
    tokens, numbers = keras.Input((5,), name="tokens"), keras.Input((3,), name="numbers")
    joined = L.Concatenate()([L.Flatten()(_embedded(tokens)), L.Dense(4)(numbers)])
    quantized = tfopt.quantize_aware(keras.Model([tokens, numbers], L.Dense(2)(joined)))
    rng = np.random.default_rng(0)
    x = [rng.integers(0, TOKENS, (64, 5)).astype("float32"), rng.normal(size=(64, 3)).astype("float32")]
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert {spec.name: spec.dtype for spec in file.inputs} == {"tokens": "float32", "numbers": "int8"}
    assert file.verify(quantized, x).max_lsb <= 1
