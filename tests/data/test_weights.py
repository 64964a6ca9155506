"""Weights of samples and classes: they train, validate and evaluate as in `keras.Model.fit`."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.data import from_arrays
from tfopt.errors import DataError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype("float32")
Y = np.arange(60) % 3
W = RNG.uniform(0.1, 3, 60).astype("float32")
HELD = {"x_val": X[:12], "y_val": Y[:12], "x_test": X[12:24], "y_test": Y[12:24]}
WEIGHTS = {
    "none": {},
    "samples": {"sample_weight": W, "sample_weight_val": W[:12], "sample_weight_test": W[12:24]},
    "classes": {"class_weight": {0: 0.2, 2: 5.0}},
}


def _model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    return model


def _data(**weights):
    return from_arrays(X, Y, **HELD, **weights, name="weighted")


@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_stage_trains_validates_and_evaluates_as_keras_does(kind, tmp_path):
    given = WEIGHTS[kind]
    run = tfopt.Pipeline([tfopt.Train(epochs=2)]).run(
        _model(), _data(**given), out=tmp_path, batch_size=60, quiet=True
    )
    expected = _model()
    validation = (HELD["x_val"], HELD["y_val"], *([W[:12]] if kind == "samples" else []))
    history = expected.fit(
        X,
        Y,
        epochs=2,
        batch_size=60,
        verbose=0,
        validation_data=validation,
        sample_weight=given.get("sample_weight"),
        class_weight=given.get("class_weight"),
    ).history
    evaluated = expected.evaluate(
        HELD["x_test"],
        HELD["y_test"],
        sample_weight=given.get("sample_weight_test"),
        return_dict=True,
        verbose=0,
    )
    for a, b in zip(run.model().get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    (stage,) = run.record["stages"]
    for name, values in history.items():
        np.testing.assert_allclose(stage["history"][name], values, rtol=1e-5)
    for name, value in evaluated.items():
        assert stage["metrics"][name] == pytest.approx(value, rel=1e-5)


def test_weights_change_what_is_learned():
    """So that the test above does not compare two trainings without weights."""
    learned = []
    for given in WEIGHTS.values():
        model = _model()
        data = _data(**given)
        model.fit(data.training_batches(60, seed=0), steps_per_epoch=1, verbose=0)
        learned.append(model.get_weights()[0])
    assert all(not np.allclose(learned[0], each, atol=1e-4) for each in learned[1:])


def test_weights_go_with_their_samples():
    data = from_arrays(X, Y, sample_weight=X[:, 0] + 10, seed=3)
    for name in ("train", "validation", "test"):
        x, _, weights = data.evaluated(name)
        np.testing.assert_allclose(weights, x[:, 0] + 10)
    for x, _, weights in data.training_batches(16, seed=0):
        np.testing.assert_allclose(weights, x[:, 0] + 10)
    assert data.describe()["sample_weight"] is True


def test_several_targets_share_weights_or_have_their_own():
    targets = {"a": X[:, :1], "b": X[:, 1:]}
    shared = from_arrays(X, targets, num_classes=None, sample_weight=W)
    own = from_arrays(X, targets, num_classes=None, sample_weight={"a": W, "b": 2 * W})
    assert set(shared.sample_weight_train) == {"a", "b"}
    np.testing.assert_array_equal(shared.sample_weight_train["b"], shared.sample_weight_train["a"])
    np.testing.assert_array_equal(own.sample_weight_train["b"], 2 * own.sample_weight_train["a"])


def test_balanced_classes_weigh_alike():
    y = np.array([0] * 30 + [1] * 20 + [2] * 10)
    data = from_arrays(X, y, **HELD, class_weight="balanced")
    assert data.class_weight == {0: 60 / 90, 1: 60 / 60, 2: 60 / 30}
    (batch,) = data.training_batches(60, seed=0)
    totals = [batch[2].numpy()[batch[1].numpy() == label].sum() for label in range(3)]
    assert totals == pytest.approx([20, 20, 20])


def test_the_fingerprint_knows_the_weights():
    prints = [_data(**given).fingerprint() for given in WEIGHTS.values()]
    prints.append(_data(**WEIGHTS["samples"] | {"sample_weight": 2 * W}).fingerprint())
    prints.append(_data(class_weight={0: 0.3}).fingerprint())
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_weight": W, "class_weight": {0: 2.0}}, "give sample_weight alone"),
        ({"sample_weight": W[:5]}, r"one number a sample, of shape \(60,\), got \(5,\)"),
        ({"sample_weight": np.full(60, np.nan)}, "NaN"),
        ({"sample_weight": {"a": W}}, "in the structure of the targets"),
        ({"class_weight": {7: 1.0}}, "classes 0 to 2, got 7"),
        ({"class_weight": [1.0, 2.0]}, "must be a dict"),
        ({"class_weight": {0: 1.0}, "num_classes": None}, "give sample_weight"),
    ],
)
def test_weights_that_do_not_fit_are_refused(change, message):
    with pytest.raises(DataError, match=message):
        _data(**change)


def test_weights_of_a_split_that_is_not_given_are_refused():
    with pytest.raises(DataError, match="not given: validation"):
        from_arrays(X, Y, sample_weight_val=W)


def test_the_advice_for_both_kinds_of_weights_works():
    class_weight = {0: 0.5, 1: 1.0, 2: 2.0}
    data = _data(sample_weight=W * [class_weight[label] for label in Y])
    (batch,) = data.training_batches(60, seed=0)
    assert batch[2].numpy().sum() == pytest.approx(float((W * 0.5 * 2.0**Y).sum()), rel=1e-5)
