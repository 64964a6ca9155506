"""What every optimizer promises. A new optimizer is one row of the table."""

import contextlib

import keras
import numpy as np
import pytest

from tfopt import callbacks, optimizers, schedules
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers import group

# name: (factory, arguments other than its defaults); the factory of a wrapper hands them to the inner optimizer
OPTIMIZERS = {
    "Adan": (
        optimizers.Adan,
        {"beta_1": 0.9, "beta_2": 0.8, "beta_3": 0.95, "epsilon": 1e-7, "weight_decay": 0.1, "no_prox": True},
    ),
}
# optimizer: arguments, and what the message says
BAD_ARGUMENTS = [
    ("Adan", {"learning_rate": -0.1}, "learning_rate >= 0"),
    ("Adan", {"learning_rate": float("nan")}, "learning_rate >= 0"),
    ("Adan", {"learning_rate": "fast"}, "learning_rate"),
    ("Adan", {"beta_1": 1.0}, "beta_1"),
    ("Adan", {"beta_2": -0.1}, "beta_2"),
    ("Adan", {"beta_3": None}, "beta_3"),
    ("Adan", {"epsilon": 0.0}, "epsilon"),
    ("Adan", {"weight_decay": -0.1}, "weight_decay"),
]

PLAIN: dict[str, list] = {}
RANDOM = np.random.default_rng(0)
TOKENS = RANDOM.integers(0, 12, (64, 5))
LABELS = RANDOM.integers(0, 3, 64)


@pytest.fixture(params=OPTIMIZERS)
def make(request):
    """A factory of one optimizer with the table's arguments and others."""
    kind, arguments = OPTIMIZERS[request.param]

    def make(**others):
        schedule = schedules.WarmupCosine(0.02, warmup_steps=2, total_steps=16, initial_learning_rate=0.01)
        optimizer = kind(**{"learning_rate": schedule, **arguments, **others})
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    return make


@pytest.fixture
def plain(make, request):
    """Weights after `train(classifier(make))`, which many tests compare with."""
    name = request.node.callspec.params["make"]
    if name not in PLAIN:
        PLAIN[name] = train(classifier(make)).get_weights()
    return PLAIN[name]


@pytest.fixture
def set_policy():
    """Sets the precision of models made from here on."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def classifier(optimizer, *, strategy=None, **compile_arguments):
    """A compiled model with sparse gradients, whose batches repeat rows."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model = keras.Sequential(
            [
                keras.Input((5,), dtype="int32"),
                keras.layers.Embedding(12, 4),
                keras.layers.Flatten(),
                keras.layers.Dense(4, activation="relu"),
                keras.layers.Dense(3, activation="softmax", dtype="float32"),
            ]
        )
        model.compile(optimizer(), "sparse_categorical_crossentropy", **compile_arguments)
    return model


def train(model, epochs=2, first_epoch=0, batch_size=16, callbacks=()):
    model.fit(
        TOKENS,
        LABELS,
        batch_size=batch_size,
        epochs=epochs,
        initial_epoch=first_epoch,
        shuffle=False,
        verbose=0,
        callbacks=list(callbacks),
    )
    return model


def assert_same_weights(one, other, tolerance):
    one, other = (x if isinstance(x, list) else x.get_weights() for x in (one, other))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


def test_every_optimizer_has_a_row():
    assert set(optimizers.__all__) - {"Optimizer"} == set(OPTIMIZERS)


def test_config_round_trip(make):
    optimizer = make()
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(loaded) is type(optimizer)
    assert loaded.get_config() == optimizer.get_config()


def test_resumes_from_a_saved_model_exactly(make, tmp_path):
    uninterrupted = train(classifier(make), epochs=4)
    train(classifier(make), epochs=2).save(tmp_path / "model.keras")
    resumed = train(keras.models.load_model(tmp_path / "model.keras"), epochs=4, first_epoch=2)
    assert_same_weights(uninterrupted, resumed, tolerance=0)


def test_two_devices_equal_one(make, plain, two_devices):
    assert_same_weights(plain, train(classifier(make, strategy=two_devices)), tolerance=2e-6)


