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
