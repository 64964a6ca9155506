"""What every optimizer promises. A new optimizer is one row of the table."""

import contextlib

import keras
import numpy as np
import pytest

from tfopt import callbacks, optimizers, schedules
from tfopt.errors import InvalidArgumentError

# arguments that do not stand at their defaults
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
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
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


def test_two_devices_equal_one(make, two_devices):
    one = train(classifier(make))
    assert_same_weights(one, train(classifier(make, strategy=two_devices)), tolerance=2e-6)


@pytest.mark.parametrize("arguments", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compiled_equals_eager(make, arguments):
    assert_same_weights(train(classifier(make)), train(classifier(make, **arguments)), tolerance=2e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_trains_in_mixed_precision(make, policy, set_policy):
    plain = train(classifier(make))
    set_policy(policy)
    assert_same_weights(plain, train(classifier(make)), tolerance=0.02)


def test_accumulated_batches_equal_one_large_batch(make):
    large = train(classifier(make), batch_size=32)
    small = train(classifier(lambda: make(gradient_accumulation_steps=4)), batch_size=8)
    assert_same_weights(large, small, tolerance=2e-6)


def test_moving_average_of_weights(make):
    model = train(classifier(lambda: make(use_ema=True, ema_momentum=0.5)))
    plain = train(classifier(make))
    distance = max(np.abs(a - b).max() for a, b in zip(model.get_weights(), plain.get_weights(), strict=True))
    assert 0 < distance < 0.05


def test_static_loss_scale_changes_nothing(make):
    scaled = train(classifier(lambda: make(loss_scale_factor=64.0)))
    assert_same_weights(scaled, train(classifier(make)), tolerance=2e-6)


def test_learns(make):
    model = classifier(lambda: make(learning_rate=0.02))
    before = model.evaluate(TOKENS, LABELS, verbose=0)
    assert train(model, epochs=20).evaluate(TOKENS, LABELS, verbose=0) < 0.7 * before


def test_leaves_nonfinite_updates_to_clipping(make):
    """The optimizer, clipped, ends as if the batch with the infinite gradient had not been there."""
    weights = np.ones(64)
    weights[20] = np.inf
    model = classifier(make)
    clipping = callbacks.GradientClipping("global_norm", 1e6)
    fit = {"batch_size": 16, "shuffle": False, "verbose": 0}
    model.fit(TOKENS, LABELS, sample_weight=weights, callbacks=[clipping], **fit)
    finite = [*range(16), *range(32, 64)]
    other = classifier(make)
    other.fit(
        TOKENS[finite], LABELS[finite], callbacks=[callbacks.GradientClipping("global_norm", 1e6)], **fit
    )
    assert int(model.optimizer.iterations.numpy()) == 3
    assert_same_weights(model, other, tolerance=1e-6)


@pytest.mark.parametrize(("name", "arguments", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        OPTIMIZERS[name][0](**arguments)
