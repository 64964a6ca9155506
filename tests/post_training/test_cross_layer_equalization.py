import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.post_training import cross_layer_equalization

layers = keras.layers


def _outputs(model, x):
    return keras.ops.convert_to_numpy(model(x, training=False))


@pytest.mark.parametrize("name", ["many_kinds", "badly_scaled"])
def test_the_function_stays_the_same(name, images, request):
    model = request.getfixturevalue(name)
    before = model.get_weights()
    equal = cross_layer_equalization(model)
    expected = _outputs(model, images)
    np.testing.assert_allclose(_outputs(equal, images), expected, atol=1e-4 * np.max(np.abs(expected)))
    assert [layer.name for layer in equal.layers[1:]] == [layer.name for layer in model.layers[1:]]
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_both_layers_get_the_same_range_in_each_channel(badly_scaled):
    equal = cross_layer_equalization(badly_scaled)
    assert np.std(np.log(_ranges(badly_scaled))) > 1
    ours = _ranges(equal)
    assert np.std(np.log(ours)) < 0.1
    np.testing.assert_allclose(
        ours, np.max(np.abs(equal.get_layer("second").kernel), axis=(0, 1, 3)), rtol=0.05
    )


def _ranges(model):
    """The range of each channel of the first kernel, its normalization multiplied into it."""
    norm = model.get_layer("norm")
    factors = np.abs(np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon))
    return np.max(np.abs(model.get_layer("first").kernel), axis=(0, 1, 2)) * factors


def test_with_one_scale_a_kernel_the_file_is_closer_to_the_model(badly_scaled, images):
    snr = [
        tfopt.to_tflite(badly_scaled, "int8_weights", per_channel=False, corrections=corrections)
        .verify(badly_scaled, images, classification=False)
        .snr_db
        for corrections in ([], ["cross_layer_equalization"])
    ]
    assert snr[1] > snr[0] + 10


def _changed(model):
    equal = cross_layer_equalization(model)
    pairs = zip(model.get_weights(), equal.get_weights(), strict=True)
    return not all(np.allclose(*pair) for pair in pairs)


def test_no_scale_is_moved_through_what_saturates_or_is_read_twice():
    inputs = keras.Input((6, 6, 2))
    for between in (
        lambda x: layers.ReLU(max_value=6)(x),
        lambda x: layers.Activation("sigmoid")(x),
        lambda x: layers.LayerNormalization()(x),
        lambda x: layers.ReLU(threshold=1.0)(x),
    ):
        x = between(layers.Conv2D(4, 3, name="a")(inputs))
        assert not _changed(keras.Model(inputs, layers.Conv2D(3, 3, name="b")(x)))
    x = layers.Conv2D(4, 3, padding="same", name="a")(inputs)
    y = layers.Conv2D(4, 3, padding="same", name="b")(x)
    assert not _changed(keras.Model(inputs, layers.Add()([x, y])))
    assert not _changed(keras.Model(inputs, [x, y]))
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    assert not _changed(keras.Model(inputs, shared(layers.ReLU()(shared(inputs)))))


def test_dead_channels_stay_dead(images):
    inputs = keras.Input((10, 8, 3))
    model = keras.Model(
        inputs, layers.Conv2D(2, 3, name="b")(layers.Conv2D(4, 3, activation="relu", name="a")(inputs))
    )
    kernel = model.get_layer("a").kernel
    kernel.assign(np.asarray(kernel) * np.array([0, 1, 1, 1], np.float32))
    equal = cross_layer_equalization(model)
    assert not np.any(np.asarray(equal.get_layer("a").kernel)[..., 0])
    np.testing.assert_allclose(_outputs(equal, images), _outputs(model, images), atol=1e-5)


def test_nested_models_are_opened(images):
    block = keras.Sequential(
        [keras.Input((8, 6, 8)), layers.ReLU(), layers.Conv2D(4, 3, name="inner")], name="block"
    )
    inputs = keras.Input((10, 8, 3))
    x = layers.Conv2D(8, 3, name="outer")(inputs)
    model = keras.Model(inputs, block(x))
    equal = cross_layer_equalization(model)
    assert not np.allclose(equal.get_layer("outer").kernel, model.get_layer("outer").kernel)
    np.testing.assert_allclose(_outputs(equal, images), _outputs(model, images), atol=1e-5)


class _Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


def test_models_that_cannot_be_corrected_are_refused(small_cnn):
    with pytest.raises(UnsupportedModel, match="call it once"):
        cross_layer_equalization(_Subclassed())
    with pytest.raises(InvalidArgumentError, match="is quantization-aware"):
        cross_layer_equalization(tfopt.quantize_aware(small_cnn()))
