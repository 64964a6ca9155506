"""What every optimizer promises. A new optimizer is one row of the table."""

import contextlib

import keras
import numpy as np
import pytest

from tfopt import callbacks, optimizers, schedules
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core import group


def sgd(learning_rate=0.1, **others):
    """Keras's, whose rates are larger than Adam's."""
    if callable(learning_rate):
        return keras.optimizers.SGD(
            schedules.WarmupCosine(0.2, warmup_steps=2, total_steps=16, initial_learning_rate=0.1),
            0.5,
            **others,
        )
    return keras.optimizers.SGD(10 * learning_rate, 0.9, **others)


def rate_free(kind):
    """A factory of an optimizer whose rate is a factor on what it finds."""

    def make(learning_rate=1.0, **others):
        if callable(learning_rate):
            rate = schedules.WarmupCosine(1.0, warmup_steps=2, total_steps=16, initial_learning_rate=0.5)
            return kind(rate, **others)
        return kind(learning_rate if learning_rate < 0 else 1.0, **others)

    return make


# name: (factory, arguments other than its defaults); a wrapper's factory hands them to the inner optimizer
OPTIMIZERS = {
    "ADOPT": (
        optimizers.ADOPT,
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-3, "weight_decay": 0.1, "clip_exponent": 0.1},
    ),
    "AdaBelief": (
        optimizers.AdaBelief,
        {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-8, "weight_decay": 0.1, "rectify": True},
    ),
    "AdEMAMix": (
        optimizers.AdEMAMix,
        {
            "beta_1": 0.8,
            "beta_2": 0.99,
            "beta_3": 0.999,
            "alpha": 4.0,
            "epsilon": 1e-7,
            "alpha_warmup": 5,
            "beta_3_warmup": 6,
            "weight_decay": 0.1,
        },
    ),
    "LARS": (
        lambda learning_rate=0.1, **others: optimizers.LARS(
            learning_rate if callable(learning_rate) else 10 * learning_rate, **others
        ),
        {
            "momentum": 0.5,
            "trust_coefficient": 0.9,
            "epsilon": 1e-6,
            "weight_decay": 0.01,
            "nesterov": True,
            "separate_norms": True,
            "exclude_from_layer_adaptation": ["bias"],
        },
    ),
    "MARS": (
        optimizers.MARS,
        {
            "beta_1": 0.9,
            "beta_2": 0.98,
            "gamma": 0.05,
            "epsilon": 1e-7,
            "weight_decay": 0.1,
            "learning_rate_1d_factor": 0.5,
            "beta_1_1d": 0.8,
            "beta_2_1d": 0.9,
            "weight_decay_1d": 0.2,
        },
    ),
    "MARS lion": (
        # As usual for Lion, a lower rate and a higher decay.
        lambda learning_rate=0.1, weight_decay=None, **others: optimizers.MARS(
            0.004 if callable(learning_rate) else learning_rate,
            weight_decay=weight_decay and 5 * weight_decay,
            mode="lion",
            optimize_1d=True,
            **others,
        ),
        {"weight_decay": 0.02},
    ),
    "Momentum": (
        lambda learning_rate=0.1, **others: optimizers.Momentum(
            0.2 if callable(learning_rate) else 50 * learning_rate, **others
        ),
        {"momentum": 0.5, "debias": True, "weight_decay": 1e-3, "decoupled_weight_decay": False},
    ),
    "NadamW": (
        optimizers.NadamW,
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-7, "weight_decay": 0.1, "correct_ahead": False},
    ),
    "RAdam": (
        optimizers.RAdam,
        {
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-7,
            "weight_decay": 1e-3,
            "decoupled_weight_decay": False,
        },
    ),
    "StableAdamW": (
        optimizers.StableAdamW,
        {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-7, "weight_decay": 0.1},
    ),
    "Cautious": (lambda **others: optimizers.Cautious(optimizers.Adan(**others), floor=0.5), {}),
    "Cautious of Keras": (lambda **others: optimizers.Cautious(keras.optimizers.AdamW(**others), 1.0), {}),
    "GradientCentralization": (lambda **others: optimizers.GradientCentralization(sgd(**others)), {}),
    "LayerwiseLearningRate": (
        lambda **others: optimizers.LayerwiseLearningRate(sgd(**others), {"*dense*": 0.5}, decay=0.9),
        {},
    ),
    "LayerwiseLearningRate of tfopt": (
        lambda **others: optimizers.LayerwiseLearningRate(optimizers.Adan(**others), decay=0.9),
        {},
    ),
    "Lookahead": (lambda **others: optimizers.Lookahead(keras.optimizers.AdamW(**others), 3, 0.7), {}),
    "Lookahead of Cautious": (
        lambda **others: optimizers.Lookahead(optimizers.Cautious(keras.optimizers.AdamW(**others)), 3),
        {},
    ),
    "SAM": (lambda **others: optimizers.SAM(sgd(**others), rho=0.1), {}),
    "SAM asam": (lambda **others: optimizers.SAM(sgd(**others), rho=0.3, mode="asam", eta=0.01), {}),
    "SAM gsam": (lambda **others: optimizers.SAM(sgd(**others), rho=0.03, mode="gsam", alpha=0.2), {}),
    "DAdaptAdam": (
        rate_free(optimizers.DAdaptAdam),
        {"beta_2": 0.99, "epsilon": 1e-7, "bias_correction": True, "initial_distance": 0.03},
    ),
    "DAdaptAdam coupled": (
        rate_free(optimizers.DAdaptAdam),
        {"beta_2": 0.9, "decouple": False, "growth_rate": 1.1, "initial_distance": 0.01},
    ),
    "Prodigy": (
        rate_free(optimizers.Prodigy),
        {
            "beta_1": 0.8,
            "beta_2": 0.99,
            "beta_3": 0.9,
            "epsilon": 1e-7,
            "bias_correction": True,
            "initial_distance": 0.05,
            "weight_decay": 0.1,
        },
    ),
    "Prodigy coupled": (
        rate_free(optimizers.Prodigy),
        {
            "beta_2": 0.9,
            "decouple": False,
            "distance_coefficient": 0.7,
            "growth_rate": 1.1,
            "initial_distance": 0.01,
            "safeguard_warmup": True,
            "weight_decay": 1e-3,
        },
    ),
    "ScheduleFreeAdamW": (
        optimizers.ScheduleFreeAdamW,
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-7, "warmup_steps": 3, "r": 0.5, "weight_lr_power": 1.0},
    ),
    "ScheduleFreeRAdam": (
        optimizers.ScheduleFreeRAdam,
        {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-7, "silent_sgd_phase": False, "weight_decay": 0.1},
    ),
    "ScheduleFreeSGD": (
        lambda learning_rate, **others: optimizers.ScheduleFreeSGD(
            0.5 if callable(learning_rate) else 30 * learning_rate, **others
        ),
        {"momentum": 0.8, "warmup_steps": 3, "r": 0.5, "weight_decay": 0.01},
    ),
    "TrustRatio": (
        lambda **others: optimizers.TrustRatio(keras.optimizers.AdamW(**others), 10.0, ["bias"]),
        {},
    ),
    "AdamW8bit": (
        optimizers.AdamW8bit,
        {"beta_1": 0.8, "beta_2": 0.99, "epsilon": 1e-6, "weight_decay": 0.1, "min_8bit_size": 1000},
    ),
    "Lion8bit": (
        # A sign that rounding turns moves a weight by twice the rate.
        lambda learning_rate=1e-4, **others: optimizers.Lion8bit(
            0.0099 if callable(learning_rate) else learning_rate, **others
        ),
        {"beta_1": 0.8, "beta_2": 0.9, "weight_decay": 0.1, "min_8bit_size": 1000},
    ),
    "SGDM8bit": (
        lambda learning_rate=0.01, **others: optimizers.SGDM8bit(
            0.1 if callable(learning_rate) else 10 * learning_rate, **others
        ),
        {"momentum": 0.8, "nesterov": True, "weight_decay": 0.1, "min_8bit_size": 1000},
    ),
    "FactoredAdam": (
        optimizers.FactoredAdam,
        {
            "beta_1": 0.5,
            "beta_2_decay": -0.7,
            "epsilon_1": 1e-12,
            "epsilon_2": 1e-2,
            "clip_threshold": 0.9,
            "scale_parameter": False,
            "weight_decay": 0.1,
        },
    ),
    "SOAP": (
        optimizers.SOAP,
        {
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-3,
            "shampoo_beta": 0.8,
            "precondition_frequency": 3,
            # Longer axes have eigenvectors here that nothing determines.
            "max_precond_dim": 3,
            "weight_decay": 0.1,
        },
    ),
    "Shampoo": (
        lambda learning_rate=0.01, **others: optimizers.Shampoo(
            0.012 if callable(learning_rate) else learning_rate, **others
        ),
        {
            "beta_1": 0.8,
            "beta_2": 0.9,
            "epsilon": 1e-3,
            "precondition_frequency": 2,
            "max_preconditioner_dim": 12,
            "grafting": "adam",
            "weight_decay": 0.1,
        },
    ),
    "Adan": (
        optimizers.Adan,
        {"beta_1": 0.9, "beta_2": 0.8, "beta_3": 0.95, "epsilon": 1e-7, "weight_decay": 0.1, "no_prox": True},
    ),
}
# optimizers that a batch without gradients leaves where they are
STANDS_STILL = {"Prodigy"}
# SAM looks around the weights by the gradient of each small batch
ACCUMULATES_OTHERWISE = {"SAM", "SAM asam", "SAM gsam"}
# optimizer: callbacks without which its weights move when fit() ends, so that a resumed fit() differs
RESUMES_WITH = {
    name: [callbacks.EvaluateAtAverage()]
    for name in ("ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD")
}
# optimizer: arguments, and what the message says
BAD_ARGUMENTS = [
    ("ADOPT", {"beta_1": 1.0}, "beta_1"),
    ("ADOPT", {"beta_2": -0.1}, "beta_2"),
    ("ADOPT", {"epsilon": 0.0}, "epsilon"),
    ("ADOPT", {"clip_exponent": -1.0}, "clip_exponent to be a finite number >= 0"),
    ("AdaBelief", {"beta_1": 1.0}, "beta_1"),
    ("AdaBelief", {"beta_2": "high"}, "beta_2"),
    ("AdaBelief", {"epsilon": 0.0}, "epsilon"),
    ("AdEMAMix", {"beta_1": -0.1}, "beta_1"),
    ("AdEMAMix", {"beta_2": 1.0}, "beta_2"),
    ("AdEMAMix", {"beta_3": 1.0}, "beta_3"),
    ("AdEMAMix", {"alpha": -1.0}, "alpha to be a finite number >= 0"),
    ("AdEMAMix", {"epsilon": -1e-8}, "epsilon"),
    ("AdEMAMix", {"alpha_warmup": 0}, "alpha_warmup"),
    ("AdEMAMix", {"beta_3_warmup": 1.5}, "beta_3_warmup"),
    ("LARS", {"momentum": 1.0}, "momentum"),
    ("LARS", {"trust_coefficient": -0.1}, "trust_coefficient to be a finite number >= 0"),
    ("LARS", {"epsilon": -0.1}, "epsilon to be a finite number >= 0"),
    ("LARS", {"exclude_from_layer_adaptation": "bias"}, "list of regular expressions"),
    ("MARS", {"beta_1": 1.0}, "beta_1"),
    ("MARS", {"beta_2": 1.0}, "beta_2"),
    ("MARS", {"beta_1_1d": 1.0}, "beta_1_1d"),
    ("MARS", {"beta_2_1d": 1.0}, "beta_2_1d"),
    ("MARS", {"gamma": -0.1}, "gamma to be a finite number >= 0"),
    ("MARS", {"epsilon": 0.0}, "epsilon"),
    ("MARS", {"learning_rate_1d_factor": -1.0}, "learning_rate_1d_factor to be a finite number >= 0"),
    ("MARS", {"weight_decay_1d": -0.1}, "weight_decay_1d to be a finite number >= 0"),
    ("MARS", {"mode": "shampoo"}, "one of 'adamw', 'lion'"),
    ("Momentum", {"momentum": 1.0}, "momentum"),
    ("NadamW", {"beta_1": 1.0}, "beta_1"),
    ("NadamW", {"beta_2": 1.0}, "beta_2"),
    ("NadamW", {"epsilon": 0.0}, "epsilon"),
    ("RAdam", {"beta_1": 1.0}, "beta_1"),
    ("RAdam", {"beta_2": 1.0}, "beta_2"),
    ("RAdam", {"epsilon": 0.0}, "epsilon"),
    ("StableAdamW", {"beta_1": 1.0}, "beta_1"),
    ("StableAdamW", {"beta_2": 1.0}, "beta_2"),
    ("StableAdamW", {"epsilon": 0.0}, "epsilon"),
    ("StableAdamW", {"weight_decay": -0.1}, "weight_decay"),
    ("DAdaptAdam", {"beta_1": 1.0}, "beta_1"),
    ("DAdaptAdam", {"epsilon": 0.0}, "epsilon"),
    ("DAdaptAdam", {"initial_distance": 0.0}, "initial_distance to be a finite number > 0"),
    ("DAdaptAdam", {"growth_rate": 0.9}, "growth_rate to be a finite number > 1"),
    ("Prodigy", {"learning_rate": -1.0}, "learning_rate to be a finite number >= 0"),
    ("Prodigy", {"beta_2": 1.0}, "beta_2"),
    ("Prodigy", {"beta_3": 1.0}, "beta_3"),
    ("Prodigy", {"initial_distance": -1e-6}, "initial_distance to be a finite number > 0"),
    ("Prodigy", {"distance_coefficient": 0.0}, "distance_coefficient to be a finite number > 0"),
    ("Prodigy", {"growth_rate": None}, "growth_rate to be a finite number > 1"),
    ("ScheduleFreeAdamW", {"warmup_steps": -1}, "warmup_steps"),
    ("ScheduleFreeAdamW", {"warmup_steps": 1.5}, "warmup_steps"),
    ("ScheduleFreeAdamW", {"beta_1": 1.0}, "beta_1"),
    ("ScheduleFreeAdamW", {"beta_2": -0.1}, "beta_2"),
    ("ScheduleFreeAdamW", {"epsilon": 0.0}, "epsilon"),
    ("ScheduleFreeAdamW", {"r": -1.0}, "r to be a finite number >= 0"),
    ("ScheduleFreeAdamW", {"weight_lr_power": -1.0}, "weight_lr_power to be a finite number >= 0"),
    ("ScheduleFreeRAdam", {"beta_1": 1.0}, "beta_1"),
    ("ScheduleFreeRAdam", {"beta_2": 0.5}, "silent_sgd_phase"),
    ("ScheduleFreeRAdam", {"epsilon": 0.0}, "epsilon"),
    ("ScheduleFreeSGD", {"learning_rate": 0.1, "momentum": 1.0}, "momentum"),
    ("AdamW8bit", {"min_8bit_size": 0}, "min_8bit_size"),
    ("AdamW8bit", {"beta_1": 1.0}, "beta_1"),
    ("AdamW8bit", {"beta_2": -0.1}, "beta_2"),
    ("AdamW8bit", {"epsilon": 0.0}, "epsilon"),
    ("Lion8bit", {"beta_1": 1.0}, "beta_1"),
    ("Lion8bit", {"beta_2": 1.0}, "beta_2"),
    ("Lion8bit", {"min_8bit_size": 1.5}, "min_8bit_size"),
    ("SGDM8bit", {"momentum": 1.0}, "momentum"),
    ("SGDM8bit", {"min_8bit_size": None}, "min_8bit_size"),
    ("FactoredAdam", {"beta_1": 1.0}, "beta_1"),
    ("FactoredAdam", {"beta_2_decay": 0.8}, "beta_2_decay to be a finite number <= 0"),
    ("FactoredAdam", {"epsilon_1": 0.0}, "epsilon_1"),
    ("FactoredAdam", {"epsilon_2": -1.0}, "epsilon_2"),
    ("FactoredAdam", {"clip_threshold": 0.0}, "clip_threshold"),
    ("SOAP", {"beta_1": 1.0}, "beta_1"),
    ("SOAP", {"beta_2": -0.1}, "beta_2"),
    ("SOAP", {"shampoo_beta": 1.0}, "shampoo_beta"),
    ("SOAP", {"epsilon": 0.0}, "epsilon"),
    ("SOAP", {"precondition_frequency": 0}, "precondition_frequency"),
    ("SOAP", {"max_precond_dim": 2.5}, "max_precond_dim"),
    ("Shampoo", {"beta_1": 1.0}, "beta_1"),
    ("Shampoo", {"beta_2": 1.1}, "beta_2"),
    ("Shampoo", {"epsilon": 0.0}, "epsilon"),
    ("Shampoo", {"precondition_frequency": 0}, "precondition_frequency"),
    ("Shampoo", {"start_preconditioning_step": 0}, "start_preconditioning_step"),
    ("Shampoo", {"max_preconditioner_dim": 0}, "max_preconditioner_dim"),
    ("Shampoo", {"grafting": "momentum"}, "one of None, 'sgd', 'adagrad', 'rmsprop', 'adam'"),
    ("Shampoo", {"grafting_beta_2": 1.0}, "grafting_beta_2"),
    ("Shampoo", {"grafting_epsilon": 0.0}, "grafting_epsilon"),
    ("Adan", {"learning_rate": -0.1}, "learning_rate to be a finite number >= 0"),
    ("Adan", {"learning_rate": float("nan")}, "learning_rate to be a finite number >= 0"),
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
    named = {name.partition(" ")[0] for name in OPTIMIZERS}
    assert set(optimizers.__all__) - {"Optimizer", "Wrapper"} == named


def test_config_round_trip(make):
    optimizer = make()
    loaded = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(loaded) is type(optimizer)
    assert loaded.get_config() == optimizer.get_config()


def test_resumes_from_a_saved_model_exactly(make, request, tmp_path):
    with_it = {"callbacks": RESUMES_WITH.get(request.node.callspec.params["make"], ())}
    uninterrupted = train(classifier(make), epochs=4, **with_it)
    train(classifier(make), epochs=2, **with_it).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    resumed = train(loaded, epochs=4, first_epoch=2, **with_it)
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


def test_decays_what_is_not_excluded(make, request):
    """Without gradients, weight decay is all that moves weights."""
    if request.node.callspec.params["make"] in STANDS_STILL:
        pytest.skip("does nothing before the first gradient, as its authors have it")
    model = classifier(lambda: make(learning_rate=0.02, weight_decay=0.5))
    model.set_weights([np.full(weight.shape, 0.5) for weight in model.weights])
    model.fit(TOKENS, LABELS, sample_weight=np.zeros(64), batch_size=16, verbose=0)
    for variable in model.trainable_variables:
        if "bias" in variable.path:
            np.testing.assert_array_equal(variable.numpy(), 0.5)
        else:
            assert -0.5 < variable.numpy().max() < 0.5


@pytest.mark.parametrize("devices", [1, 2])
def test_accumulated_batches_equal_one_large_batch(make, devices, two_devices, request):
    if request.node.callspec.params["make"] in ACCUMULATES_OTHERWISE:
        pytest.skip("as its docstring says")
    strategy = two_devices if devices == 2 else None
    large = train(classifier(make), batch_size=32)
    small = train(classifier(lambda: make(gradient_accumulation_steps=4), strategy=strategy), batch_size=8)
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


@pytest.mark.parametrize(("devices", "clipped"), [(1, True), (2, False)])
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
