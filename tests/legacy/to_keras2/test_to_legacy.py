"""Keras 3 models become tf_keras models with the same outputs."""

import keras
import numpy as np
import pytest
import tf_keras
from keras import layers, ops

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.tfmot.decomposed import decomposed

IMAGE, SEQUENCE = (8, 8, 3), (6, 4)

LAYERS = {
    IMAGE: [
        layers.Conv2D(6, 3, groups=3, activation="relu6"),
        layers.Conv2DTranspose(4, 3, strides=2, output_padding=1),
        layers.DepthwiseConv2D(3, depth_multiplier=2, depthwise_regularizer="l2"),
        layers.SeparableConv2D(4, 3, activation="hard_sigmoid"),
        layers.BatchNormalization(axis=1),
        layers.LayerNormalization(axis=[1, 2, 3]),
        layers.GroupNormalization(3),
        layers.LeakyReLU(0.1),
        layers.PReLU(shared_axes=[1, 2]),
        layers.ReLU(6.0, negative_slope=0.1),
        *(
            layers.Activation(name)
            for name in ("hard_silu", "gelu", "mish", "celu", "hard_tanh", "log_sigmoid")
        ),
        layers.Dense(3, activation=layers.LeakyReLU(0.3)),
        layers.AveragePooling2D(3, strides=2, padding="same"),
        layers.UpSampling2D((2, 3), interpolation="bilinear"),
        layers.ZeroPadding2D(((1, 2), (0, 1))),
        layers.Resizing(5, 7),
        layers.Rescaling(1 / 127.5, offset=-1.0),
        layers.SpatialDropout2D(0.5),
        layers.RandomFlip(),
    ],
    SEQUENCE: [
        layers.Conv1D(4, 3, padding="causal"),
        layers.LSTM(3, recurrent_activation="hard_sigmoid"),
        layers.GRU(3, reset_after=False),
        layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
        layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]),
        layers.TimeDistributed(layers.Dense(2)),
        layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d"),
        layers.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0]),
    ],
}
"""Input shape -> layers that tf_keras has."""

OPERATIONS = [
    lambda x: x + 1.0,
    lambda x: 2.0 - x[:, 1:, ..., :2],
    lambda x: ops.relu6(x + 3.0) / 6.0,
    lambda x: ops.mean(x, axis=[1, 2], keepdims=True),
    lambda x: ops.reshape(x, (-1, 64, 3)),
    lambda x: ops.concatenate([ops.transpose(x, (0, 2, 1, 3)), ops.silu(x)], axis=-1),
    lambda x: ops.softmax(ops.clip(x, -1, 1), axis=1),
    lambda x: ops.squeeze(ops.max(x, axis=1, keepdims=True), axis=1),
]
"""Functions of an image that TensorFlow has functions for."""

HOSTED = [
    layers.RMSNormalization(),
    layers.SpectralNormalization(layers.Dense(2)),
    layers.Resizing(4, 4, pad_to_aspect_ratio=True),
]
"""Layers that tf_keras lacks, has without these settings, or cannot build."""


def _with_random_weights(model):
    random = np.random.default_rng(0)
    for weight in model.weights:
        noise = random.normal(0, 0.3, weight.shape)
        weight.assign(weight + (abs(noise) if "variance" in weight.path else noise))
    return model


def _assert_same_outputs(new, old):
    random = np.random.default_rng(1)
    inputs = [random.normal(size=(2, *tensor.shape[1:])).astype("float32") for tensor in new.inputs]
    inputs = dict(zip(("left", "right"), inputs, strict=True)) if isinstance(new.input, dict) else inputs
    expected, got = new(inputs, training=False), old(inputs, training=False)
    keras.tree.assert_same_structure(expected, got)
    for one, other in zip(keras.tree.flatten(expected), keras.tree.flatten(got), strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5 * max(1, np.abs(one).max()))


def _kinds(model):
    return {type(layer).__name__ for layer in model.layers}


def test_every_layer():
    inputs = [keras.Input(shape) for shape in LAYERS]
    outputs = [layer(x) for x, kinds in zip(inputs, LAYERS.values(), strict=True) for layer in kinds]
    new = _with_random_weights(keras.Model(inputs, outputs))
    old = tfopt.to_legacy(new)
    assert isinstance(old, tf_keras.Model)
    assert "KerasThree" not in _kinds(old)
    _assert_same_outputs(new, old)


def test_a_lambda_keeps_its_function_and_is_saved(tmp_path):
    inputs = keras.Input((6, 4))
    twice = layers.Lambda(
        lambda x, factor: x[:, :3] * factor, (3, 4), arguments={"factor": 2.0}, name="twice"
    )
    new = keras.Model(inputs, layers.Dense(2)(twice(inputs)))
    old = tfopt.to_legacy(new)
    assert _kinds(old) == {"InputLayer", "Lambda", "Dense"}
    _assert_same_outputs(new, old)
    old.save(tmp_path / "old.h5")
    _assert_same_outputs(tfopt.from_legacy(tmp_path / "old.h5", safe_mode=False), old)


