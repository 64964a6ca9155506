"""Boosting beside scikit-learn's, and beside what its equations say; what is refused."""

import keras
import numpy as np
import pytest
from sklearn.ensemble import GradientBoostingRegressor

import tfopt
from tfopt.ensemble import GradientBoosting
from tfopt.errors import DataError, InvalidArgumentError

layers = keras.layers


def learner(columns=1, inputs=3, width=4):
    return lambda: keras.Sequential(
        [keras.Input((inputs,)), layers.Dense(width, "relu"), layers.Dense(columns)]
    )


def data(seed=0, samples=120):
    x = np.random.default_rng(seed).normal(size=(samples, 3)).astype("float32")
    return x, np.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2]


def classes(seed=0):
    x, y = data(seed)
    return x, np.digitize(y, [-0.5, 0.5])


def small(loss, columns=1, **arguments):
    return GradientBoosting(learner(columns), loss, **{"rounds": 4, "epochs": 2, **arguments})


@pytest.mark.parametrize(
    ("loss", "constant"),
    [("mse", np.mean), ("mae", np.median), (lambda y, s: keras.ops.square(y - s), np.mean)],
    ids=["mse", "mae", "function"],
)
def test_scores_begin_at_the_best_constant(loss, constant):
    x, y = data()
    boosted = small(loss, rounds=1).fit(x, y, verbose=0)
    residual = np.abs(y - constant(y)) if loss == "mae" else (y - constant(y)) ** 2
    assert boosted.loss[0] == pytest.approx(residual.mean(), rel=2e-3)


def test_a_classifier_begins_at_the_shares_of_its_classes():
    x, y = classes()
    shares = np.bincount(y) / len(y)
    boosted = small("sparse_categorical_crossentropy", 3, rounds=1).fit(x, y, verbose=0)
    assert boosted.loss[0] == pytest.approx(-(shares * np.log(shares)).sum(), rel=1e-3)


def test_learners_are_fitted_to_residuals_as_in_scikit_learn():
    """With squares and learners that are linear in fixed features, a round has one right answer."""
    x, y = data()
    boosting = GradientBoosting(
        lambda: keras.Sequential([keras.Input((3,)), layers.Dense(1)]),
        "mse",
        rounds=2,
        learning_rate=0.5,
        epochs=40,
        batch_size=120,
        optimizer=lambda: keras.optimizers.Adam(0.1),
    )
    boosted = boosting.fit(x, y, verbose=0)
    centered = y - y.mean()
    fitted = x @ np.linalg.lstsq(np.c_[x, np.ones(len(x))], centered, rcond=None)[0][:3]
    assert boosted.loss[1] == pytest.approx(np.mean((centered - 0.5 * fitted) ** 2), rel=0.02)


def test_many_rounds_beat_a_learner_and_come_near_trees():
    x, y = data(samples=300)
    held_x, held_y = data(seed=1, samples=300)
    boosting = GradientBoosting(learner(width=8), "mse", rounds=12, learning_rate=0.5, epochs=15)
    boosted = boosting.fit(x, y, verbose=0)
    one = GradientBoosting(learner(width=8), "mse", rounds=1, learning_rate=1.0, epochs=15).fit(
        x, y, verbose=0
    )

    def error(predict):
        return np.mean((np.ravel(predict(held_x)) - held_y) ** 2)

    trees = GradientBoostingRegressor(random_state=0).fit(x, y)
    assert error(boosted.model) < 0.5 * error(one.model)
    assert error(boosted.model) < 1.5 * error(trees.predict)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_no_step_along_a_learner_raises_the_training_loss(loss):
    boosted = small(loss, learning_rate=1.0).fit(*data(), verbose=0)
    assert (np.diff(boosted.loss) <= 1e-6).all()


@pytest.mark.parametrize(
    ("loss", "columns", "targets"),
    [
        ("binary_crossentropy", 1, lambda y: y > 0),
        (keras.losses.BinaryCrossentropy(), 1, lambda y: y > 0),
        (keras.losses.binary_crossentropy, 1, lambda y: (y > 0)[:, None]),
        (keras.losses.CategoricalCrossentropy(label_smoothing=0.1), 2, lambda y: np.eye(2)[(y > 0) * 1]),
        ("sparse_categorical_crossentropy", 2, lambda y: (y > 0) * 1),
    ],
)
def test_cross_entropies_take_scores_as_logits_and_predict_probabilities(loss, columns, targets):
    x, y = data()
    boosted = small(loss, columns).fit(x, targets(y), verbose=0)
    predicted = boosted.model.predict(x, verbose=0)
    assert ((predicted >= 0) & (predicted <= 1)).all()
    compared = keras.losses.get(loss)
    told = np.asarray(targets(y), "float32")
    told = told[:, None] if columns == 1 and told.ndim == 1 else told
    assert float(np.mean(compared(told, predicted))) == pytest.approx(boosted.loss[-1], rel=1e-3)
    assert boosted.loss[-1] < boosted.loss[0]


