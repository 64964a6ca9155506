"""Any loss that Keras takes, and functions of the model; in batches as in one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.trainers import LBFGS
from tfopt.trainers.batches import batches
from tfopt.trainers.full_batch import FullBatch
from tfopt.trainers.objectives import objective, takes_model
from tfopt.trainers.weights import WeightVector

layers, losses = keras.layers, keras.losses


def evaluate(model, loss, data, batch_size=None):
    """Return loss and gradient at the model's weights."""
    weights = WeightVector(model)
    arrays = batches(data, batch_size, weights.dtype, aligned=not takes_model(loss))
    target = objective(model, loss, arrays, weights.dtype, training=False)
    return FullBatch(target, weights, arrays, False).gradient()


def assert_batches_change_nothing(model, loss, data, batch_size=16, keras_says=None):
    whole, gradient = evaluate(model, loss, data)
    parts, sum_of_gradients = evaluate(model, loss, data, batch_size)
    assert parts == pytest.approx(whole, rel=1e-6)
    np.testing.assert_allclose(sum_of_gradients, gradient, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())
    if keras_says is not None:
        assert whole == pytest.approx(keras_says, rel=1e-5)


def mean_square(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred))


def row_square(y_true, y_pred):
    return keras.ops.mean(keras.ops.square(y_true - y_pred), axis=-1)


LOSSES = {
    "name": "mse",
    "class": losses.MeanSquaredError,
    "object": losses.Huber(delta=0.3),
    "sum": losses.MeanSquaredError(reduction="sum"),
    "mean by weights": losses.MeanSquaredError(reduction="mean_with_sample_weight"),
    "function": row_square,
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_losses_of_keras(dense, points, loss, weighted):
    model, (x, y) = dense(kernel_regularizer="l2", activity_regularizer="l1"), points(50)
    data = (x, y, np.linspace(0, 3, 50)) if weighted else (x, y)
    model.compile("sgd", loss() if isinstance(loss, type) else loss)
    expected = model.evaluate(*data[:2], batch_size=50, sample_weight=(*data, None)[2], verbose=0)
    assert_batches_change_nothing(model, loss, data, keras_says=expected)
    assert_batches_change_nothing(model, None, data, keras_says=expected)


def test_function_that_takes_the_mean_itself(dense, points):
    model, data = dense(), points(50)
    assert_batches_change_nothing(model, mean_square, data, keras_says=evaluate(model, "mse", data)[0])


def test_targets_without_the_last_axis_are_not_broadcast(dense, points):
    model, (x, y) = dense(outputs=1), points(50, outputs=1)
    expected = evaluate(model, "mse", (x, y))[0]
    for loss in ("mse", row_square, mean_square):
        assert evaluate(model, loss, (x, y[:, 0]), 16)[0] == pytest.approx(expected)


def test_masked_steps_count_as_in_keras():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Embedding(9, 4, mask_zero=True), layers.Dense(3, activation="softmax")]
    )
    random = np.random.default_rng(0)
    x, y = random.integers(1, 9, (40, 6)), random.integers(0, 3, (40, 6))
    x[:20, 2:] = 0
    model.compile("sgd", "sparse_categorical_crossentropy")
    expected = model.evaluate(x, y, batch_size=40, verbose=0)
    assert_batches_change_nothing(model, None, (x, y), keras_says=expected)
    assert_batches_change_nothing(model, "ce", (x, y), keras_says=expected)


def two_heads(structure):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((3,))
    heads = {"a": layers.Dense(1, name="a")(inputs), "b": layers.Dense(2, name="b")(inputs)}
    return keras.Model(inputs, heads if structure is dict else list(heads.values()))


@pytest.mark.parametrize("structure", [dict, list])
@pytest.mark.parametrize(
    "loss", ["mse", {"a": "mae", "b": losses.MeanSquaredError(reduction="sum")}], ids=["shared", "own"]
)
def test_several_outputs(points, structure, loss):
    model, (x, targets) = two_heads(structure), points(50, outputs=3)
    y = {"a": targets[:, :1], "b": targets[:, 1:]}
    if structure is list:
        y = list(y.values())
    weights = {"a": 0.5, "b": 2.0} if isinstance(loss, dict) else [0.5, 2.0]
    if structure is dict and not isinstance(loss, dict):
        loss = {"a": loss, "b": loss}
        weights = {"a": 0.5, "b": 2.0}
    elif structure is list and not isinstance(loss, dict):
        loss = [loss, loss]
    model.compile("sgd", loss, loss_weights=weights)
    expected = model.evaluate(x, y, batch_size=50, verbose=0)[0]
    assert_batches_change_nothing(model, None, (x, y), keras_says=expected)