def test_every_operation_becomes_a_function_of_tensorflow(tmp_path):
    inputs = keras.Input(IMAGE)
    new = keras.Model(inputs, [function(inputs) for function in OPERATIONS])
    old = tfopt.to_legacy(new)
    assert _kinds(old) <= {"InputLayer", "TFOpLambda", "SlicingOpLambda"}
    assert {operation.name for operation in new.operations} == {layer.name for layer in old.layers}
    old.save(tmp_path / "old.h5")
    _assert_same_outputs(new, tf_keras.models.load_model(tmp_path / "old.h5"))


def test_what_tf_keras_lacks_runs_in_keras_3_trains_and_is_saved(tmp_path):
    inputs = keras.Input(IMAGE)
    x = inputs
    for layer in HOSTED:
        x = layer(x)
    new = _with_random_weights(keras.Model(inputs, ops.sum(ops.cumsum(x, axis=1), axis=[1, 2, 3])))
    old = tfopt.to_legacy(new)
    _assert_same_outputs(new, old)
    assert len(old.trainable_weights) == len(new.trainable_weights)
    old.compile("sgd", "mse")
    before = [weight.numpy() for weight in old.trainable_weights]
    old.train_on_batch(np.ones((2, *IMAGE)), np.ones(2))
    assert all((weight.numpy() != b).any() for weight, b in zip(old.trainable_weights, before, strict=True))
    old.save(tmp_path / "old.h5")
    _assert_same_outputs(tfopt.from_legacy(old), tf_keras.models.load_model(tmp_path / "old.h5"))


def _two_ended():
    block = keras.Sequential(
        [keras.Input((4,)), layers.Dense(4, name="dense"), layers.BatchNormalization(name="norm")],
        name="block",
    )
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    joined = block(left) + block(right)
    head = layers.Dense(2, kernel_regularizer="l2", trainable=False, name="head")(joined)
    return _with_random_weights(
        keras.Model({"left": left, "right": right}, {"head": head, "joined": joined}, name="two")
    )


def test_nested_and_shared_models_keep_names_flags_and_structure():
    new = _two_ended()
    old = tfopt.to_legacy(new)
    _assert_same_outputs(new, old)
    assert [layer.name for layer in old.layers] == [operation.name for operation in new.operations]
    assert [layer.name for layer in old.get_layer("block").layers] == ["dense", "norm"]
    assert len(old.weights) == len(new.weights)
    assert not old.get_layer("head").trainable
    assert old.get_layer("head").kernel_regularizer is not None


def test_there_and_back_is_the_same_model():
    new = _two_ended()
    back = tfopt.from_legacy(tfopt.to_legacy(new))
    _assert_same_outputs(new, back)
    assert [operation.name for operation in back.operations] == [each.name for each in new.operations]


def test_the_result_shares_nothing_with_the_model(small_cnn):
    new = small_cnn()
    before = new.get_weights()
    old = tfopt.to_legacy(new)
    old.set_weights([weight * 0 for weight in old.get_weights()])
    for weight, kept in zip(new.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def test_masks():
    words = keras.Input((6,), dtype="int32")
    new = keras.Model(words, layers.LSTM(3)(layers.Embedding(5, 4, mask_zero=True)(words)))
    inputs = np.array([[1, 2, 0, 0, 0, 0], [3, 4, 1, 2, 1, 0]])
    np.testing.assert_allclose(tfopt.to_legacy(new)(inputs), new(inputs), atol=1e-6)


def test_an_operation_that_is_called_twice_becomes_two_layers():
    inner, inputs = keras.Input((4,)), keras.Input((4,))
    block = keras.Model(inner, inner * 2.0 + 1.0, name="block")
    new = decomposed(keras.Model(inputs, block(block(inputs))))
    old = tfopt.to_legacy(new)
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(old(x), new(x), atol=1e-6)
    assert len(old.layers) == 5


@keras.saving.register_keras_serializable("test_to_legacy")
class Doubled(keras.Layer):
    """Knows nothing of masks."""

    def call(self, inputs):
        return 2 * inputs


@keras.saving.register_keras_serializable("test_to_legacy")
class Refusing(keras.Layer):
    """Takes Keras 3's symbolic tensors alone."""

    def call(self, inputs):
        raise TypeError("no tf.Tensor")

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)


def test_a_layer_of_ones_own_that_takes_no_mask_gets_none():
    words = keras.Input((6,), dtype="int32")
    new = keras.Model(words, Doubled()(layers.Embedding(5, 4, mask_zero=True)(words)))
    inputs = np.array([[1, 2, 0, 0, 0, 0]])
    np.testing.assert_allclose(tfopt.to_legacy(new)(inputs), new(inputs), atol=1e-6)


def test_a_layer_that_does_otherwise_in_keras_2_is_named():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Refusing(name="own")(inputs))
    with pytest.raises(ConversionError, match=r"(?s)'own' \(Refusing\) cannot be called in.*no tf.Tensor"):
        tfopt.to_legacy(model)


def test_what_is_no_built_model_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"start it with keras.Input"):
        tfopt.to_legacy(keras.Sequential([layers.Dense(2)]))
