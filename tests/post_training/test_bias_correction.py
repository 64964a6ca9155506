import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.post_training import bias_correction
from tfopt.post_training.copies import flat_copy
from tfopt.post_training.rounding import round_kernels

HOLDERS = (
    "norm",
    "depthwise",
    "grouped",
    "transposed",
    "separable",
    "uncentred",
    "hidden",
    "last_norm",
    "head",
)


def _means(model, x):
    """The mean of each channel before the activation, of every layer that has a bias to correct."""
    bare = keras.models.clone_model(model)
    bare.set_weights(model.get_weights())
    for layer in bare.layers:
        if layer.name in HOLDERS and hasattr(layer, "activation"):
            layer.activation = keras.activations.linear
    found = {}
    for name in HOLDERS:
        inputs = keras.Model(model.input, model.get_layer(name).input)(x, training=False)
        outputs = np.asarray(bare.get_layer(name)(inputs))
        found[name] = outputs.mean(axis=tuple(range(outputs.ndim - 1)))
    return found


@pytest.mark.parametrize("per_channel", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_the_mean_shift_of_every_channel_is_gone(per_channel, many_kinds, images):
    fixed = bias_correction(many_kinds, images, bits=4, per_channel=per_channel)
    expected = _means(many_kinds, images)
    shifts = {}
    for name, model in (("before", many_kinds), ("after", fixed)):
        rounded = flat_copy(model)
        round_kernels(rounded, 4, per_channel)
        means = _means(rounded, images)
        shifts[name] = {each: np.max(np.abs(means[each] - expected[each])) for each in HOLDERS}
    for each in HOLDERS:
        scale = np.max(np.abs(expected[each]))
        assert shifts["after"][each] < 1e-4 * max(scale, 1), each
        assert shifts["before"][each] > 1e-3, each


def test_kernels_stay_and_biases_move(many_kinds, images):
    fixed = bias_correction(many_kinds, images, bits=4)
    for layer in many_kinds.layers[1:]:
        for old, new in zip(layer.weights, fixed.get_layer(layer.name).weights, strict=True):
            moved = not np.array_equal(old, new)
            assert not (moved and old.path.split("/")[-1] not in ("bias", "beta", "moving_mean")), old.path


@pytest.mark.slow
def test_the_mean_of_what_a_file_of_few_bits_returns_is_the_models(many_kinds, images):
    expected = np.mean(many_kinds(images), axis=0)
    before, after = (
        np.mean(
            tfopt.to_tflite(
                many_kinds, "int4_weights", images, corrections=corrections, block_size=None
            ).predict(images),
            axis=0,
        )
        for corrections in ([], ["bias_correction"])
    )
    assert np.max(np.abs(after - expected)) < 0.2 * np.max(np.abs(before - expected))


def test_layers_that_stay_in_float_are_left_alone(many_kinds, images):
    fixed = bias_correction(many_kinds, images, bits={"head": 8})
    for layer in many_kinds.layers[1:]:
        same = all(map(np.array_equal, layer.get_weights(), fixed.get_layer(layer.name).get_weights()))
        assert same == (layer.name != "head"), layer.name


def test_bad_arguments_are_refused(many_kinds, images):
    with pytest.raises(DataError, match="is empty"):
        bias_correction(many_kinds, images[:0])
    with pytest.raises(DataError, match="holds NaN"):
        bias_correction(many_kinds, images * np.nan)
    with pytest.raises(InvalidArgumentError, match="bits to be one of 8, 4, None"):
        bias_correction(many_kinds, images, bits=3)
    with pytest.raises(InvalidArgumentError, match="samples of shape"):
        bias_correction(many_kinds, images[:, 1:])