def test_missing_targets_are_refused(points):
    model, (x, y) = two_heads(dict), points(50, outputs=1)
    with pytest.raises(InvalidArgumentError, match="does not fit"):
        evaluate(model, {"a": "mse", "b": "mse"}, (x, {"a": y}))


def test_compute_loss_of_the_model_is_used(points):
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.layer = layers.Dense(2, kernel_regularizer="l2")

        def call(self, x):
            return self.layer(x)

        def compute_loss(self, x, y, y_pred, sample_weight=None):
            return keras.ops.mean((y - y_pred) ** 4) + keras.ops.sum(self.losses)

    model, (x, y) = Own(), points(50)
    model(x)
    kernel = model.layer.kernel.numpy()
    expected = np.mean((y - model(x)) ** 4) + 0.01 * np.sum(kernel**2)
    assert_batches_change_nothing(model, None, (x, y), keras_says=expected)


def test_same_loss_from_every_kind_of_data(dense, points):
    model, (x, y) = dense(), points(50)
    expected, gradient = evaluate(model, "mse", (x, y))
    pipeline = tf.data.Dataset.from_tensor_slices((x.astype("float32"), y.astype("float32")))
    named = tfopt.data.from_arrays(x, y, num_classes=None, seed=0)
    kinds = {
        "tensors": (tf.constant(x), tf.constant(y)),
        "list": [x, y],
        "no weights": (x, y, None),
        "pipeline": pipeline.batch(16),
        "shuffled": pipeline.shuffle(50, seed=0).batch(16),
        "filtered": pipeline.batch(7).filter(lambda *_: True),
    }
    for kind, data in kinds.items():
        loss, slope = evaluate(model, "mse", data)
        assert loss == pytest.approx(expected, rel=1e-6), kind
        np.testing.assert_allclose(slope, gradient, rtol=1e-4, err_msg=kind)
    train = (named.x_train, named.y_train)
    assert evaluate(model, "mse", named)[0] == pytest.approx(evaluate(model, "mse", train)[0])


def test_named_inputs(points):
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    model = keras.Model({"a": a, "b": b}, layers.Dense(2)(layers.Concatenate()([a, b])))
    x, y = points(50)
    assert_batches_change_nothing(model, "mse", ({"a": x, "b": y}, y))
    assert_batches_change_nothing(model, lambda model, x: keras.ops.mean(model(x) ** 2), {"a": x, "b": y})


def test_functions_of_the_model(dense, points):
    model, (x, y) = dense(kernel_regularizer="l2"), points(50)
    weight = np.linspace(0, 1, 50)
    extra = 0.01 * np.sum(model.get_weights()[0] ** 2)
    out = model(x).numpy()
    cases = [
        (lambda model, x: tf.reduce_mean(model(x) ** 2), x, np.mean(out**2)),
        (lambda net, points: tf.reduce_mean(net(points) ** 2), (x,), np.mean(out**2)),
        (lambda model, x, y: tf.reduce_mean((model(x) - y) ** 2), (x, y), np.mean((out - y) ** 2)),
        (
            lambda model, x, y, w: tf.reduce_mean((model(x) - y) ** 2 * w[:, None]),
            (x, y, weight),
            np.mean((out - y) ** 2 * weight[:, None]),
        ),
    ]
    for loss, data, expected in cases:
        assert_batches_change_nothing(model, loss, data, keras_says=expected + extra)
    alone = evaluate(model, lambda model: tf.reduce_sum(model.layers[0].kernel ** 2), None)[0]
    assert alone == pytest.approx(100 * extra + extra, rel=1e-6)


