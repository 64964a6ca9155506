"""Random small graphs: each becomes a file that does what its model does, or is refused by name."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.export.flatbuffer.fields import operator_name, text, type_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.tensor_names import layers_in
from tfopt.quantization import calibrate

CHANNELS = 4


def _attended(x):
    y = L.Reshape((36, CHANNELS))(x)
    return L.Reshape((6, 6, CHANNELS))(L.MultiHeadAttention(2, 3)(y, y))


def _gated(x):
    gate = L.Dense(CHANNELS, activation="sigmoid")(L.GlobalAveragePooling2D(keepdims=True)(x))
    return L.Multiply()([x, gate])


# Every operation returns the shape that it is given, so that any two tensors can meet.
UNARY = [
    lambda x: L.Conv2D(CHANNELS, 3, padding="same")(x),
    lambda x: L.Conv2D(CHANNELS, 1, activation="relu")(x),
    lambda x: L.Conv2D(CHANNELS, 3, padding="same", activation="hard_silu")(x),
    lambda x: L.DepthwiseConv2D(3, padding="same")(x),
    lambda x: L.SeparableConv2D(CHANNELS, 3, padding="same", activation="relu6")(x),
    lambda x: L.Conv2DTranspose(CHANNELS, 3, padding="same")(x),
    lambda x: L.Dense(CHANNELS)(x),
    lambda x: L.EinsumDense("abcd,de->abce", (6, 6, CHANNELS), bias_axes="e")(x),
    lambda x: L.BatchNormalization()(x),
    lambda x: L.LayerNormalization()(x),
    lambda x: L.ReLU()(x),
    lambda x: L.LeakyReLU(0.2)(x),
    lambda x: L.PReLU(shared_axes=[1, 2])(x),
    lambda x: L.Activation("gelu")(x),
    lambda x: L.Activation("elu")(x),
    lambda x: L.Softmax()(x),
    lambda x: L.MaxPooling2D(3, 1, padding="same")(x),
    lambda x: L.AveragePooling2D(2, 1, padding="same")(x),
    lambda x: L.ZeroPadding2D(1)(L.Cropping2D(1)(x)),
    lambda x: L.UpSampling2D(2)(L.MaxPooling2D(2)(x)),
    lambda x: L.Permute((2, 1, 3))(x),
    lambda x: L.Dropout(0.2)(x),
    lambda x: L.Rescaling(2.0, -0.5)(x),
    _attended,
    _gated,
    lambda x: x * 0.5 + 1.0,
    lambda x: ops.clip(x, -1.0, 1.0),
    lambda x: ops.tanh(x),
    lambda x: ops.abs(x),
    lambda x: ops.roll(x, 1, axis=2),
    lambda x: ops.concatenate([x[..., 2:], x[..., :2]], axis=-1),
    lambda x: ops.matmul(ops.softmax(x), ops.transpose(x, (0, 1, 3, 2)))[..., :CHANNELS],
    lambda x: ops.cumprod(x, axis=1),
]
BINARY = [
    lambda a, b: L.Add()([a, b]),
    lambda a, b: L.Multiply()([a, b]),
    lambda a, b: L.Maximum()([a, b]),
    lambda a, b: L.Average()([a, b]),
    lambda a, b: L.Concatenate()([a, b])[..., 2 : 2 + CHANNELS],
    lambda a, b: ops.relu(a - 0.5 * b),  # a tensor minus itself is 0, which the converter folds: refused
    lambda a, b: a / (ops.abs(b) + 1.0),
    lambda a, b: ops.where(a > 0.0, a, b),
]
CALLS = [*UNARY, *BINARY, *BINARY]  # as often a join as not


def _graph(choices):
    inputs = keras.Input((6, 6, CHANNELS))
    tensors = [inputs]
    for call, one, other in choices:
        x, y = tensors[-1 - one % len(tensors)], tensors[-1 - other % len(tensors)]
        function = CALLS[call]
        tensors.append(function(x) if call < len(UNARY) else function(x, y))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(tensors[-1])))


def _holds(choices, in_float=()):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    model = _graph(choices)
    x = np.random.default_rng(0).normal(size=(32, 6, 6, CHANNELS)).astype("float32")
    layers = [layer.name for layer in model.layers[1:]]
    left = dict.fromkeys(layers[number % len(layers)] for number in in_float)
    if len(left) == len(layers):
        return
    try:
        quantized = tfopt.quantize_aware(model, rules=left)
    except UnsupportedOperation:
        return
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not _integers_of(file, left)
    difference = file.verify(quantized, x)
    if difference.max_lsb is None:  # the end of the model is in float
        assert difference.snr_db > 15
        return
    # Where a graph amplifies rounding, the ends of two roundings part; the signal must still be there.
    assert difference.mean_lsb <= 2 or difference.snr_db > 15, difference


def _integers_of(file, layers):
    """Return the tensors of integers that some layers make."""
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    made = {
        text(graph.tensors[index].name)
        for operator in graph.operators
        if operator_name(model, operator) != "QUANTIZE"
        for index in operator.outputs
        if type_name(graph.tensors[index]) == "int8"
    }
    return [
        name
        for name in made
        if all(":" in part for part in name.split(";")) and {*layers_in(name)} <= {*layers}
    ]


def _steps(calls, nearest=2):
    """Return steps of a graph: a call, and which of the tensors made before it is called with."""
    return st.tuples(calls, st.integers(0, nearest), st.integers(0, 5))


STEPS = _steps(st.integers(0, len(CALLS) - 1))
GRAPHS = st.lists(STEPS, min_size=2, max_size=7)
RULES = st.lists(st.integers(0, 20), min_size=1, max_size=3)


@st.composite
def _graphs_with(draw, call):
    """Draw graphs whose output depends on a given call: what comes after it reads the latest tensor."""
    before = draw(st.lists(STEPS, max_size=4))
    after = draw(st.lists(_steps(st.integers(0, len(UNARY) - 1), nearest=0), max_size=2))
    return [*before, draw(_steps(st.just(call))), *after]


# Drawn anew in every run; where one fails, hypothesis prints it and how to run it again.
@settings(max_examples=3, deadline=None, database=None, print_blob=True)
@given(GRAPHS)
def test_a_few_random_graphs(choices):
    _holds(choices)


@settings(max_examples=2, deadline=None, database=None, print_blob=True)
@given(GRAPHS, RULES)
def test_a_few_random_graphs_with_layers_in_float(choices, in_float):
    _holds(choices, in_float)


@pytest.mark.slow
@pytest.mark.parametrize("call", range(len(UNARY) + len(BINARY)))
@settings(max_examples=5, deadline=None, database=None, print_blob=True)
@given(data=st.data())
def test_random_graphs_with_each_operation(call, data):
    _holds(data.draw(_graphs_with(call)))


@pytest.mark.slow
@settings(max_examples=100, deadline=None, database=None, print_blob=True)
@given(GRAPHS, RULES)
def test_many_random_graphs_with_layers_in_float(choices, in_float):
    _holds(choices, in_float)
