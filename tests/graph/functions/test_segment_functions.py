"""Functions on segments in the code of users' layers: graph networks."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfopt
from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.quantization.canonicalize.canonicalize import canonical

NODES = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
NEIGHBOURS, OWN = np.array([[0, 0, 1, 2, 2, 3, 4], [0, 1, 1, 2, 3, 3, 4]])


class Code(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def _messages(x):
    return tf.gather(x, NEIGHBOURS)


def _softmax(x):
    sizes = tf.exp(tf.clip_by_value(_messages(x), -2, 2))
    total = tf.math.unsorted_segment_sum(sizes, OWN, 5)
    return tf.math.unsorted_segment_sum(sizes / tf.repeat(total, np.bincount(OWN), axis=0), OWN, 5)


FUNCTIONS = {
    **{
        f"{order}segment_{name}": lambda x, f=f"{order}segment_{name}", more=more: getattr(tf.math, f)(
            _messages(x), OWN, *more
        )
        for order, more in (("unsorted_", (5,)), ("", ()))
        for name in ("sum", "mean", "max", "min", "prod")
    },
    "sqrt_n": lambda x: tf.math.unsorted_segment_sqrt_n(_messages(x), OWN.tolist(), num_segments=x.shape[0]),
    "several axes": lambda x: tf.math.unsorted_segment_mean(
        tf.reshape(_messages(x)[:6], (2, 3, 4)), OWN[:6].reshape(2, 3), tf.shape(x)[0]
    ),
    "softmax": _softmax,
    **{
        f"ops.segment_{name}": lambda x, name=name: getattr(ops, f"segment_{name}")(
            ops.take(x, NEIGHBOURS, axis=0), ops.convert_to_tensor(OWN), num_segments=5
        )
        for name in ("sum", "max", "min", "prod")
    },
}


def _model(function, head=False):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(batch_shape=NODES.shape)
    if not head:
        return keras.Model(inputs, Code(function)(inputs))
    return keras.Model(inputs, L.Dense(3)(Code(function, name="own")(L.Dense(4)(inputs))))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_code_is_read_and_computes_the_same(name):
    model = _model(FUNCTIONS[name])
    plain, paths = canonical(graph.as_functional(graph.copy(model)))
    assert not paths.left_whole
    np.testing.assert_allclose(plain(NODES), model(NODES), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "unsorted_segment_mean",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "unsorted_segment_sum",
                "unsorted_segment_max",
                "segment_sum",
                "softmax",
                "ops.segment_min",
            )
        ),
    ],
)
@pytest.mark.parametrize("kind", ["float32", "int8", "training"])
def test_files_keep_the_segments_in_float_and_the_rest_in_integers(name, kind):
    model = _model(FUNCTIONS[name], head=True)
    source = model
    if kind == "training":
        source = tfopt.quantize_aware(model)
        tfopt.quantization.calibrate(source, NODES, batch_size=5)
        source.compile(keras.optimizers.SGD(1e-3), "mse")
        source.fit(NODES, source.predict(NODES, verbose=0), batch_size=5, verbose=0)
    file = tfopt.to_tflite(source, *(("int8", NODES) if kind == "int8" else ()))
    assert file.verify(source, NODES, classification=False).passed
    types = {each.name: each.types for each in file.summary().operators}
    assert "float32" in next(types[each] for each in types if "SEGMENT" in each)
    assert kind == "float32" or types["FULLY_CONNECTED"] == ("int8",)


class GraphConvolution(L.Layer):
    """Of keras.io's node classification: the graph is a tensor of the model, its input some nodes."""

    def __init__(self, units):
        super().__init__()
        self.prepare, self.update = L.Dense(units, activation="relu"), L.Dense(units, activation="relu")

    def call(self, inputs):
        nodes, edges = inputs
        messages = self.prepare(tf.gather(nodes, edges[1]))
        total = tf.math.unsorted_segment_sum(messages, edges[0], num_segments=nodes.shape[0])
        return self.update(tf.concat([nodes, total], axis=1))


class Classifier(keras.Model):
    def __init__(self):
        super().__init__()
        self.nodes, self.edges = tf.constant(NODES), tf.constant(np.stack([OWN, NEIGHBOURS]), tf.int32)
        self.convolution, self.head = GraphConvolution(4), L.Dense(3)

    def call(self, indices):
        return self.head(tf.gather(self.convolution([self.nodes, self.edges]), indices))