def test_sets_of_points_may_differ_in_size(dense, points):
    model, (x, _) = dense(), points(50)
    sets = {"inside": x, "boundary": x[:2]}

    def loss(model, x):
        return tf.reduce_mean(model(x["inside"]) ** 2) + tf.reduce_mean(model(x["boundary"]) ** 2)

    assert evaluate(model, loss, sets)[0] > 0
    with pytest.raises(DataError, match="got 2 and 50"):
        evaluate(model, loss, sets, 16)


def test_functions_are_traced_once(dense, points):
    traces = []

    def loss(model, x):
        traces.append(1)
        return tf.reduce_mean(model(x) ** 2)

    result = LBFGS(max_iter=5, tolerance=0).minimize(dense(), loss, points(50)[0], batch_size=16, verbose=0)
    assert result.evaluations > 2
    assert len(traces) == 1


def test_float64_models_are_evaluated_in_float64(mlp, points):
    model, (x, y) = mlp(), points(50)
    exact = np.mean((y - model(x).numpy()) ** 2)
    for loss in ("mse", losses.MeanSquaredError(), row_square):
        assert evaluate(model, loss, (x, y))[0] == pytest.approx(exact, rel=1e-14)
    assert keras.config.floatx() == "float32"


def endless():
    return tf.data.Dataset.from_tensors((np.ones((2, 3)), np.ones((2, 2)))).repeat()


BAD = {
    "unknown loss": ("nonsense", (np.ones((4, 3)), np.ones((4, 2))), InvalidArgumentError, "Unknown loss"),
    "number as loss": (3, (np.ones((4, 3)), np.ones((4, 2))), InvalidArgumentError, "Expected loss to be"),
    "no reduction": (
        losses.MeanSquaredError(reduction=None),
        (np.ones((4, 3)), np.ones((4, 2))),
        InvalidArgumentError,
        "reduced to one number",
    ),
    "not compiled": (None, (np.ones((4, 3)), np.ones((4, 2))), InvalidArgumentError, "compile the model"),
    "no targets": ("mse", np.ones((4, 3)), InvalidArgumentError, "expected data="),
    "no data": ("mse", None, InvalidArgumentError, "Expected data"),
    "wrong targets": ("mse", (np.ones((4, 3)), np.ones((4, 5))), InvalidArgumentError, "does not fit"),
    "data for a loss without": (lambda model: 0.0, np.ones((4, 3)), InvalidArgumentError, "must be None"),
    "no data for a loss with": (lambda model, x: 0.0, None, InvalidArgumentError, "must be .x."),
    "vector loss": (lambda model, x: model(x)[:, 0], np.ones((4, 3)), InvalidArgumentError, "scalar"),
    "no tensor": (lambda model, x: 1.0, np.ones((4, 3)), InvalidArgumentError, "got float"),
    "independent": (lambda m, x: tf.reduce_sum(x), np.ones((4, 3)), InvalidArgumentError, "does not depend"),
    "empty": ("mse", (np.ones((0, 3)), np.ones((0, 2))), DataError, "empty"),
    "empty pipeline": ("mse", endless().take(0), DataError, "empty"),
    "endless pipeline": ("mse", endless(), DataError, "never ends"),
    "unequal": ("mse", (np.ones((4, 3)), np.ones((5, 2))), DataError, "got 4 and 5"),
    "four parts": ("mse", (np.ones((4, 3)),) * 4, DataError, "4 parts"),
    "words": ("mse", (np.array(["a", "b"]), np.ones((2, 2))), DataError, "array of numbers"),
    "generator": ("mse", (each for each in [1]), DataError, "generator"),
}


@pytest.mark.parametrize(("loss", "data", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input(dense, loss, data, error, message):
    with pytest.raises(error, match=message):
        LBFGS().minimize(dense(), loss, data, verbose=0)


@pytest.mark.parametrize("batch_size", [0, -3, 2.5, True])
def test_bad_batch_size(dense, points, batch_size):
    with pytest.raises(InvalidArgumentError, match="batch_size"):
        LBFGS().minimize(dense(), "mse", points(), batch_size=batch_size, verbose=0)
    with pytest.raises(InvalidArgumentError, match="own batches"):
        LBFGS().minimize(dense(), "mse", endless(), batch_size=4, verbose=0)
