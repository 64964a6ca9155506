"""Masks that are added on the way to a softmax do not take the range of what they are added to."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

STEPS = 6


def _below(mask):
    return (1.0 - ops.cast(mask[:, None, None, :], "float32")) * -1e9


class Attention(L.Layer):
    """Attention of two heads with a learned bias of the position."""

    def __init__(self, combine):
        super().__init__()
        self.projections = [L.Dense(8, use_bias=False) for _ in range(3)]
        self.combine = combine

    def build(self, _):
        self.bias = self.add_weight(
            shape=(2, STEPS, STEPS), initializer=keras.initializers.RandomNormal(0, 2.0)
        )

    def call(self, x, mask):
        heads = [ops.reshape(dense(x), (-1, STEPS, 2, 4)) for dense in self.projections]
        query, key, value = (ops.transpose(head, (0, 2, 1, 3)) for head in heads)
        scores = self.combine(query @ ops.transpose(key, (0, 1, 3, 2)), self.bias, mask)
        attended = ops.transpose(ops.softmax(scores) @ value, (0, 2, 1, 3))
        return ops.reshape(attended, (-1, STEPS, 8))


CAUSAL = ((1.0 - np.tri(STEPS, dtype="float32")) * -1e9)[None, None]
COMBINATIONS = {
    "to_the_bias": lambda scores, bias, mask: scores + (bias[None] + _below(mask)),
    "to_the_bias_without_a_batch": lambda scores, bias, mask: scores + (_below(mask) + bias),
    "before_the_bias": lambda scores, bias, mask: (scores + _below(mask)) + bias,
    "before_a_temperature": lambda scores, bias, mask: (scores + bias + _below(mask)) / 8.0,
    "before_a_factor": lambda scores, bias, mask: 0.125 * (scores + bias + _below(mask)),
    "to_another_mask": lambda scores, bias, mask: (scores + bias) + (_below(mask) + CAUSAL),
    "twice": lambda scores, bias, mask: (scores + _below(mask)) + bias + CAUSAL,
}
QUICK = ("to_the_bias", "before_a_temperature")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in COMBINATIONS]
)
def test_scores_keep_their_range_wherever_a_mask_is_added(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((STEPS, 5), name="x"), keras.Input((STEPS,), dtype="bool", name="mask")
    model = keras.Model(inputs, Attention(COMBINATIONS[name])(*inputs))
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, STEPS, 5)).astype("float32"), rng.random((64, STEPS)) < 0.7
    x[1][:, 0] = True
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, x).max_lsb <= 3
    assert file.verify(model, x).snr_db > 20


def _attended(layer, x, **kwargs):
    scores = kwargs.get("return_attention_scores")
    outputs = layer(x, x, **kwargs)
    return outputs[0] if scores else outputs


def _softmax_of_products(x, mask):
    scores = L.Softmax()(L.Dot((2, 2))([x, x]), mask=mask[:, None, :])
    return L.Dot((2, 1))([scores, x])


ATTENTIONS = {
    "fused": lambda x, _: _attended(L.MultiHeadAttention(2, 4), x),
    "with_dropout": lambda x, _: _attended(L.MultiHeadAttention(2, 4, dropout=0.1), x, use_causal_mask=True),
    "with_scores": lambda x, _: _attended(L.MultiHeadAttention(2, 4), x, return_attention_scores=True),
    "grouped_query": lambda x, _: _attended(L.GroupQueryAttention(4, 4, 2), x),
    "grouped_query_with_dropout": lambda x, _: _attended(L.GroupQueryAttention(4, 4, 2, dropout=0.1), x),
    "one_head": lambda x, _: L.Attention()([x, x]),
    "softmax_layer": _softmax_of_products,
}


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_query_with_no_key_attends_to_what_keras_lets_it(name):
    """Keras's layers answer zeros for it, and the fused operation the mean of all values."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((STEPS,), dtype="int32")
    embedded = L.Embedding(20, 8, mask_zero=True, embeddings_initializer="normal")(inputs)
    outputs = ATTENTIONS[name](embedded, ops.not_equal(inputs, 0))
    model = keras.Model(inputs, L.Reshape((STEPS, 8))(outputs))
    x = np.random.default_rng(0).integers(1, 20, (32, STEPS)).astype("int32")
    x[:, 4:] = 0
    x[0] = 0
    expected = model.predict(x, verbose=0)

    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    actual = quantized.predict(x, verbose=0)
    step = np.ptp(expected) / 255
    np.testing.assert_allclose(actual[0], expected[0], atol=4 * step)
    np.testing.assert_allclose(actual, expected, atol=12 * step)
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False).passed