def test_a_graph_network_on_a_graph_of_its_own_trains_its_weights():
    keras.utils.set_random_seed(0)
    model, indices = Classifier(), np.arange(60) % 5
    model(indices[:4])
    for file in (tfopt.to_tflite(model), tfopt.to_tflite(model, "int8", indices)):
        assert file.verify(model, indices, classification=False).passed
        assert file.inputs[0].dtype == "int32"
    quantized = tfopt.quantize_aware(model)
    assert len(quantized.trainable_variables) == len(model.trainable_variables)
    tfopt.quantization.calibrate(quantized, indices)
    assert tfopt.to_tflite(quantized).verify(quantized, indices, classification=False).max_lsb <= 1


def test_segments_whose_number_is_not_known_are_refused_and_both_ways_out_work():
    rows, ids = keras.Input(batch_shape=(6, 4)), keras.Input(batch_shape=(6,), dtype="int32")
    x = [np.ones((6, 4), "float32"), np.array([0, 0, 1, 1, 2, 2], "int32")]

    def model(function):
        return keras.Model([rows, ids], L.Dense(2)(Code(lambda x: function(*x), name="own")([rows, ids])))

    unknown = model(tf.math.segment_sum)
    with pytest.raises(
        UnsupportedOperation, match=r"unsorted_segment_sum\(data, segment_ids, num_segments\).*'own': None"
    ):
        tfopt.quantize_aware(unknown)
    known = model(lambda rows, ids: tf.math.unsorted_segment_sum(rows, ids, 3))
    for each, rules in ((known, None), (unknown, {"own": None})):
        quantized = tfopt.quantize_aware(each, rules=rules)
        tfopt.quantization.calibrate(quantized, x, batch_size=6)
        np.testing.assert_allclose(tfopt.to_tflite(quantized).predict(x), quantized(x), atol=1e-5)


def test_the_number_of_nodes_as_the_batch_is_refused_with_advice_that_works():
    def model(**shape):
        inputs = keras.Input(**shape)
        return keras.Model(
            inputs,
            Code(lambda x: tf.math.unsorted_segment_sum(_messages(x), OWN, tf.shape(x)[0]), name="own")(
                inputs
            ),
        )

    with pytest.raises(UnsupportedOperation, match=r"keras\.Input\(batch_shape=\(10, 4\)\)"):
        tfopt.quantize_aware(model(shape=(4,)))
    assert tfopt.quantize_aware(model(batch_shape=(5, 4)))


FEW = np.array([0, 0, 2, 2, 3])


def _first(x):
    return tf.transpose(x, [1, 0, 2])


def _largest(x):
    return _first(tf.math.unsorted_segment_max(_first(x), FEW, 5))


def _smallest(x):
    return _first(tf.math.unsorted_segment_min(_first(x), FEW, 5))


def _filled(x):
    y = _largest(x)
    return tf.where(tf.abs(y) < 1e30, y, 0.0)


def _filled_with_tensor(x):
    y = _largest(x)
    return tf.where(y > -1e30, y, tf.zeros_like(y))


REPLACED = {
    "where": _filled,
    "where of tensors": _filled_with_tensor,
    "relu": lambda x: tf.nn.relu(_largest(x)),
    "maximum": lambda x: tf.maximum(_largest(x), -3.0),
    "minimum": lambda x: tf.minimum(_smallest(x), 3.0),
    "clip": lambda x: tf.clip_by_value(_largest(x), -2.0, 2.0),
    "mask": lambda x: _largest(x) * np.array([1, 0, 1, 1, 0], "float32")[:, None],
}
ROWS = np.random.default_rng(0).normal(size=(16, 5, 4)).astype("float32")


def _of_rows(function):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(ROWS.shape[1:])
    return keras.Model(inputs, L.Dense(3)(Code(function, name="own")(L.Dense(4)(inputs))))


def _quantized(model):
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, ROWS)
    return quantized


@pytest.mark.parametrize("name", REPLACED)
def test_the_limit_that_empty_segments_have_is_replaced_before_anything_is_rounded(name):
    model = _of_rows(REPLACED[name])
    quantized = _quantized(model)
    expected = model(ROWS).numpy()
    assert np.abs(quantized(ROWS) - expected).max() < 0.05 * np.abs(expected).max()
    assert tfopt.to_tflite(quantized).verify(quantized, ROWS, classification=False).max_lsb <= 1


def test_empty_segments_whose_limit_stays_are_named_with_advice_that_works():
    with pytest.raises(
        InvalidArgumentError, match=r"'own.segment_max'.*tf.where\(tf.abs\(y\) < 1e30, y, 0.0\)"
    ):
        tfopt.to_tflite(_quantized(_of_rows(_largest)))
    quantized = _quantized(_of_rows(_filled))
    assert tfopt.to_tflite(quantized).verify(quantized, ROWS, classification=False).passed
