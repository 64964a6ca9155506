"""Fused batch normalization: Keras's numbers, fewer operations, and files that know nothing of it."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt import graph
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.graph.rewriting.fused_batch_norm import FusedBatchNormalization

IMAGES = (6, 5, 4, 3)
# what the layer is, what it gets, whether its training is fused
LAYERS = {
    "plain": ({}, IMAGES, True),
    "no scale": ({"scale": False}, IMAGES, True),
    "no center": ({"center": False}, IMAGES, True),
    "neither": ({"scale": False, "center": False}, IMAGES, True),
    "momentum": ({"momentum": 0.3}, IMAGES, True),
    "small epsilon": ({"epsilon": 1e-7}, IMAGES, True),
    "positive axis": ({"axis": 3}, IMAGES, True),
    "one sample": ({}, (1, 5, 4, 3), True),
    "two values": ({}, (2, 1, 1, 3), True),
    "one value": ({}, (1, 1, 1, 3), True),
    "one channel": ({}, (6, 5, 4, 1), True),
    "sequences": ({}, (6, 5, 3), True),
    "volumes": ({}, (2, 3, 4, 5, 3), True),
    "float16 inside": ({"dtype": "mixed_float16"}, IMAGES, True),
    "bfloat16 inside": ({"dtype": "mixed_bfloat16"}, IMAGES, True),
    "float16 throughout": ({"dtype": "float16"}, IMAGES, True),
    "float64": ({"dtype": "float64"}, IMAGES, False),
    "features": ({}, (6, 3), False),
    "channels first": ({"axis": 1}, IMAGES, False),
    "another axis": ({"axis": 1}, (6, 5, 3), False),
    "renorm": ({"renorm": True}, IMAGES, False),
    "synchronized": ({"synchronized": True}, IMAGES, False),
    "frozen": ({"trainable": False}, IMAGES, False),
}
TOLERANCE = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "float64": 1e-12}


def _pair(arguments, shape):
    """Return a plain and a fused layer with the same weights, none of them at its initial value."""
    layers = [kind(**arguments) for kind in (keras.layers.BatchNormalization, FusedBatchNormalization)]
    random = np.random.default_rng(0)
    for layer in layers:
        layer.build(shape)
    weights = [random.uniform(0.5, 2, weight.shape) for weight in layers[0].get_weights()]
    for layer in layers:
        layer.set_weights(weights)
    return layers


def _data(shape):
    return np.random.default_rng(1).normal(3, 2, shape)


def _step(layer, x, **call):
    """Return everything that a step makes: outputs, gradients, and the layer's state after it."""
    x = tf.constant(x, layer.compute_dtype)
    weights = [variable.value for variable in layer.trainable_variables]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = layer(x, **call)
        wanted = tf.cos(tf.cast(tf.range(tf.size(outputs)), outputs.dtype))
        loss = tf.reduce_sum(outputs * tf.reshape(wanted, tf.shape(outputs)))
    gradients = tape.gradient(loss, [x, *weights])
    assert outputs.dtype == layer.compute_dtype
    return [np.asarray(value, "float64") for value in [outputs, *gradients, *layer.get_weights()]]


def _assert_same(got, expected, tolerance=2e-5):
    for one, other in zip(got, expected, strict=True):
        size = np.nanmax(np.abs(other), initial=1.0)
        np.testing.assert_allclose(one, other, atol=tolerance * size)


def _operations(layer, shape, **call):
    spec = tf.TensorSpec(shape, layer.compute_dtype)
    function = tf.function(lambda x: layer(x, **call)).get_concrete_function(spec)
    return {operation.type for operation in function.graph.get_operations()}


@pytest.mark.parametrize("name", LAYERS)
def test_a_training_step_is_that_of_keras(name):
    arguments, shape, _ = LAYERS[name]
    plain, fused = _pair(arguments, shape)
    for _ in range(3):
        _assert_same(
            _step(fused, _data(shape), training=True),
            _step(plain, _data(shape), training=True),
            TOLERANCE[plain.compute_dtype],
        )


