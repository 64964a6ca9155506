"""What every stage promises: on two devices it makes the model that it makes on one.

Splits do not divide: the last batch of an epoch has one sample, and a device none; so has validation.
"""

import keras
import numpy as np
import pytest

import tfopt
from tests.at_length import some

ROWS = {
    "Train": [tfopt.Train(epochs=2)],
    "Prune": [tfopt.Prune(0.5, epochs=2)],
    "Prune 2:4": [tfopt.Prune(pattern="2:4", epochs=1)],
    "Prune rigl": [tfopt.Prune(0.5, schedule="rigl", frequency=3, epochs=2)],
    "Prune movement": [tfopt.Prune(0.5, criterion="movement", epochs=2)],
    "Prune lottery ticket": [tfopt.Prune(0.5, schedule="lottery_ticket", rounds=2, epochs=1)],
    "PruneChannels": [tfopt.PruneChannels(0.3, round_to=1, epochs=2, iterations=2)],
    "PruneChannels sparse": [tfopt.PruneChannels(0.3, round_to=1, epochs=1, sparse_epochs=1)],
    "Cluster": [tfopt.Cluster(8, epochs=2)],
    "LowRank": [tfopt.LowRank(0.5, epochs=2)],
    "Distill": [tfopt.Train(epochs=1), tfopt.Prune(0.5, epochs=1), tfopt.Distill(epochs=1)],
    "Prune taught": [tfopt.Train(epochs=1), tfopt.Prune(0.5, epochs=1, teacher="float")],
    "QuantizeAware": [tfopt.QuantizeAware("int8", epochs=2)],
    "QuantizeAware with moments": [tfopt.QuantizeAware("int8", epochs=2, start_at=2, freeze_ranges_at=0.5)],
}


@pytest.fixture(scope="module")
def digits():
    """Few of them, in splits that do not divide by two."""
    whole = tfopt.data.load("digits")
    parts = [
        (whole.x_train, whole.y_train, 81),
        (whole.x_val, whole.y_val, 17),
        (whole.x_test, whole.y_test, 20),
    ]
    (x, y), (x_val, y_val), (x_test, y_test) = ((a[:n], b[:n]) for a, b, n in parts)
    return tfopt.data.from_arrays(
        x, y, x_val=x_val, y_val=y_val, x_test=x_test, y_test=y_test, scale="none", num_classes=10
    )


def trained():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(10, "softmax"),
        ]
    )
    model.compile(keras.optimizers.SGD(0.1, 0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@pytest.mark.parametrize("row", some(ROWS, {"Train", "QuantizeAware"}))
def test_two_devices_make_the_model_of_one(row, digits, two_devices, tmp_path):
    runs = [
        tfopt.Pipeline(ROWS[row]).run(
            trained(), digits, out=tmp_path / name, strategy=strategy, batch_size=16, quiet=True
        )
        for name, strategy in (("one", "one_device"), ("two", two_devices))
    ]
    for one, two in zip(*(run.typed.stages for run in runs), strict=True):
        for name, values in (one.history or {}).items():
            np.testing.assert_allclose(two.history[name], values, rtol=1e-5, atol=1e-7, err_msg=name)
        np.testing.assert_allclose(two.metrics["loss"], one.metrics["loss"], rtol=1e-5)
    for a, b in zip(*(run.model().get_weights() for run in runs), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=2e-6)


@pytest.mark.slow
def test_rates_are_scaled_where_that_is_asked_for(digits, two_devices, tmp_path):
    stage = [tfopt.Train(epochs=1)]
    given = {"strategy": two_devices, "batch_size": 16, "quiet": True}
    plain = tfopt.Pipeline(stage).run(trained(), digits, out=tmp_path, **given)
    linear = tfopt.Pipeline(stage).run(trained(), digits, out=tmp_path, scale_learning_rate="linear", **given)
    root = tfopt.Pipeline(stage).run(trained(), digits, out=tmp_path, scale_learning_rate="sqrt", **given)
    used = [run.typed.stages[-1].learning_rate.used for run in (plain, linear, root)]
    np.testing.assert_allclose(used, [0.1, 0.2, 0.1 * 2**0.5], rtol=1e-5)
    assert len({run.path for run in (plain, linear, root)}) == 3
