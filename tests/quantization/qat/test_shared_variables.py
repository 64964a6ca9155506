"""Weights that two parts of a model share by hand: one variable in training, and in a saved model too."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

X = np.random.default_rng(0).normal(size=(32, 16)).astype("float32")
TOKENS = np.random.default_rng(0).integers(0, 20, (32, 6)).astype("int32")


class Reads(L.Layer):
    """Computes with the weights of another layer."""

    def __init__(self, other, function, **kwargs):
        super().__init__(**kwargs)
        self.other, self.function = other, function

    def call(self, x):
        return self.function(x, self.other)


class Tied(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(8, activation="relu")

    def call(self, x):
        return ops.matmul(self.dense(x), ops.transpose(self.dense.kernel))


class LanguageModel(keras.Model):
    def __init__(self):
        super().__init__()
        self.embedding, self.hidden = L.Embedding(20, 8), L.Dense(8)

    def call(self, tokens):
        x = self.hidden(self.embedding(tokens))
        return ops.matmul(x, ops.transpose(self.embedding.embeddings))


class TwoConvolutions(L.Layer):
    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, 4, 4), name="kernel")

    def call(self, x):
        for _ in range(2):
            x = ops.relu(ops.conv(x, self.kernel, padding="same"))
        return x


def _with(layer, function):
    def make():
        inputs = keras.Input((16,))
        return keras.Model(inputs, Reads(layer := LAYERS[name](), function)(layer(inputs)))

    name = layer
    return make


LAYERS = {
    "square": lambda: L.Dense(16, activation="relu"),
    "wide": lambda: L.Dense(8),
    "einsum": lambda: L.EinsumDense("ab,bc->ac", 8),
}


def _two_convolutions():
    inputs = keras.Input((16,))
    return keras.Model(inputs, L.Flatten()(TwoConvolutions()(L.Reshape((2, 2, 4))(inputs))))


def _assigned():
    inputs = keras.Input((16,))
    one, other = L.Dense(16, activation="relu", name="one"), L.Dense(16, name="other")
    hidden = one(inputs)
    outputs = other(hidden)
    vars(other)["_kernel"] = one.kernel
    list.__setitem__(other._trainable_variables, 0, one.kernel)
    return keras.Model(inputs, outputs)


MODELS = {
    "subclassed": (Tied, X),
    "embedding": (LanguageModel, TOKENS),
    "transposed": (_with("wide", lambda x, other: ops.matmul(x, ops.transpose(other.kernel))), X),
    "product": (_with("square", lambda x, other: ops.matmul(x, other.kernel)), X),
    "summed": (_with("wide", lambda x, other: x + ops.sum(other.kernel, axis=0)), X),
    "twice": (_two_convolutions, X),
    "assigned": (_assigned, X),
}


def _quantized(make, x, scheme="int8", **settings):
    keras.utils.set_random_seed(0)
    model = make()
    model(x)
    quantized = tfopt.quantize_aware(model, scheme, **settings)
    if scheme == "int8" and not settings:
        calibrate(quantized, x)
    return model, quantized


def _trained(model, x):
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, np.ones(model(x).shape), shuffle=False, verbose=0)
    return model.predict(x, verbose=0)


@pytest.mark.parametrize("scheme", ["int8", pytest.param("int8_weights", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
def test_it_stays_one_variable_where_a_model_is_saved_and_loaded(name, scheme, tmp_path):
    make, x = MODELS[name]
    model, quantized = _quantized(make, x, scheme)
    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == len(quantized.trainable_weights) == len(model.trainable_weights)
    np.testing.assert_array_equal(_trained(loaded, x), _trained(quantized, x))
    loaded.save(tmp_path / "again.keras")
    again = keras.models.load_model(tmp_path / "again.keras")
    assert len(again.trainable_weights) == len(model.trainable_weights)
    if name in ("product", "embedding"):
        assert tfopt.to_tflite(again).verify(loaded, x, classification=False).passed


def test_where_the_weights_are_rewritten_to_others_a_warning_names_them_and_the_ways_out_work():
    def transposed(x, other):
        return ops.matmul(x, ops.transpose(other.kernel))

    with pytest.warns(UserWarning, match="'kernel' of 'einsum_dense.*train apart.*weights of a Dense"):
        model, quantized = _quantized(_with("einsum", transposed), X)
    assert len(quantized.trainable_weights) == 2 > len(model.trainable_weights)
    assert tfopt.to_tflite(quantized).verify(quantized, X, classification=False).passed
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        _quantized(_with("wide", transposed), X)


def test_layers_in_float_that_share_a_variable_are_named_and_the_advice_works(tmp_path):
    def make():
        with pytest.warns(UserWarning, match="'one' and 'other' share.*quantize_aware and call load_weights"):
            return _quantized(_assigned, X, rules={"*": None})[1]

    quantized = make()
    _trained(quantized, X)
    quantized.save_weights(tmp_path / "model.weights.h5")
    again = make()
    again.load_weights(tmp_path / "model.weights.h5")
    assert len(again.trainable_weights) == 3
    np.testing.assert_array_equal(_trained(again, X), _trained(quantized, X))
