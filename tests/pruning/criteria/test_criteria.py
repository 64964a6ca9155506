"""Criteria on a small model, against NumPy where the gradient is known by hand."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.callbacks import PruningSchedule
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.pruning import Cubic, OneShot
from tfopt.pruning.criteria import CRITERIA, criterion_of
from tfopt.pruning.masks import masked


def _linear(weights):
    """y = x W without a bias: the gradient of the mean squared error is known by hand."""
    model = keras.Sequential(
        [keras.Input((weights.shape[0],)), keras.layers.Dense(weights.shape[1], use_bias=False, name="it")]
    )
    model.set_weights([weights])
    return model


def _problem(samples=64, inputs=6, outputs=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, inputs)).astype("float32")
    w, target = (rng.normal(size=(inputs, outputs)).astype("float32") for _ in range(2))
    return x, (x @ target).astype("float32"), w


def _gradient(x, y, w):
    return 2 * x.T @ (x @ w - y) / y.size


def _lowest(scores, count):
    mask = np.ones(scores.size, bool)
    mask[np.argsort(scores.ravel())[:count]] = False
    return mask.reshape(scores.shape)


def _mask(model):
    (entry,) = masked(model)
    return entry.mask.value


@pytest.mark.parametrize("batch_size", [16, 64, 24])
def test_on_data_they_are_what_the_papers_say(batch_size):
    x, y, w = _problem()
    arguments = {"data": (x, y), "loss": "mse", "batch_size": batch_size}
    snip = tfopt.prune(_linear(w), 0.5, criterion="snip", **arguments)
    np.testing.assert_array_equal(_mask(snip), _lowest(np.abs(w * _gradient(x, y, w)), 12))
    total = np.zeros_like(w)
    for at in range(0, len(x), batch_size):
        part = slice(at, at + batch_size)
        total += len(x[part]) * (w * _gradient(x[part], y[part], w)) ** 2
    taylor = tfopt.prune(_linear(w), 0.5, criterion="taylor", **arguments)
    np.testing.assert_array_equal(_mask(taylor), _lowest(total, 12))
    assert not np.array_equal(_mask(snip), _mask(tfopt.prune(_linear(w), 0.5)))


def test_the_loss_of_the_compiled_model_is_taken():
    x, y, w = _problem()
    model = _linear(w)
    model.compile("sgd", "mse")
    given = tfopt.prune(_linear(w), 0.5, criterion="snip", data=(x, y), loss="mse")
    taken = tfopt.prune(model, 0.5, criterion="snip", data=(x, y))
    np.testing.assert_array_equal(_mask(given), _mask(taken))
    np.testing.assert_array_equal(model.get_weights()[0], w)


@pytest.mark.parametrize("optimizer", ["sgd", "accumulated", "tfopt"])
def test_movement_is_summed_over_the_steps_of_a_training(optimizer):
    x, y, w = _problem()
    model = tfopt.prune(_linear(w), 0.5, criterion="movement", schedule=OneShot(at=8))
    made = {
        "sgd": lambda: keras.optimizers.SGD(0.05),
        "accumulated": lambda: keras.optimizers.SGD(0.05, gradient_accumulation_steps=2),
        "tfopt": lambda: tfopt.optimizers.Adan(0.05),
    }[optimizer]()
    model.compile(made, "mse")
    steps = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(model.get_weights()[0])

    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[PruningSchedule(), Watch()])
    sizes = 2 if optimizer == "accumulated" else 1
    total = np.zeros_like(w)
    for at in range(0, 8, sizes):
        part = slice(8 * at, 8 * (at + sizes))
        total -= steps[at] * _gradient(x[part], y[part], steps[at])
    np.testing.assert_array_equal(_mask(model), _lowest(total, 12))


def test_taylor_in_training_begins_anew_at_each_change_of_the_masks():
    x, y, w = _problem()
    model = tfopt.prune(_linear(w), 0.5, criterion="taylor", schedule=Cubic(begin=0, end=8, frequency=4))
    model.compile(keras.optimizers.SGD(0.05), "mse")
    steps = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            steps.append(model.get_weights()[0])

    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=[PruningSchedule(), Watch()])
    first = steps[4] != 0
    assert np.count_nonzero(~first) == 10  # 0.5 (1 - (1 - 1/2)^3) of 24, to the nearest
    total = sum(
        (steps[at] * _gradient(x[8 * at : 8 * at + 8], y[8 * at : 8 * at + 8], steps[at])) ** 2
        for at in range(4, 8)
    )
    np.testing.assert_array_equal(_mask(model), _lowest(np.where(first, total, -1), 12))


def test_movement_keeps_what_grows_however_small_it_is():
    """On a target that doubles half of the weights and takes the others to zero."""
    x = np.random.default_rng(0).normal(size=(256, 8)).astype("float32")
    w = np.full((8, 1), 1.0, "float32")
    w[:4] = 0.1
    target = np.zeros_like(w)
    target[:4] = 1.0
    kept = {}
    for criterion in ("magnitude", "movement"):
        model = tfopt.prune(_linear(w), 0.5, criterion=criterion, schedule=OneShot(at=8))
        model.compile(keras.optimizers.SGD(0.01), "mse")
        model.fit(x, x @ target, batch_size=32, verbose=0, callbacks=[PruningSchedule()])
        kept[criterion] = _mask(model)[:, 0].tolist()
    assert kept == {"magnitude": [False] * 4 + [True] * 4, "movement": [True] * 4 + [False] * 4}


def test_random_masks_are_those_of_their_seed_and_nest():
    w = np.random.default_rng(0).normal(size=(20, 10)).astype("float32")
    half, same, other, more = (
        _mask(tfopt.prune(_linear(w), share, criterion="random", seed=seed))
        for share, seed in ((0.5, 1), (0.5, 1), (0.5, 2), (0.8, 1))
    )
    np.testing.assert_array_equal(half, same)
    assert not np.array_equal(half, other)
    assert not more[~half].any()
    assert np.corrcoef(half.ravel(), np.abs(w).ravel())[0, 1] < 0.2


@pytest.mark.parametrize("name", CRITERIA)
def test_every_criterion_has_a_description_and_a_time(name):
    criterion = criterion_of(name)
    assert criterion.__doc__
    assert criterion.in_training or criterion.on_data


@pytest.mark.parametrize(
    ("data", "arguments", "error", "message"),
    [
        ((np.ones((8, 6)), np.ones((8, 4))), {}, DataError, "batches of 32 samples, and the data has 8"),
        ((np.ones((40, 6)), np.ones((8, 4))), {}, DataError, "as many labels as inputs"),
        ((np.full((40, 6), np.nan), np.ones((40, 4))), {}, DataError, "NaN or infinite"),
        (np.ones((40, 6)), {}, InvalidArgumentError, r"give data=\(x, y\)"),
        (
            (np.ones((40, 6)), np.ones((40, 4))),
            {"loss": None},
            InvalidArgumentError,
            "compile the model with one",
        ),
        (
            (np.ones((40, 6)), np.ones((40, 4))),
            {"loss": "msee"},
            InvalidArgumentError,
            "knows no loss 'msee'",
        ),
        ((np.ones((40, 6)), np.ones((40, 4))), {"loss": ["mse"]}, InvalidArgumentError, "for one output"),
        ((np.ones((40, 6)), np.ones((40, 4))), {"batch_size": 0}, InvalidArgumentError, "batch_size"),
    ],
)
@pytest.mark.parametrize("wanted", [{"criterion": "snip"}, {"distribution": "sensitivity"}])
def test_what_the_data_lacks_is_told_and_the_advice_works(data, arguments, error, message, wanted):
    w = np.ones((6, 4), "float32")
    with pytest.raises(error, match=message):
        tfopt.prune(_linear(w), 0.5, data=data, **{"loss": "mse", **wanted, **arguments})


def test_a_smaller_batch_is_enough_for_few_samples():
    w = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    data = (np.ones((8, 6), "float32"), np.ones((8, 4), "float32"))
    assert (
        tfopt.measure.sparsity(
            tfopt.prune(_linear(w), 0.5, criterion="snip", data=data, loss="mse", batch_size=4)
        )
        == 0.5
    )