def test_the_rounds_of_the_lowest_validation_loss_are_kept():
    x, y = data(samples=24)
    noise = np.random.default_rng(3).normal(size=len(y))
    held = data(seed=5)
    boosting = GradientBoosting(
        learner(width=16), "mse", rounds=30, learning_rate=1.0, epochs=20, patience=2, batch_size=8
    )
    boosted = boosting.fit(x, y + 2 * noise, validation_data=held, verbose=0)
    best = int(np.argmin(boosted.validation_loss))
    assert boosted.rounds == best < 30
    assert len(boosted.validation_loss) == best + 3
    predicted = boosted.model.predict(held[0], verbose=0)[:, 0]
    assert np.mean((predicted - held[1]) ** 2) == pytest.approx(boosted.validation_loss[best], rel=1e-4)


def test_a_run_is_its_seed_alone_and_samples_are_drawn():
    def run(**arguments):
        return small("mse", rounds=2, **arguments).fit(*data(), verbose=0).loss

    assert run() == run()
    assert run(subsample=0.5) == run(subsample=0.5)
    assert len({tuple(run()), tuple(run(seed=1)), tuple(run(subsample=0.5))}) == 3


def test_weights_of_samples_count_like_repeated_samples():
    x, y = data()
    weights = np.arange(len(x)) % 3
    again = np.repeat(np.arange(len(x)), weights)
    weighted = small("mse", rounds=1).fit(x, y, sample_weight=weights, verbose=0)
    repeated = small("mse", rounds=1).fit(x[again], y[again], verbose=0)
    assert weighted.loss[0] == pytest.approx(repeated.loss[0], rel=1e-5)
    assert weighted.loss[1] < weighted.loss[0]


def test_the_model_is_saved_quantized_and_exported(tmp_path):
    x, y = classes()
    boosted = small("sparse_categorical_crossentropy", 3, learning_rate=0.5).fit(x, y, verbose=0)
    boosted.model.save(tmp_path / "boosted.keras")
    expected = boosted.model.predict(x, verbose=0)
    loaded = keras.models.load_model(tmp_path / "boosted.keras")
    np.testing.assert_allclose(loaded.predict(x, verbose=0), expected, atol=1e-6)
    file = tfopt.to_tflite(boosted.model, "float32")
    np.testing.assert_allclose(file.predict(x), expected, atol=1e-5)
    quantized = tfopt.to_tflite(boosted.model, "int8", representative_dataset=x)
    assert (quantized.predict(x).argmax(-1) == expected.argmax(-1)).mean() > 0.9


def test_shows_its_progress(capsys):
    x, y = data()
    small("mse", rounds=2).fit(x, y, validation_data=(x, y))
    assert "val_loss" in (shown := capsys.readouterr().out)
    assert "2/2" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learner": learner()()}, "a function that returns a new keras.Model"),
        ({"loss": "mze"}, "Expected loss"),
        ({"loss": ["mse", "mse"]}, "Expected"),
        ({"loss": keras.losses.Poisson()}, "positive predictions"),
        ({"rounds": 0}, "rounds"),
        ({"learning_rate": 1.5}, "learning_rate"),
        ({"subsample": 0.0}, "subsample"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        GradientBoosting(**{"learner": learner(), "loss": "mse", **arguments})


SAME = learner()()


@pytest.mark.parametrize(
    ("make", "x", "y", "message"),
    [
        (lambda: SAME, np.ones((4, 3)), np.ones(4), "the same model at every call"),
        (lambda: 3, np.ones((4, 3)), np.ones(4), "return a keras.Model"),
        (learner(inputs=5), np.ones((4, 3)), np.ones(4), r"shape \(3,\), and the learner takes \(5,\)"),
        (learner(2), np.ones((4, 3)), np.ones(4), r"end it with Dense\(1\)"),
        (lambda: keras.Sequential([layers.Dense(1)]), np.ones((4, 3)), np.ones(4), "declared by keras.Input"),
    ],
)
def test_learners_that_do_not_fit(make, x, y, message):
    with pytest.raises(InvalidArgumentError, match=message):
        GradientBoosting(make, "mse").fit(x, y, verbose=0)


def test_classes_beyond_the_outputs():
    with pytest.raises(InvalidArgumentError, match=r"Dense\(3\)"):
        small("sparse_categorical_crossentropy", 2).fit(np.ones((3, 3)), np.arange(3), verbose=0)


@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        (np.ones((0, 3)), np.ones(0), None, "at least one; got 0, 0"),
        (np.ones((4, 3)), np.ones(3), None, "equally many samples"),
        (np.full((4, 3), np.nan), np.ones(4), None, "NaN or infinity"),
        (np.ones((4, 3)), np.array(["a"] * 4), None, "arrays of numbers"),
        (np.ones((4, 3)), np.ones(4), -np.ones(4), "sample_weight"),
    ],
)
def test_bad_data(x, y, weight, message):
    with pytest.raises(DataError, match=message):
        small("mse").fit(x, y, sample_weight=weight, verbose=0)


def test_patience_needs_validation_data():
    with pytest.raises(InvalidArgumentError, match="validation_data"):
        small("mse", patience=2).fit(*data(), verbose=0)