@pytest.mark.parametrize("name", LAYERS)
def test_training_is_one_operation_where_there_is_something_to_gain(name):
    arguments, shape, is_fused = LAYERS[name]
    _, layer = _pair(arguments, shape)
    operations = _operations(layer, shape, training=True)
    assert ("FusedBatchNormV3" in operations) is is_fused
    assert ("SquaredDifference" in operations) is not (is_fused or name == "frozen" or name == "synchronized")


@pytest.mark.parametrize("training", [False, None])
def test_inference_is_the_very_graph_of_keras(training):
    plain, fused = _pair({}, IMAGES)
    assert _operations(fused, IMAGES, training=training) == _operations(plain, IMAGES, training=training)
    _assert_same(
        _step(fused, _data(IMAGES), training=training), _step(plain, _data(IMAGES), training=training), 0
    )


@pytest.mark.parametrize("name", LAYERS)
def test_an_inference_in_the_context_is_that_of_keras(name):
    arguments, shape, fused = LAYERS[name]
    layer, _ = _pair(arguments, shape)
    model = keras.Sequential([keras.Input(shape[1:], dtype=layer.compute_dtype), layer])
    data = tf.cast(_data(shape), layer.compute_dtype)
    expected = model(data, training=False)
    with graph.fused_inference(model):
        trace = tf.function(lambda x: model(x, training=False)).get_concrete_function(data)
        actual = trace(data)
        assert "tfopt" not in model.to_json()
    one = "FusedBatchNormV3" in {each.type for each in trace.graph.get_operations()}
    assert one == (len(shape) == 4 and (fused or name == "frozen"))
    assert actual.dtype == expected.dtype
    tolerance = TOLERANCE[layer.compute_dtype]
    np.testing.assert_allclose(tf.cast(actual, "float64"), tf.cast(expected, "float64"), tolerance, tolerance)
    assert type(layer) is keras.layers.BatchNormalization


def test_a_mask_leaves_samples_out():
    plain, fused = _pair({}, (6, 5, 3))
    call = {"training": True, "mask": tf.constant(np.arange(30).reshape(6, 5) % 3 > 0)}
    _assert_same(_step(fused, _data((6, 5, 3)), **call), _step(plain, _data((6, 5, 3)), **call), 0)


def test_a_far_offset_costs_no_precision():
    x = _data(IMAGES) * 1e-2 + 100
    expected = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-3)
    layer = FusedBatchNormalization()
    np.testing.assert_allclose(layer(x.astype("float32"), training=True), expected, atol=1e-3)


def test_gradients_of_gradients_are_right():
    """As physics-informed losses take them. (Keras's own miss a term: `tf.nn.moments` stops a gradient.)"""
    layer = _pair({}, IMAGES)[1]

    def textbook(x, gamma):
        centered = x - tf.reduce_mean(x, (0, 1, 2))
        variance = tf.reduce_mean(centered**2, (0, 1, 2))
        return centered / tf.sqrt(variance + 1e-3) * gamma + tf.constant(layer.beta.numpy(), x.dtype)

    def second(function, x, gamma):
        with tf.GradientTape() as outer:
            outer.watch([x, gamma])
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = tf.reduce_sum(tf.tanh(function(x, gamma)) * tf.cos(x))
            penalty = tf.reduce_sum(inner.gradient(loss, x) ** 2)
        return outer.gradient(penalty, [x, gamma])

    exact = [tf.constant(value, tf.float64) for value in (_data(IMAGES), layer.gamma.numpy())]
    got = second(lambda x, _: layer(x, training=True), tf.cast(exact[0], tf.float32), layer.gamma.value)
    _assert_same(got, second(textbook, *exact), 1e-5)


@pytest.mark.parametrize("shape", [(0, 5, 4, 3), (0, 5, 3)])
def test_an_empty_batch_changes_nothing(shape):
    layer = _pair({}, shape)[1]
    before = layer.get_weights()
    outputs, *gradients = _step(layer, _data(shape), training=True)[:4]
    assert outputs.shape == shape
    for gradient in gradients:
        np.testing.assert_array_equal(gradient, 0)
    _assert_same(layer.get_weights(), before, 1e-6)


