"""Multiply-accumulates of what users write: layers of their own, subclassed models, functions, wrappers."""

import logging
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfopt
from tests.measure.products_in_files import macs_of_file
from tfopt import graph, measure
from tfopt.errors import UnsupportedModel, UnsupportedOperation
from tfopt.measure.arithmetic import known_macs

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import zoo_stages
from zoo_models import models

STEPS, CHANNELS, UNITS = 5, 12, 16

FORMS = {
    "matmul": lambda x, w: ops.matmul(x, w),
    "operator": lambda x, w: x @ w,
    "dot": lambda x, w: ops.dot(x, w),
    "einsum": lambda x, w: ops.einsum("btc,cd->btd", x, w),
    "einsum of the last axes": lambda x, w: ops.einsum("...c,cd->...d", x, w),
    "tensordot": lambda x, w: ops.tensordot(x, w, axes=1),
    "tensordot of two axes": lambda x, w: ops.tensordot(x, w, axes=[[2], [0]]),
    "weights on the left": lambda x, w: ops.swapaxes(
        ops.matmul(ops.transpose(w), ops.swapaxes(x, 1, 2)), 1, 2
    ),
    "of TensorFlow": lambda x, w: tf.einsum("btc,cd->btd", x, w),
    "convolution": lambda x, w: ops.conv(x, ops.expand_dims(w, 0), padding="same"),
    "samples and steps as one axis": lambda x, w: ops.reshape(
        ops.matmul(ops.reshape(x, (-1, CHANNELS)), w), (-1, STEPS, UNITS)
    ),
}


class Product(layers.Layer):
    def __init__(self, form, **kwargs):
        super().__init__(**kwargs)
        self.form = form

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], UNITS), name="w")
        self.b = self.add_weight(shape=(UNITS,), name="b")

    def call(self, x):
        return ops.relu(FORMS[self.form](x, self.w) + self.b)


class Residual(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wide, self.narrow = layers.Dense(32, activation="relu"), layers.Dense(CHANNELS)

    def call(self, x):
        return x + self.narrow(self.wide(x))

    def compute_output_shape(self, shape):
        return shape


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.residual, self.head = Residual(), layers.Dense(3)

    def call(self, x):
        return self.head(self.residual(x))


class Cell(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = 4

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 4), name="w")
        self.u = self.add_weight(shape=(4, 4), name="u")

    def call(self, x, states):
        state = ops.tanh(ops.matmul(x, self.w) + ops.matmul(states[0], self.u))
        return state, [state]


class Unreadable(layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 4), name="w")

    def call(self, x):
        result = tf.numpy_function(lambda a, b: a @ b, [x, self.w], tf.float32)
        return ops.reshape(result, (-1, x.shape[1], 4))

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)


def _model(*stack):
    inputs = keras.Input((STEPS, CHANNELS))
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.mark.parametrize("form", FORMS)
def test_products_with_weights_in_code_count_as_those_of_layers_do(form):
    model = _model(Product(form), layers.Dense(3))
    expected = STEPS * (CHANNELS * UNITS + UNITS * 3)
    assert measure.macs(model) == expected
    assert macs_of_file(tfopt.to_tflite(model)) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_budget_counts_them_too(form):
    plan = tfopt.prune_channels(_model(Product(form), layers.Dense(3)), macs=0.5, round_to=1, dry_run=True)
    before, after = plan.costs["macs"]
    assert before == STEPS * (CHANNELS * UNITS + UNITS * 3)
    assert after == measure.macs(plan.apply())


def test_layers_in_layers_of_ones_own_and_in_subclassed_models():
    expected = STEPS * (2 * 32 * CHANNELS + 3 * CHANNELS)
    assert measure.macs(_model(Residual(), layers.Dense(3))) == expected
    model = Subclassed()
    model(np.zeros((2, STEPS, CHANNELS), "float32"))
    before = [weight.numpy() for weight in model.weights]
    assert measure.macs(model) == expected
    for weight, value in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert measure.macs(tfopt.quantize_aware(model)) == expected


def test_wrappers_count_what_they_run():
    inner = keras.Sequential([keras.Input((CHANNELS,)), layers.Dense(8), layers.Dense(4)])
    assert measure.macs(_model(layers.TimeDistributed(inner))) == STEPS * (CHANNELS * 8 + 32)
    assert measure.macs(_model(layers.TimeDistributed(Residual()))) == STEPS * 2 * 32 * CHANNELS
    assert measure.macs(_model(layers.SpectralNormalization(layers.Dense(7)))) == STEPS * CHANNELS * 7
    assert measure.macs(_model(layers.RNN(Cell()))) == STEPS * (CHANNELS * 4 + 16)
    cells = [layers.GRUCell(4), Cell()]
    assert measure.macs(_model(layers.RNN(cells))) == STEPS * (12 * (CHANNELS + 4) + 2 * 16)


