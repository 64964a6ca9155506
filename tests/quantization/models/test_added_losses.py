"""Losses that layers add by themselves: trained with, and no part of a file."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import tfopt
from tests.quantization.models.loss_zoo import MODELS, REGULARIZED, Penalty
from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.read import parse
from tfopt.quantization import SCHEMES, calibrate, round_biases


def _model(name, zoo=MODELS):
    keras.utils.set_random_seed(0)
    return zoo[name]()


def _data(model):
    shape = model.input_shape[1:] if hasattr(model, "inputs") else (5,)
    return np.random.default_rng(0).normal(size=(32, *shape)).astype("float32")


def _quantized(model, x, scheme="int8"):
    quantized = tfopt.quantize_aware(model, scheme)
    calibrate(quantized, x)
    return quantized


def _losses(model, x, training=False):
    model(x, training=training)
    return sorted(float(np.sum(loss)) for loss in model.losses)


def _file(content):
    model = parse(bytes(content))
    return sorted(operator_name(model, each) for each in model.subgraphs[0].operators)


@pytest.mark.parametrize("name", MODELS)
def test_a_quantized_copy_trains_with_the_losses_and_its_file_leaves_them_out(name, tmp_path):
    model = _model(name)
    x = _data(model)
    quantized = _quantized(model, x)
    for training in (False, True):
        assert _losses(quantized, x, training) == pytest.approx(_losses(model, x, training), rel=0.05)

    y = model.predict(x, verbose=0)
    loss = {"left": "mse", "right": "mse"} if name == "two_ends" else "mse"
    quantized.compile(keras.optimizers.SGD(1e-4), loss)
    trained = quantized.fit(x, y, batch_size=32, verbose=0).history["loss"][0]
    assert trained == pytest.approx(sum(_losses(model, x, training=True)), rel=0.1)
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False)

    quantized.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(quantized.weights)
    assert _losses(loaded, x) == pytest.approx(_losses(quantized, x))
    keras.tree.map_structure(np.testing.assert_array_equal, loaded(x), quantized(x))


@pytest.mark.parametrize("name", ["vector_quantizer", "experts", "subclassed"])
def test_files_of_the_float_model(name):
    model = _model(name)
    x = _data(model)
    assert tfopt.to_tflite(model).verify(model, x, classification=False)
    assert tfopt.to_tflite(model, "int8", x).verify(model, x, classification=False)


@pytest.mark.parametrize("name", ["vector_quantizer", "experts", "subclassed", "twice"])
def test_copies_in_float_keep_the_losses(name):
    model = _model(name)
    x = _data(model)
    for copied in (
        tfopt.prune(model, 0.01),
        tfopt.fuse_batch_norm(model),
        tfopt.post_training.cross_layer_equalization(model),
        tfopt.post_training.bias_correction(model, x),
    ):
        for training in (False, True):
            assert _losses(copied, x, training) == pytest.approx(_losses(model, x, training), rel=0.02)


@pytest.mark.parametrize("name", REGULARIZED)
def test_activity_regularizers_are_of_what_comes_out_of_the_whole_layer(name):
    model = _model(name, REGULARIZED)
    x = _data(model)
    quantized = _quantized(model, x)
    assert _losses(quantized, x) == pytest.approx(_losses(model, x), rel=0.05)


def test_an_activity_regularizer_is_not_in_the_way_of_what_is_fused(tmp_path):
    def model(regularizer):
        return keras.Sequential(
            [
                keras.Input((8, 8, 2)),
                L.Conv2D(4, 3, activity_regularizer=regularizer),
                L.BatchNormalization(),
                L.ReLU(),
                L.ActivityRegularization(l2=0.1 if regularizer else 0.0),
                L.GlobalAveragePooling2D(),
                *([Penalty()] if regularizer else []),
                L.Dense(3, name="head"),
            ]
        )

    with_losses, without = model("l2"), model(None)
    x = _data(without)
    quantized = _quantized(with_losses, x)
    file = tfopt.to_tflite(quantized)
    assert _file(file) == _file(tfopt.to_tflite(_quantized(without, x)))
    assert [each.name for each in file.outputs] == ["head"]
    report = tfopt.debug_quantization(quantized, file, x)
    assert not report.unmatched
    assert max(layer.added_max_lsb for layer in report.layers) <= 1
    assert tfopt.measure.macs(quantized) == tfopt.measure.macs(without)
    assert round_biases(quantized) == 2
    quantized.save(tmp_path / "model.keras")  # what is left of ActivityRegularization does not come back
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert _losses(loaded, x) == pytest.approx(_losses(quantized, x))


@pytest.mark.parametrize("scheme", [name for name in SCHEMES if name not in ("int8", "float32")])
def test_what_makes_losses_alone_stays_in_float_in_each_scheme(scheme):
    model = _model("agreement")
    x = _data(model)
    quantized = _quantized(model, x, scheme)
    loose = 0.05 if scheme in ("int16x8", "int8_weights", "dynamic") else 0.8  # few bits change the weights
    assert _losses(quantized, x) == pytest.approx(_losses(model, x), rel=loose)
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False)


def test_gradients_are_those_of_the_losses():
    model = _model("vector_quantizer")
    x = _data(model)

    def gradients(trained):
        with tf.GradientTape() as tape:
            trained(x, training=True)
            loss = tf.add_n(trained.losses)
        found = zip(
            trained.trainable_variables, tape.gradient(loss, trained.trainable_variables), strict=True
        )
        return {tuple(variable.shape): gradient for variable, gradient in found if gradient is not None}

    expected, actual = gradients(model), gradients(_quantized(model, x))
    for shape in ((4, 6), (3, 3, 2, 4)):  # the table and the kernel before it
        one, other = np.ravel(actual[shape]), np.ravel(expected[shape])
        assert one @ other / np.linalg.norm(one) / np.linalg.norm(other) > 0.9
        assert np.linalg.norm(one) == pytest.approx(np.linalg.norm(other), rel=0.2)


def test_losses_in_half_precision_are_summed_with_the_others():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        inputs = keras.Input((5,))
        x = Penalty()(L.Dense(8, activation="relu", activity_regularizer="l2")(inputs))
        model = keras.Model(inputs, L.Dense(3, dtype="float32")(x))
    finally:
        keras.config.set_dtype_policy(policy)
    x = _data(model)
    quantized = _quantized(model, x)
    assert _losses(quantized, x) == pytest.approx(_losses(model, x), rel=0.05)
    quantized.compile("sgd", "mse")
    quantized.fit(x, model.predict(x, verbose=0), verbose=0)


@keras.saving.register_keras_serializable(package="loss_zoo")
class Endpoint(L.Layer):
    """As in the guide on layers of one's own: the loss of targets that come as an input."""

    def call(self, logits, targets):
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.add_loss(loss(targets, logits))
        return keras.ops.softmax(logits)