def test_the_number_of_samples_may_be_known_late():
    plain, fused = _pair({}, (None, None, None, 3))

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3))])
    def step(x):
        return fused(x, training=True)

    for samples in (6, 2):
        expected = plain(_data((samples, 5, 4, 3)).astype("float32"), training=True)
        _assert_same([step(tf.constant(_data((samples, 5, 4, 3)), "float32"))], [expected])
    _assert_same(fused.get_weights(), plain.get_weights())


class Block(keras.layers.Layer):
    """A layer with a batch normalization of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norm = keras.layers.BatchNormalization(name="inner")

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x, training=None):
        return x + self.norm(x, training=training)


def _model():
    """Every place in which a batch normalization can stand."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    nested = keras.Sequential(
        [keras.Input((4, 4, 4)), layers.Conv2D(4, 1), layers.BatchNormalization(name="norm")], name="nested"
    )
    shared = layers.BatchNormalization(momentum=0.8, name="shared")
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="first")(inputs)
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv")(x)
    x = layers.BatchNormalization(
        gamma_constraint=keras.constraints.MaxNorm(0.9),
        beta_regularizer=keras.regularizers.L2(0.1),
        name="held",
    )(x)
    x = layers.BatchNormalization(trainable=False, name="frozen")(x)
    x = Block(name="block")(nested(x))
    x = layers.TimeDistributed(layers.BatchNormalization(), name="rows")(x)
    x = layers.ReLU(name="relu")(shared(shared(x)))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.BatchNormalization(name="last")(x)))


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    return random.normal(size=(50, 8, 8, 3)).astype("float32"), random.integers(0, 3, 50)


def _fit(model, data, **compile_arguments):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, **compile_arguments)
    history = model.fit(*data, batch_size=16, epochs=2, shuffle=False, verbose=0).history["loss"]
    return [history, *model.get_weights()]


def _functional(data_shape=(8, 8, 3)):
    layers = keras.layers
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input(data_shape),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.ReLU(name="relu"),
            layers.BatchNormalization(name="alone"),
            layers.Flatten(name="flatten"),
            layers.Dense(3, name="head"),
        ],
        name="small",
    )


def test_a_fused_model_trains_as_the_plain_one(data):
    model = _model()
    fused = tfopt.fuse_batch_norm(model)
    found = {layer.name: layer for layer in fused.layers} | {"norm": fused.get_layer("nested").layers[-1]}
    found |= {"inner": found["block"].norm, "row": found["rows"].layer}
    for name in ("first", "held", "frozen", "shared", "last", "norm", "inner", "row"):
        assert isinstance(found[name], FusedBatchNormalization), name
    assert not found["frozen"].trainable
    assert isinstance(found["held"].gamma.constraint, keras.constraints.MaxNorm)
    assert [path for path, _ in graph.layers(fused)] == [path for path, _ in graph.layers(model)]
    _assert_same(_fit(fused, data), _fit(model, data), 2e-4)


def test_the_model_given_stays_as_it_is(data):
    model = _functional()
    before = model.get_weights()
    _fit(tfopt.fuse_batch_norm(model), data)
    assert not graph.is_fused(model)
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compiled_by_xla_it_trains_the_same(data):
    model = _functional()
    fused = tfopt.fuse_batch_norm(model)
    _assert_same(_fit(fused, data, jit_compile=True), _fit(model, data, jit_compile=False), 1e-4)


