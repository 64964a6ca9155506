"""Consistency regularization: what is minimized, what stays, what is refused."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.regularization import ConsistencyRegularization

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
Y = np.arange(64) % 3


def made(rate=0.5, activation="softmax", loss="sparse_categorical_crossentropy"):
    keras.utils.set_random_seed(0)
    layers = [keras.Input((6,)), L.Dense(16, "relu"), L.Dropout(rate, seed=1), L.Dense(3, activation)]
    model = keras.Sequential(layers)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
    return model


def unlike(model):
    """Return how much the answers of a model differ under its noise."""
    return np.std([np.asarray(model(X, training=True)) for _ in range(8)], axis=0).mean()


@pytest.mark.parametrize("method", ["pi_model", "r_drop", "mean_teacher"])
def test_answers_are_more_alike_than_without(method):
    plain, consistent = made(), made()
    plain.fit(X, Y, epochs=12, batch_size=16, verbose=0)
    with ConsistencyRegularization(consistent, method, weight=30.0):
        history = consistent.fit(X, Y, epochs=12, batch_size=16, verbose=0).history
    assert unlike(consistent) < 0.7 * unlike(plain)
    assert {"loss", "accuracy"} == {*history}
    assert "compute_loss" not in vars(consistent)


def test_without_noise_the_training_is_the_compiled_one():
    plain, consistent = made(rate=0.0), made(rate=0.0)
    plain.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    with ConsistencyRegularization(consistent, "r_drop"):
        consistent.fit(X, Y, epochs=2, batch_size=16, shuffle=False, verbose=0)
    for one, other in zip(plain.get_weights(), consistent.get_weights(), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-7)


def test_the_loss_is_the_sum_that_it_says():
    model = made(rate=0.0)
    teacher_far = ConsistencyRegularization(model, "mean_teacher", weight=2.0, decay=0.9)
    first = np.asarray(model(X))
    with teacher_far:
        for weight in teacher_far.teacher.weights:
            weight.assign(0 * weight)
        teacher_far._steps.assign(1e6)  # so that the average stays where it is, but for a tenth
        loss = float(model.compute_loss(X, keras.ops.convert_to_tensor(Y), model(X, training=True)))
        second = np.asarray(teacher_far.teacher(X))
    crossentropy = -np.log(first[np.arange(64), Y]).mean()
    assert loss == pytest.approx(crossentropy + 2 * ((first - second) ** 2).mean(), rel=1e-4)


def test_the_teacher_is_the_moving_average():
    model = made()
    with ConsistencyRegularization(model, "mean_teacher", decay=0.5) as regularization:
        model.fit(X, Y, epochs=5, batch_size=16, verbose=0)
    mine, average = model.get_weights(), regularization.teacher.get_weights()
    apart = [np.abs(a - b).max() for a, b in zip(mine, average, strict=True)]
    assert 0 < max(apart) < 0.2
    assert not regularization.teacher.trainable_variables


def test_samples_without_a_label_take_part():
    unlabelled = np.where(np.arange(64) < 12, 1.0, 0.0)
    plain, consistent = made(), made()
    plain.fit(X, Y, sample_weight=unlabelled, epochs=12, batch_size=16, verbose=0)
    with ConsistencyRegularization(consistent, "pi_model", weight=30.0):
        consistent.fit(X, Y, sample_weight=unlabelled, epochs=12, batch_size=16, verbose=0)
    assert unlike(consistent) < 0.8 * unlike(plain)


@pytest.mark.parametrize(("activation", "loss"), [(None, "mse"), ("sigmoid", "binary_crossentropy")])
@pytest.mark.parametrize("method", ["pi_model", "r_drop"])
def test_numbers_and_probabilities_of_two_classes(activation, loss, method):
    model = made(activation=activation, loss=loss)
    with ConsistencyRegularization(model, method):
        history = model.fit(X, np.eye(3)[Y], epochs=3, verbose=0).history
    assert np.isfinite(history["loss"]).all()


def test_several_devices_are_used_but_for_a_moving_average(two_devices):
    keras.utils.set_random_seed(0)
    with two_devices.scope():
        model = made(rate=0.0)
    with pytest.raises(UnsupportedModel, match="take method='r_drop' or 'pi_model'"):
        ConsistencyRegularization(model, "mean_teacher")


def test_what_is_out_of_range_is_one_sentence():
    for wrong, message in (
        ({"method": "ladder"}, "'pi_model', 'r_drop', 'mean_teacher'"),
        ({"weight": 0}, "weight to be"),
        ({"decay": 1}, "decay to be"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            ConsistencyRegularization(made(), **wrong)
    with pytest.raises(InvalidArgumentError, match="compile the model first"):
        ConsistencyRegularization(keras.Sequential([keras.Input((2,)), L.Dense(1)]))

    class Own(keras.Sequential):
        def train_step(self, data):
            return {}

    own = Own([keras.Input((6,)), L.Dense(3)])
    own.compile("sgd", "mse")
    with pytest.raises(UnsupportedModel, match=r"its own train_step\(\)"):
        ConsistencyRegularization(own)