def test_labels_that_come_as_an_input_are_not_rounded():
    inputs, targets = keras.Input((5,), name="inputs"), keras.Input((1,), name="targets")
    logits = L.Dense(700, kernel_initializer=keras.initializers.RandomNormal(0, 3))(inputs)
    model = keras.Model([inputs, targets], Endpoint(name="end")(logits, targets))
    x = np.random.default_rng(0).normal(size=(32, 5)).astype("float32")
    data = [x, np.arange(32, dtype="float32")[:, None] * 21 + 1]
    quantized = _quantized(model, data)
    assert _losses(quantized, data) == pytest.approx(_losses(model, data), rel=0.02)
    quantized.compile(keras.optimizers.SGD(1e-4))
    quantized.fit(data, verbose=0)
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, data)
    assert {spec.name: spec.dtype for spec in file.inputs} == {"inputs": "int8", "targets": "float32"}


def test_each_replica_of_a_strategy_adds_its_own(two_devices):
    with two_devices.scope():
        model = _model("inside_a_layer")
    x = _data(model)
    quantized = _quantized(model, x)
    with two_devices.scope():
        quantized.compile(keras.optimizers.SGD(0.0), "mse")
    trained = quantized.fit(x, model.predict(x, verbose=0), batch_size=16, verbose=0).history["loss"][0]
    assert trained == pytest.approx(sum(_losses(model, x)), rel=0.1)


@keras.saving.register_keras_serializable(package="loss_zoo")
class Moving(L.Layer):
    """Moves a statistic in training, which no graph of operations does."""

    def build(self, shape):
        self.mean = self.add_weight(shape=(shape[-1],), trainable=False)

    def call(self, x, training=None):
        if training:
            self.mean.assign(0.9 * self.mean + 0.1 * keras.ops.mean(x, axis=0))
        self.add_loss(keras.ops.mean((x - self.mean) ** 2))
        return x


def test_losses_of_training_that_cannot_be_read_are_warned_of(recwarn):
    inputs = keras.Input((5,))
    model = keras.Model(inputs, L.Dense(3)(Moving(name="moving")(inputs)))
    x = _data(model)
    with pytest.warns(UserWarning, match=r"'moving' \(Moving\): .*assign.*at inference"):
        quantized = _quantized(model, x)
    assert _losses(quantized, x, training=True) == pytest.approx(_losses(model, x), rel=0.05)
    recwarn.clear()
    tfopt.to_tflite(model, "int8", x)  # how a model trains has no part in a file
    assert not [each for each in recwarn if "adds in training" in str(each.message)]