@pytest.mark.parametrize("arguments", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compiled_equals_eager(make, plain, arguments):
    assert_same_weights(plain, train(classifier(make, **arguments)), tolerance=2e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_trains_in_mixed_precision(make, plain, policy, set_policy):
    set_policy(policy)
    assert_same_weights(plain, train(classifier(make)), tolerance=0.02)


def test_large_variables_equal_joined_ones(make, plain, monkeypatch):
    """Large variables are updated singly by compiled code, small ones laid end to end."""
    monkeypatch.setattr(group, "JOINED_BELOW", 0)
    assert_same_weights(plain, train(classifier(make)), tolerance=2e-6)


def test_sparse_gradients_equal_dense_ones(make):
    """A batch repeats rows of the embedding; their gradients are to be summed before the rule sees them."""

    def model(dense):
        keras.utils.set_random_seed(0)
        tokens = keras.Input((5,), dtype="int32")
        if dense:
            table = keras.layers.Dense(4, use_bias=False, name="table")
            rows = table(keras.ops.one_hot(tokens, 12))
        else:
            table = keras.layers.Embedding(12, 4, name="table")
            rows = table(tokens)
        outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(rows))
        model = keras.Model(tokens, outputs)
        table.set_weights([np.random.default_rng(1).normal(0, 0.3, (12, 4))])
        model.layers[-1].kernel.assign(np.random.default_rng(2).normal(0, 0.3, (20, 3)))
        model.compile(make(), "sparse_categorical_crossentropy")
        return model

    assert_same_weights(train(model(dense=False)), train(model(dense=True)), tolerance=2e-6)


def test_decays_what_is_not_excluded(make):
    def distance(decay):
        model = train(classifier(lambda: make(weight_decay=decay)), epochs=1)
        return [float(np.abs(a - b).max()) for a, b in zip(model.get_weights(), plain, strict=True)]

    plain = train(classifier(lambda: make(weight_decay=None)), epochs=1).get_weights()
    moved = distance(0.5)
    # The biases are excluded, and move only as the loss of other weights makes them.
    assert min(moved[0], moved[1]) > 1e-3
    assert max(moved[2], moved[4]) < max(moved[0], moved[1], moved[3])


def test_accumulated_batches_equal_one_large_batch(make):
    large = train(classifier(make), batch_size=32)
    small = train(classifier(lambda: make(gradient_accumulation_steps=4)), batch_size=8)
    assert_same_weights(large, small, tolerance=2e-6)


def test_moving_average_of_weights(make, plain):
    model = train(classifier(lambda: make(use_ema=True, ema_momentum=0.5)))
    distance = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), plain, strict=True))
    assert 0 < distance < 0.05


def test_static_loss_scale_changes_nothing(make, plain):
    scaled = train(classifier(lambda: make(loss_scale_factor=64.0)))
    assert_same_weights(scaled, plain, tolerance=2e-6)


def test_learns(make):
    model = classifier(lambda: make(learning_rate=0.02))
    before = model.evaluate(TOKENS, LABELS, verbose=0)
    assert train(model, epochs=20).evaluate(TOKENS, LABELS, verbose=0) < 0.7 * before


@pytest.mark.parametrize("devices", [1, 2])
@pytest.mark.parametrize("clipped", [False, True])
def test_skips_nonfinite_updates(make, devices, clipped, two_devices):
    """It ends as if the batch with the infinite gradient, which one replica sees, had not been there."""
    strategy = two_devices if devices == 2 else None
    weights = np.ones(64)
    weights[20] = np.inf
    finite = [*range(16), *range(32, 64)]
    fit = {"batch_size": 16, "shuffle": False, "verbose": 0}

    def clipping():
        return [callbacks.GradientClipping("global_norm", 1e6)] if clipped else []

    model = classifier(make, strategy=strategy)
    model.fit(TOKENS, LABELS, sample_weight=weights, callbacks=clipping(), **fit)
    other = classifier(make, strategy=strategy)
    other.fit(TOKENS[finite], LABELS[finite], sample_weight=weights[finite], callbacks=clipping(), **fit)
    assert int(model.optimizer.iterations.numpy()) == 3
    assert_same_weights(model, other, tolerance=1e-6)


@pytest.mark.parametrize(("name", "arguments", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        OPTIMIZERS[name][0](**arguments)