def test_on_two_devices_each_has_statistics_of_its_own(data, two_devices):
    with two_devices.scope():
        model = _functional()
    fused = tfopt.fuse_batch_norm(model)
    with two_devices.scope():
        _assert_same(_fit(fused, data), _fit(model, data), 1e-4)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_it_trains_in_mixed_precision(data, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = _functional()
    finally:
        keras.config.set_dtype_policy("float32")
    fused = tfopt.fuse_batch_norm(model)
    assert fused.get_layer("norm").gamma.dtype == "float32"
    _assert_same(_fit(fused, data), _fit(model, data), 5e-2)


def test_a_subclass_of_batch_normalization_is_left_alone():
    class Own(keras.layers.BatchNormalization):
        pass

    model = keras.Sequential([keras.Input((4, 4, 3)), Own(name="own")])
    assert type(tfopt.fuse_batch_norm(model).get_layer("own")) is Own


def test_what_cannot_be_copied_is_refused():
    class Subclassed(keras.Model):
        pass

    with pytest.raises(UnsupportedModel, match="has no weights yet"):
        tfopt.fuse_batch_norm(Subclassed())
    with pytest.raises(InvalidArgumentError, match="Expected a Keras 3 model"):
        tfopt.fuse_batch_norm("model.keras")


def test_a_file_holds_the_plain_model(tmp_path, data):
    """In the words of Keras, so that a process which has never heard of tfopt reads it."""
    fused = tfopt.fuse_batch_norm(_functional())
    _fit(fused, data)
    fused.save(tmp_path / "fused.keras")
    fused.save(tmp_path / "fused.h5")
    np.savez(tmp_path / "data.npz", x=data[0], y=fused.predict(data[0], verbose=0))
    code = (
        "import sys; sys.modules['tfopt'] = None; import keras, numpy as np; data = np.load('data.npz')\n"
        "for file in ('fused.keras', 'fused.h5'):\n"
        "    model = keras.models.load_model(file)\n"
        "    assert type(model.get_layer('norm')) is keras.layers.BatchNormalization\n"
        "    np.testing.assert_array_equal(model.predict(data['x'], verbose=0), data['y'])\n"
        "keras.models.load_model('fused.keras').fit(data['x'], np.zeros(50), verbose=0)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_saved_and_loaded_training_goes_on(tmp_path, data):
    fused = tfopt.fuse_batch_norm(_functional())
    _fit(fused, data)
    fused.save(tmp_path / "fused.keras")
    loaded = keras.models.load_model(tmp_path / "fused.keras")
    assert not graph.is_fused(loaded)
    again = [model.fit(*data, shuffle=False, verbose=0).history["loss"] for model in (loaded, fused)]
    _assert_same(loaded.get_weights(), fused.get_weights(), 1e-4)
    np.testing.assert_allclose(*again, rtol=1e-4)


def test_the_stages_of_a_pruned_and_quantized_model_keep_it(data):
    fused = tfopt.fuse_batch_norm(_functional())
    pruned = tfopt.prune(fused, 0.5)
    quantized = tfopt.quantize_aware(pruned)
    for model in (pruned, quantized):
        assert isinstance(graph.unwrapped(model.get_layer("norm")), FusedBatchNormalization)
        assert isinstance(graph.unwrapped(model.get_layer("alone")), FusedBatchNormalization)
    tfopt.quantization.calibrate(quantized, data[0])
    _fit(quantized, data)
    assert np.mean(quantized.get_layer("conv").layer.kernel.numpy() == 0) >= 0.5
    assert tfopt.to_tflite(quantized).verify(quantized, data[0]).max_lsb <= 1


def test_a_quantization_aware_model_can_be_fused(data):
    quantized = tfopt.quantize_aware(_functional())
    tfopt.quantization.calibrate(quantized, data[0])
    assert graph.is_fused(quantized)
    plain = graph.copy(quantized)
    for layer in (plain.get_layer("norm"), plain.get_layer("alone").layer):
        layer.__class__ = keras.layers.BatchNormalization
    fused = tfopt.fuse_batch_norm(plain)
    assert isinstance(graph.unwrapped(fused.get_layer("alone")), FusedBatchNormalization)
    assert not graph.is_fused(plain)
    _assert_same(_fit(fused, data), _fit(plain, data), 1e-2)  # a value may round to the next integer


def test_the_exported_file_is_that_of_the_plain_model(data):
    model = _functional()
    _fit(model, data)
    fused, plain = tfopt.fuse_batch_norm(model), graph.copy(model)
    assert bytes(tfopt.to_tflite(fused)) == bytes(tfopt.to_tflite(plain))