def test_windows_in_the_axis_of_the_samples():
    def windows(x):
        x = ops.reshape(x, (-1, 4, 2, 4, 2, 3))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 4, 3))

    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(6)(windows(inputs))
    model = keras.Model(inputs, ops.reshape(x, (-1, 8, 8, 6)))
    assert measure.macs(model) == 64 * 3 * 6 == macs_of_file(tfopt.to_tflite(model))


def test_products_of_two_activations_and_lookups_count_as_nothing():
    inputs = keras.Input((STEPS, CHANNELS))
    assert measure.macs(keras.Model(inputs, ops.matmul(inputs, ops.swapaxes(inputs, 1, 2)))) == 0

    class Table(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=(50, 8), name="table")

        def call(self, x):
            return ops.take(self.table, x, axis=0)

    tokens = keras.Input((STEPS,), dtype="int32")
    assert measure.macs(keras.Model(tokens, Table()(tokens))) == 0


@pytest.mark.skipif(not hasattr(layers, "ReversibleEmbedding"), reason="this Keras has none")
@pytest.mark.parametrize("tied", [True, False])
def test_an_embedding_in_reverse_multiplies_by_all_of_its_rows(tied):
    embedding = layers.ReversibleEmbedding(20, 8, tie_weights=tied)
    tokens = keras.Input((STEPS,), dtype="int32")
    model = keras.Model(tokens, embedding(embedding(tokens), reverse=True))
    assert measure.macs(model) == STEPS * 20 * 8


def test_code_that_cannot_be_read_is_no_zero(caplog):
    model = _model(layers.Dense(CHANNELS), Unreadable(name="unreadable"))
    with pytest.raises(UnsupportedModel, match=r"'unreadable'.*not known.*keras\.ops"):
        measure.macs(model)
    with caplog.at_level(logging.WARNING):
        assert known_macs(model) is None
    assert "not known" in caplog.text


class Decoder(layers.Layer):
    """Two attention layers in one layer, whose projections have the same names."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.to_itself = layers.MultiHeadAttention(2, 4, name="to_itself")
        self.to_others = layers.MultiHeadAttention(2, 4, name="to_others")

    def call(self, x, others):
        x = self.to_itself(x, x)
        return self.to_others(x, others)


def test_each_of_two_attention_layers_in_a_layer_counts():
    x, others = keras.Input((STEPS, CHANNELS)), keras.Input((7, CHANNELS))
    model = keras.Model([x, others], Decoder()(x, others))
    projection = CHANNELS * 8
    expected = (4 * STEPS + 2 * STEPS + 2 * 7) * projection
    assert measure.macs(model) == expected == macs_of_file(tfopt.to_tflite(model))


FOURIER, PATCHES = "files transform by products", "files cut out patches by a convolution"
OTHERWISE = {
    **dict.fromkeys(("fnet_image", "fnet_text", "speaker_recognition_with_fft"), FOURIER),
    **dict.fromkeys(
        ("mel_spectrogram_layer", "stft_spectrogram_1d", "stft_spectrogram_2d_trainable"), FOURIER
    ),
    **dict.fromkeys(("masked_autoencoder_encoder", "mlp_mixer", "gated_mlp"), PATCHES),
    **dict.fromkeys(("vision_transformer", "object_detection_vit"), PATCHES),
    "attention_multiple_instances": "files compute once what code computes twice",
    "human_activity_lstm": "files leave out the first step's product by a state of zeros",
    "neural_decision_forest": "files multiply selections of columns into kernels",
    "perceiver": "attention compares with constants, which is a product of activations elsewhere",
    "timeseries_transformer": "files multiply by the kernels of one channel element by element",
}
"""Models of the zoo whose files have other products, and why."""

ENTRIES = models()


@pytest.mark.slow
@pytest.mark.parametrize("name", ENTRIES)
def test_models_in_the_style_of_public_examples_count_as_their_files_do(name):
    keras.utils.set_random_seed(0)
    model, x = ENTRIES[name].build()
    model.predict(x, batch_size=8, verbose=0)
    shapes = zoo_stages.shapes_of(model, x)
    try:
        file = tfopt.to_tflite(model, input_shapes=shapes)
    except UnsupportedOperation as error:
        pytest.skip(f"has no file: {error}")
    expected = macs_of_file(file)
    if expected is None:
        pytest.skip("its file has a loop")
    counted = measure.macs(graph.with_input_shapes(model, shapes))
    assert (counted == expected) is (name not in OTHERWISE), OTHERWISE.get(name)
