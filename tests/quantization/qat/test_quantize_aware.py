"""What a user of `tfopt.quantize_aware` sees."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt import graph
from tfopt.errors import DataError, InvalidArgumentError, UnsupportedModel, UnsupportedOperation
from tfopt.quantization import ActivationQuantizer, WeightQuantizer, calibrate, left_in_float


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(32, 8, 8, 1)).astype("float32")


class Wave(keras.layers.Layer):
    def call(self, x):
        return tf.reshape(tf.math.sin(x), [-1, *x.get_shape()[1:]])  # a symbolic tensor has no get_shape


def _unknown():
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, name="conv"),
            Wave(name="wave"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(3, name="head"),
        ]
    )


def test_layers_keep_their_names_and_the_original_its_weights(small_cnn, images):
    model = small_cnn()
    before = model.get_weights()
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, images)
    quantized.compile("sgd", "sparse_categorical_crossentropy")
    quantized.fit(images, np.zeros(len(images)), verbose=0)
    names = {layer.name for layer in quantized.layers}
    assert {"conv1", "bn1", "relu1", "sep.depthwise", "sep.pointwise", "hidden", "head"} <= names
    for old, kept in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, kept)


def test_before_any_data_the_model_is_the_float_model_with_quantized_weights(small_cnn, images):
    model = small_cnn()
    quantized = tfopt.quantize_aware(model)
    np.testing.assert_allclose(
        quantized.predict(images, verbose=0), model.predict(images, verbose=0), atol=0.02
    )


def test_the_kernel_is_quantized_and_the_variable_is_not(small_cnn):
    quantized = tfopt.quantize_aware(small_cnn())
    conv = quantized.get_layer("conv1")
    assert isinstance(conv, WeightQuantizer)
    assert graph.unwrapped(conv) is conv.layer
    x = np.random.default_rng(0).normal(size=(1, 8, 8, 1)).astype("float32")
    used = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)
    used.build((None, 8, 8, 1))
    kernel = conv.layer.kernel.numpy()
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    used.set_weights([np.round(kernel / scale) * scale])
    np.testing.assert_allclose(conv(x), used(x), atol=1e-5)
    assert not np.allclose(np.round(kernel / scale) * scale, kernel)


def test_a_pruned_kernel_stays_pruned_through_training(small_cnn, images):
    pruned = tfopt.prune(small_cnn(), sparsity=0.75, rules={"sep": 0.75})
    quantized = tfopt.quantize_aware(pruned)
    calibrate(quantized, images)
    quantized.compile("adam", "sparse_categorical_crossentropy")
    quantized.fit(images, np.arange(len(images)) % 10, epochs=3, verbose=0)
    assert tfopt.measure.sparsity(quantized) == pytest.approx(tfopt.measure.sparsity(pruned))
    assert tfopt.measure.sparsity(quantized) >= 0.74


def test_an_unknown_operation_is_named_with_the_rule_that_leaves_it_in_float():
    with pytest.raises(UnsupportedOperation, match=r"'wave' .*rules=\{'wave': None\}"):
        tfopt.quantize_aware(_unknown())


def test_the_rule_in_that_message_works(images):
    quantized = tfopt.quantize_aware(_unknown(), rules={"wave": None})
    calibrate(quantized, images)
    summary = tfopt.to_tflite(quantized).summary()
    left = {operator.operator for operator in summary.float_operators}
    assert left <= {"SIN", "RESHAPE"}
    assert "SIN" in left


def test_what_stays_in_float_is_listed_with_the_reason():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="elu", name="conv")(inputs)
    x = keras.layers.Dense(3, name="head")(keras.layers.LayerNormalization(name="norm")(x))
    model = keras.Model(inputs, x)
    assert left_in_float(model, rules={"head": None}) == {
        "conv/elu": "LiteRT has no int8 kernel for Activation elu",
        "norm": "LiteRT has no int8 kernel for LayerNormalization",
        "head": "a rule says so",
    }


def test_the_end_of_a_model_can_be_left_in_float(small_cnn, images):
    quantized = tfopt.quantize_aware(small_cnn(), rules={"head": None})
    assert not isinstance(quantized.get_layer("head"), WeightQuantizer)
    assert isinstance(quantized.get_layer("hidden"), WeightQuantizer)


def test_a_layer_between_quantized_ones_can_be_left_in_float(small_cnn, images):
    quantized = tfopt.quantize_aware(small_cnn(), rules={"hidden": None})
    assert not isinstance(quantized.get_layer("hidden"), WeightQuantizer)
    assert isinstance(quantized.get_layer("head"), WeightQuantizer)
    calibrate(quantized, images)
    floats = tfopt.to_tflite(quantized).summary().float_operators
    assert "FULLY_CONNECTED" in {each.operator for each in floats if "hidden" in each.layer.split(" + ")}
    assert not any("head" in each.layer for each in floats)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"scheme": "int7"}, InvalidArgumentError, "Expected one of the schemes .* got 'int7'"),
        ({"rules": {"head": "int3"}}, InvalidArgumentError, "got 'int3'"),
        ({"rules": {"hed": None}}, InvalidArgumentError, "'hed'.*Layers: .*head"),
    ],
)
def test_bad_arguments_are_refused(small_cnn, arguments, error, message):
    with pytest.raises(error, match=message):
        tfopt.quantize_aware(small_cnn(), **arguments)


def test_models_that_cannot_be_quantized_are_refused(small_cnn):
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedModel, match="subclassed"):
        tfopt.quantize_aware(Subclassed())
    with pytest.raises(InvalidArgumentError, match="quantization-aware already"):
        tfopt.quantize_aware(tfopt.quantize_aware(small_cnn()))


def test_a_model_that_has_seen_no_data_is_not_exported(small_cnn):
    with pytest.raises(InvalidArgumentError, match="has seen no data"):
        tfopt.to_tflite(tfopt.quantize_aware(small_cnn()))


def test_calibration_averages_what_the_batches_hold():
    inputs = keras.Input((2,), name="x")
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.Dense(1)(inputs)))
    calibrate(quantized, np.array([[-1.0, 2.0], [-3.0, 0.5], [0.0, 6.0]], "float32"), batch_size=1)
    quantizer = quantized.get_layer("x.quantizer")
    assert float(quantizer.minimum) == pytest.approx(-4 / 3)
    assert float(quantizer.maximum) == pytest.approx(8.5 / 3)


def test_calibration_takes_a_representative_dataset(small_cnn, images):
    one, other = tfopt.quantize_aware(small_cnn()), tfopt.quantize_aware(small_cnn())
    calibrate(one, images)
    calibrate(other, lambda: ([image[None]] for image in images))
    np.testing.assert_array_equal(one.predict(images, verbose=0), other.predict(images, verbose=0))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 8, 8, 1)), "at least one sample"),
        (np.full((2, 8, 8, 1), np.nan), "NaN"),
        (lambda: [], "at least one sample"),
    ],
)
def test_calibration_refuses_bad_data(small_cnn, data, message):
    with pytest.raises(DataError, match=message):
        calibrate(tfopt.quantize_aware(small_cnn()), data)


def test_calibration_refuses_a_float_model(small_cnn, images):
    with pytest.raises(InvalidArgumentError, match="no activation quantizers"):
        calibrate(small_cnn(), images)


def test_tensors_that_meet_in_a_concatenation_share_a_quantizer():
    inputs = keras.Input((8, 8, 3), name="x")
    a = keras.layers.Conv2D(4, 1, name="a")(inputs)
    b = keras.layers.Conv2D(4, 1, name="b")(inputs)
    joined = keras.layers.MaxPooling2D()(keras.layers.Concatenate()([a, b]))
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.Conv2D(2, 1, name="c")(joined)))
    names = [layer.name for layer in quantized.layers if isinstance(layer, ActivationQuantizer)]
    assert names == ["x.quantizer", "a.quantizer", "c.quantizer"]


def test_several_outputs_keep_the_names_that_losses_are_given_by(images):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    digit = keras.layers.Dense(10, activation="softmax", name="digit")(x)
    size = keras.layers.Dense(1, name="size")(x)
    quantized = tfopt.quantize_aware(keras.Model(inputs, [digit, size]))
    assert quantized.output_names == ["digit", "size"]
    quantized.compile("adam", {"digit": "sparse_categorical_crossentropy", "size": "mse"})
    quantized.fit(images, {"digit": np.zeros(32), "size": np.zeros((32, 1))}, verbose=0)


@pytest.mark.parametrize("keys", [("digit", "size"), ("z", "a")])
def test_outputs_in_a_dict_keep_their_keys_and_names_also_in_a_file(images, tmp_path, keys):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    digit = keras.layers.Dense(10, activation="softmax", name="digit")(x)
    size = keras.layers.Dense(1, name="size")(x)
    model = keras.Model(inputs, dict(zip(keys, (digit, size), strict=True)))
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, images)
    quantized.save(tmp_path / "model.keras")
    for each in (quantized, keras.saving.load_model(tmp_path / "model.keras", compile=False)):
        assert each.output_names == model.output_names
        assert set(each.output) == set(keys)
        each.compile(
            "adam",
            dict(zip(keys, ("sparse_categorical_crossentropy", "mse"), strict=True)),
            metrics=dict(zip(keys, (["accuracy"], ["mae"]), strict=True)),
        )
        targets = dict(zip(keys, (np.zeros(32), np.zeros((32, 1))), strict=True))
        logs = each.fit(images, targets, verbose=0).history
        assert {f"{keys[0]}_accuracy", f"{keys[1]}_mae"} <= set(logs)


def test_nested_outputs_keep_their_structure(images):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Flatten()(inputs)
    parts = [keras.layers.Dense(2, name=name)(x) for name in "abc"]
    model = keras.Model(inputs, [parts[0], {"in": parts[1], "out": (parts[2],)}])
    quantized = tfopt.quantize_aware(model)
    assert quantized.output_names == model.output_names
    found = keras.tree.map_structure(lambda x: x.shape, quantized.output)
    assert found == keras.tree.map_structure(lambda x: x.shape, model.output)
    assert quantized(images)[1]["out"][0].shape == (32, 2)


def test_a_single_output_may_be_named_too(images):
    inputs = keras.Input((8, 8, 1))
    outputs = keras.layers.Dense(1, name="size")(keras.layers.Flatten()(inputs))
    quantized = tfopt.quantize_aware(keras.Model(inputs, outputs))
    assert quantized.output_names == ["size"]
    quantized.compile("adam", {"size": "mse"})
    quantized.fit(images, np.zeros((32, 1)), verbose=0)


def test_training_on_two_devices_equals_one(small_cnn, images, two_devices):
    def trained():
        model = tfopt.quantize_aware(small_cnn())
        model.get_layer("dropout").rate = 0.0
        calibrate(model, images)
        model.compile("sgd", "sparse_categorical_crossentropy")
        model.fit(images, np.arange(32) % 10, batch_size=16, epochs=2, shuffle=False, verbose=0)
        return model

    alone = trained()
    with two_devices.scope():
        mirrored = trained()
    for name in ("conv1", "hidden"):
        one, two = (model.get_layer(name).layer.kernel.numpy() for model in (alone, mirrored))
        # Replicas normalize their own half of the batch and see its range, as Keras's own layers do.
        np.testing.assert_allclose(two, one, atol=0.02)
    quantizer = mirrored.get_layer("hidden.relu.quantizer")
    assert float(quantizer.batches.numpy()) == float(alone.get_layer(quantizer.name).batches.numpy())


def test_mixed_precision_trains_and_exports(small_cnn, images):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_cnn()
    finally:
        keras.config.set_dtype_policy("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, images)
    quantized.compile("adam", "sparse_categorical_crossentropy")
    quantized.fit(images, np.zeros(len(images)), verbose=0)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators


def test_the_file_calls_its_output_what_the_model_calls_it(images):
    inputs = keras.Input((8, 8, 1), name="image")
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.Dense(3, name="head")(inputs)))
    calibrate(quantized, images)
    assert [spec.name for spec in tfopt.to_tflite(quantized).outputs] == ["head"]
