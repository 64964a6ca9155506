import keras
import pytest

import tfopt
from tfopt import measure
from tfopt.errors import InvalidArgumentError

LAYERS = keras.layers


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        ((12,), LAYERS.Dense(5), 12 * 5),
        ((7, 12), LAYERS.Dense(5), 7 * 12 * 5),
        ((6, 8), LAYERS.EinsumDense("abc,cd->abd", (6, 7)), 6 * 8 * 7),
        ((6, 8), LAYERS.EinsumDense("abc,cde->abde", (6, 2, 4)), 6 * 8 * 2 * 4),
        ((6, 2, 4), LAYERS.EinsumDense("abde,dec->abc", (6, 8)), 6 * 8 * 2 * 4),
        ((3, 6, 8), LAYERS.EinsumDense("...x,xy->...y", 5), 3 * 6 * 8 * 5),
        ((16, 3), LAYERS.Conv1D(4, 3, padding="causal"), 16 * 3 * 3 * 4),
        ((8, 8, 3), LAYERS.Conv2D(4, 3), 6 * 6 * 3 * 3 * 3 * 4),
        ((8, 8, 3), LAYERS.Conv2D(4, 3, strides=2, padding="same"), 4 * 4 * 3 * 3 * 3 * 4),
        ((8, 8, 4), LAYERS.Conv2D(6, 3, groups=2, padding="same"), 8 * 8 * 3 * 3 * 2 * 6),
        ((3, 8, 8), LAYERS.Conv2D(4, 3, data_format="channels_first"), 6 * 6 * 3 * 3 * 3 * 4),
        ((5, 5, 5, 2), LAYERS.Conv3D(3, 2), 4**3 * 2**3 * 2 * 3),
        ((4, 4, 3), LAYERS.Conv2DTranspose(5, 2, strides=2), 4 * 4 * 2 * 2 * 3 * 5),
        ((8, 8, 3), LAYERS.DepthwiseConv2D(3, depth_multiplier=2), 6 * 6 * 3 * 3 * 3 * 2),
        ((8, 8, 3), LAYERS.SeparableConv2D(4, 3), 6 * 6 * (3 * 3 * 3 + 3 * 4)),
        ((7, 12), LAYERS.LSTM(5), 7 * 4 * 5 * (12 + 5)),
        ((7, 12), LAYERS.GRU(5, return_sequences=True), 7 * 3 * 5 * (12 + 5)),
        ((7, 12), LAYERS.Bidirectional(LAYERS.SimpleRNN(5)), 2 * 7 * 5 * (12 + 5)),
        ((7, 12), LAYERS.RNN([LAYERS.LSTMCell(5), LAYERS.GRUCell(4)]), 7 * (20 * (12 + 5) + 12 * (5 + 4))),
        ((7, 6, 6, 3), LAYERS.ConvLSTM2D(4, 3, padding="same"), 7 * 36 * 9 * 16 * (3 + 4)),
        ((7, 6, 6, 3), LAYERS.ConvLSTM2D(4, 3, return_sequences=True), 7 * 16 * 9 * 16 * (3 + 4)),
        ((7, 12), LAYERS.TimeDistributed(LAYERS.Dense(5)), 7 * 12 * 5),
        ((7, 6, 6, 3), LAYERS.TimeDistributed(LAYERS.Conv2D(4, 3)), 7 * 16 * 9 * 3 * 4),
        ((8, 8, 3), LAYERS.BatchNormalization(), 0),
        ((8, 8, 3), LAYERS.MaxPooling2D(), 0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_one_layer(shape, layer, expected):
    inputs = keras.Input(shape)
    assert measure.macs(keras.Model(inputs, layer(inputs))) == expected


def test_a_whole_model(small_cnn):
    conv, separable, dense = 64 * 9 * 4, 64 * (9 * 4 + 4 * 4), 64 * 16 + 16 * 10
    assert measure.macs(small_cnn()) == conv + separable + dense


def test_attention_projects_each_of_its_inputs():
    query, value = keras.Input((5, 8)), keras.Input((7, 6))
    attention = LAYERS.MultiHeadAttention(2, 3, value_dim=4)
    expected = 5 * 8 * 6 + 7 * 6 * 6 + 7 * 6 * 8 + 5 * 8 * 8
    assert measure.macs(keras.Model([query, value], attention(query, value))) == expected
    grouped = LAYERS.GroupQueryAttention(4, 4, 2)
    value = keras.Input((7, 8))
    expected = 5 * 8 * 16 + 2 * 7 * 8 * 8 + 5 * 16 * 8
    assert measure.macs(keras.Model([query, value], grouped(query, value, key=value))) == expected


def test_a_shared_layer_counts_for_each_call_and_nested_models_are_opened():
    inner_input = keras.Input((8,))
    inner = keras.Model(inner_input, LAYERS.Dense(8)(inner_input))
    shared = LAYERS.Dense(8)
    a, b = keras.Input((8,)), keras.Input((8,))
    assert measure.macs(keras.Model([a, b], LAYERS.Add()([inner(shared(a)), shared(b)]))) == 3 * 64


def test_a_lookup_multiplies_nothing():
    inputs = keras.Input((4,), dtype="int32")
    assert measure.macs(keras.Model(inputs, LAYERS.Embedding(10, 6)(inputs))) == 0


def test_an_open_size_is_an_error():
    inputs = keras.Input((None, None, 3))
    with pytest.raises(InvalidArgumentError, match=r"'conv'.*fixed input shape"):
        measure.macs(keras.Model(inputs, LAYERS.Conv2D(4, 3, name="conv")(inputs)))


@pytest.mark.parametrize(("layer", "gates"), [(keras.layers.LSTM, 4), (keras.layers.SimpleRNN, 1)])
def test_the_loop_of_a_quantized_recurrent_layer_counts_at_each_step(layer, gates):
    model = keras.Sequential([keras.Input((7, 3)), layer(5), keras.layers.Dense(2)])
    assert measure.macs(model) == gates * 7 * (3 * 5 + 5 * 5) + 5 * 2
    # Before the first step the state is zero, and nothing is multiplied by it.
    quantized = tfopt.quantize_aware(model, "int8")
    assert measure.macs(quantized) == gates * (7 * 3 * 5 + 6 * 5 * 5) + 5 * 2
