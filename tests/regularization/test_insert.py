"""Layers that rules put into a model."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.regularization import estimate_batch_norm, insert_after

X = np.random.default_rng(0).normal(size=(64, 8, 8, 2)).astype("float32")


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 2))
    x = L.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    block = keras.Sequential([keras.Input((144,)), L.Dense(6, "relu", name="inner")], name="block")
    return keras.Model(inputs, L.Dense(3, name="head")(block(L.Flatten(name="flatten")(x))))


def test_what_was_put_in_computes_nothing_new_at_first(model):
    made = insert_after(model, {"conv": L.BatchNormalization(), "block": L.Dropout(0.5)})
    names = [layer.name for layer in made.layers][1:]
    assert names == [
        "conv", "conv_batch_normalization", "conv_activation", "flatten", "block.inner",
        "block.inner_dropout", "head",
    ]  # fmt: skip
    np.testing.assert_allclose(made.predict(X, verbose=0), model.predict(X, verbose=0), atol=1e-6)
    assert model.get_layer("conv").activation is keras.activations.relu


def test_it_trains_loads_and_each_place_has_its_own_layer(model, tmp_path):
    made = insert_after(model, {"conv": L.BatchNormalization(momentum=0.5), "*": None})
    assert made.get_layer("conv_batch_normalization").momentum == 0.5
    made = insert_after(model, {"conv": None, "flatten": None, "*": L.Dropout(0.5)})
    assert [each.name for each in made.layers if isinstance(each, L.Dropout)] == [
        "block.inner_dropout", "head_dropout",
    ]  # fmt: skip
    made.compile("adam", "mse")
    made.fit(X, np.zeros((64, 3)), verbose=0)
    made.save(tmp_path / "made.keras")
    loaded = keras.models.load_model(tmp_path / "made.keras")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), made.predict(X, verbose=0), rtol=1e-5)
    different = [np.asarray(made(X, training=True)) for _ in range(2)]
    assert np.abs(different[0] - different[1]).max() > 0


def test_a_layer_that_is_called_twice_gets_a_normalization_for_each_call():
    inputs = keras.Input((4,))
    dense = L.Dense(4, name="dense")
    made = insert_after(keras.Model(inputs, dense(dense(inputs))), {"dense": L.BatchNormalization()})
    norms = [each.name for each in made.layers if isinstance(each, L.BatchNormalization)]
    assert norms == ["dense_batch_normalization", "dense_batch_normalization_"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({}, "pattern of layer paths -> a layer"),
        ({"conv": 0.5}, "layer without weights yet, such as keras.layers.Dropout.0.3., or None, got 0.5"),
        ({"cnov": L.Dropout(0.5)}, "Did you mean 'conv'"),
        ({"conv": L.MaxPooling2D()}, "returns the shape .* Give a layer that keeps shapes"),
    ],
)
def test_what_cannot_be_put_in_is_one_sentence(model, rules, message):
    with pytest.raises(InvalidArgumentError, match=message):
        insert_after(model, rules)


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedModel, match="is subclassed"):
        insert_after(Own(), {"a": L.Dropout(0.5)})


class TestStatistics:
    """`estimate_batch_norm`."""

    def model(self):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((8, 8, 2))
        x = L.BatchNormalization(name="first")(inputs)
        x = L.Dropout(0.5)(L.Conv2D(3, 3, name="conv")(x))
        return keras.Model(inputs, L.BatchNormalization(name="second", momentum=0.9)(x))

    def test_statistics_are_those_of_all_samples(self):
        model = self.model()
        data = 2 * X + 3
        assert estimate_batch_norm(model, data, batch_size=24) == 2  # the last batch has 16
        first, second = model.get_layer("first"), model.get_layer("second")
        np.testing.assert_allclose(first.moving_mean, data.mean((0, 1, 2)), rtol=1e-4)
        np.testing.assert_allclose(first.moving_variance, data.var((0, 1, 2)), rtol=1e-4)
        outputs = keras.Model(model.inputs, model.get_layer("conv").output).predict(data, verbose=0)
        np.testing.assert_allclose(second.moving_variance, outputs.var((0, 1, 2)), rtol=0.1)
        assert second.momentum == 0.9
        before = second.moving_mean.numpy()
        model(X, training=False)
        np.testing.assert_array_equal(second.moving_mean, before)

    def test_frozen_layers_stay(self):
        model = self.model()
        model.get_layer("first").trainable = False
        assert estimate_batch_norm(model, X + 5) == 1
        np.testing.assert_array_equal(model.get_layer("first").moving_mean, [0, 0])

    def test_what_has_no_statistics_and_what_is_not_finite_is_refused(self):
        plain = keras.Sequential([keras.Input((2,)), L.Dense(1)])
        with pytest.raises(InvalidArgumentError, match="has no BatchNormalization"):
            estimate_batch_norm(plain, np.ones((4, 2)))
        model = self.model()
        model.get_layer("conv").kernel.assign(np.full((3, 3, 2, 3), np.inf))
        with pytest.raises(InvalidArgumentError, match="are not finite"):
            estimate_batch_norm(model, X)
        np.testing.assert_array_equal(model.get_layer("first").moving_mean, [0, 0])
        with pytest.raises(InvalidArgumentError, match="quantization-aware"):
            estimate_batch_norm(tfopt.quantize_aware(self.model()), X)
