"""Copies of what has no config: same values, nothing shared, all state carried."""

import collections
import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt import graph

K = keras.layers


class Around(K.Layer):
    """Takes a layer and a function, has no get_config, and holds layers wherever Python lets it."""

    def __init__(self, inner, function):
        super().__init__()
        self.inner, self.function = inner, function
        self.held = [K.Dense(4), {"second": K.Dense(4)}]
        self.closure = lambda x: self.held[0](x)
        self.partial = functools.partial(self.scaled, factor=0.5)
        self.table = np.arange(4, dtype="float32")
        self.offset = tf.constant([1.0, 2.0, 3.0, 4.0])
        self.raw = tf.Variable([0.5, 0.5, 0.5, 0.5])

    def build(self, shape):
        self.gain = self.add_weight(shape=(4,), initializer="ones", name="gain")

    def scaled(self, x, factor):
        return x * self.gain * factor

    @tf.function
    def shifted(self, x):
        return x + self.offset + self.raw

    def call(self, x):
        x = self.partial(self.closure(self.inner(x)))
        return self.function(self.held[1]["second"](x)) + self.table + self.shifted(x)


def _own_layer():
    shared = keras.Sequential([keras.Input((4,)), K.Dense(4, name="shared"), K.Dropout(0.2)])
    inputs = keras.Input((4,))
    x = Around(shared, keras.ops.tanh)(inputs) + shared(inputs)
    return keras.Model(inputs, K.Dense(2)(x))


def _lambda_over_a_layer():
    dense, inputs = K.Dense(4), keras.Input((4,))
    return keras.Model(inputs, K.Lambda(lambda x: dense(x) * 2)(dense(inputs)))


def _subclassed():
    class Inner(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = K.Dense(4)

        def call(self, x):
            return tf.nn.relu(self.dense(x))

    class Outer(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.head = inner, K.Dense(2)
            self.total = keras.metrics.Mean(name="total")

        def call(self, x, training=False):
            return self.head(self.inner(x))

    model = Outer(Inner())
    model(np.zeros((1, 4), "float32"))
    return model


def _adapted():
    norm = K.Normalization()
    norm.adapt(np.random.default_rng(0).normal(50, 10, (100, 4)).astype("float32"))
    return keras.Sequential([keras.Input((4,)), norm, K.Dense(2)])


def _functional_class():
    class Twice(keras.Model):
        def __init__(self, *args, factor=2.0, **kwargs):
            super().__init__(*args, **kwargs)
            self.factor = factor

        def compute_loss(self, *args, **kwargs):
            return self.factor * super().compute_loss(*args, **kwargs)

    inputs = keras.Input((4,))
    return Twice(inputs, K.Dense(2)(K.Dense(4, activation="relu")(inputs)), factor=3.0)


MODELS = [_own_layer, _lambda_over_a_layer, _subclassed, _adapted, _functional_class]


@pytest.fixture(params=MODELS, ids=lambda make: make.__name__)
def model(request):
    keras.utils.set_random_seed(0)
    return request.param()


X = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")


def test_a_copy_computes_the_same_and_is_of_the_same_class(model):
    copied = graph.copy(model)
    assert type(copied) is type(model)
    np.testing.assert_array_equal(copied.predict(X, verbose=0), model.predict(X, verbose=0))
    assert [each.path for each in copied.variables] == [each.path for each in model.variables]


def test_a_copy_shares_no_variable_and_no_layer(model):
    copied = graph.copy(model)
    before = model.predict(X, verbose=0)
    assert not {id(x) for x in graph.inner_layers(model)} & {id(x) for x in graph.inner_layers(copied)}
    for variable in copied.variables:
        variable.assign(variable * 0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)


def test_training_a_copy_leaves_the_original_as_it_is(model):
    before = model.predict(X, verbose=0)
    copied = graph.copy(model)
    copied.compile("adam", "mse")
    copied.fit(X, np.ones((8, *before.shape[1:]), "float32"), epochs=2, verbose=0)
    np.testing.assert_array_equal(model.predict(X, verbose=0), before)
    assert np.any(copied.predict(X, verbose=0) != before)


def test_what_only_reads_may_share_the_variables(model):
    copied = graph.copy(model, share_variables=True)
    assert {id(x) for x in copied.variables} == {id(x) for x in model.variables}
    assert not {id(x) for x in graph.inner_layers(model)} & {id(x) for x in graph.inner_layers(copied)}


def test_it_is_fused_and_written_and_computes_the_same(model):
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(tfopt.fuse_batch_norm(model).predict(X, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(tfopt.to_tflite(model).predict(X), expected, atol=1e-5)


def test_containers_of_every_class_are_copied():
    class Holder(K.Layer):
        def __init__(self):
            super().__init__()
            self.named = collections.OrderedDict(a=K.Dense(2))
            self.many = collections.defaultdict(list, {"b": [K.Dense(2)]})
            self.pair = Pair(K.Dense(2), K.Dense(2))
            self.counts = collections.Counter("ab")

        def call(self, x):
            layers = [self.named["a"], *self.many["b"], *self.pair]
            return sum(layer(x) for layer in layers) * self.counts["a"]

    Pair = collections.namedtuple("Pair", "one other")
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Holder()(inputs))
    copied = graph.copy(model)
    np.testing.assert_array_equal(copied.predict(X, verbose=0), model.predict(X, verbose=0))
    assert not {id(x) for x in graph.inner_layers(model)} & {id(x) for x in graph.inner_layers(copied)}


def test_a_copy_draws_the_same_random_numbers():
    inputs = keras.Input((64,))
    model = keras.Model(inputs, K.Dropout(0.5, seed=3)(inputs))
    model(np.ones((1, 64)), training=True)
    copied = graph.copy(model)
    one, other = (np.asarray(each(np.ones((1, 64)), training=True)) for each in (model, copied))
    np.testing.assert_array_equal(one, other)


def test_a_copy_of_a_feature_extractor_holds_its_part_of_the_graph():
    inputs = keras.Input((4,))
    hidden = K.Dense(4, name="hidden")(inputs)
    whole = keras.Model(inputs, K.Dense(2, name="head")(hidden))
    part = keras.Model(whole.input, whole.get_layer("hidden").output)
    copied = graph.copy(part)
    assert [layer.name for layer in copied.layers if layer.weights] == ["hidden"]
    np.testing.assert_array_equal(copied.predict(X, verbose=0), part.predict(X, verbose=0))


def test_a_copy_saves_and_loads(tmp_path, small_cnn):
    copied = graph.copy(small_cnn())
    copied.save(tmp_path / "copy.keras")
    loaded = keras.models.load_model(tmp_path / "copy.keras")
    x = np.random.default_rng(0).random((2, *copied.input_shape[1:])).astype("float32")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), copied.predict(x, verbose=0))


def test_a_very_deep_model_is_copied():
    inputs = x = keras.Input((4,))
    for _ in range(300):
        x = keras.ops.tanh(x)
    model = keras.Model(inputs, x)
    assert len(graph.copy(model).operations) == len(model.operations)
