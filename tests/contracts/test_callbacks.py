"""What every callback that works on gradients promises. A new one is one row of the table."""

import contextlib
import copy

import keras
import numpy as np
import pytest

from tfopt import callbacks
from tfopt.clipping import METHODS
from tfopt.errors import InvalidArgumentError

# name: (factory, whether it changes what is learned)
CALLBACKS = {
    "GradientMonitor": (callbacks.GradientMonitor, False),
    **{
        f"GradientClipping {method}": (lambda method=method: callbacks.GradientClipping(method, 0.02), True)
        for method in METHODS
        if method != "zclip"
    },
    "GradientClipping zclip": (
        lambda: callbacks.GradientClipping("zclip", 0.02, warmup_steps=2, max_grad_norm=0.1),
        True,
    ),
    "GradientClipping by a schedule": (
        lambda: callbacks.GradientClipping("norm", lambda update: 0.01 if update < 4 else 0.02),
        True,
    ),
    "GradientClipping by rules": (
        lambda: callbacks.GradientClipping(
            "zclip", 0.02, warmup_steps=2, rules={"hidden": ("autoclip", 5.0), "head": None}
        ),
        True,
    ),
}
# callback, arguments, and what the message says
BAD_ARGUMENTS = [
    ("GradientClipping", ("agc",), {}, "choose one of value, norm, global_norm, adaptive"),
    ("GradientClipping", (None,), {}, "choose one of"),
    ("GradientClipping", ("norm", 0.0), {}, "threshold > 0"),
    ("GradientClipping", ("norm", True), {}, "threshold > 0"),
    ("GradientClipping", ("norm", float("nan")), {}, "threshold > 0"),
    ("GradientClipping", ("norm", "1"), {}, "threshold > 0"),
    ("GradientClipping", ("norm",), {"rules": {"head": -1.0}}, "'head'"),
    ("GradientClipping", ("norm",), {"rules": {"head": ("agc", 1.0)}}, "'agc' in the rule 'head'"),
    ("GradientClipping", ("norm",), {"rules": {"head": ("norm", 1.0, 2.0)}}, r"\(method, threshold\) in the"),
    ("GradientClipping", ("norm", lambda update: -1.0), {}, "schedule of thresholds >= 0"),
    ("GradientClipping", ("norm", lambda update: None), {}, "one number"),
    ("GradientClipping", ("autoclip", 101.0), {}, "<= 100 for 'autoclip'"),
    ("GradientClipping", ("autoclip",), {"history": 0}, "history"),
    ("GradientClipping", ("norm",), {"history": 5}, "no option 'history'; it takes none"),
    ("GradientClipping", ("zclip",), {"beta": 0.9}, "no option 'beta'; it takes alpha"),
    ("GradientClipping", ("zclip",), {"alpha": 1.0}, r"alpha to be a finite number in \[0, 1\)"),
    ("GradientClipping", ("zclip",), {"warmup_steps": 0}, "warmup_steps"),
    ("GradientClipping", ("zclip",), {"mode": "median"}, "'zscore', 'percentile'"),
    ("GradientClipping", ("zclip",), {"clip_option": "median"}, "'adaptive_scaling', 'mean'"),
    ("GradientClipping", ("zclip",), {"max_grad_norm": -1.0}, "max_grad_norm to be a finite number > 0"),
    ("GradientClipping", ("zclip",), {"epsilon": None}, "epsilon to be a finite number > 0"),
    ("GradientClipping", ("zclip",), {"skip_update_on_spike": 1}, "True or False"),
    ("GradientClipping", ("norm",), {"max_nonfinite_steps": 0}, "max_nonfinite_steps >= 1"),
    ("GradientMonitor", (0,), {}, "interval to be a whole number >= 1"),
    ("GradientMonitor", ("often",), {}, "interval to be a whole number >= 1"),
]

RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(32, 6)).astype("float32")
TOKENS = RANDOM.integers(0, 9, (32, 5))
LABELS = RANDOM.integers(0, 3, 32)


@pytest.fixture(params=CALLBACKS)
def make(request):
    """A factory of one callback."""
    return CALLBACKS[request.param][0]


@pytest.fixture(params=[name for name, (_, changes) in CALLBACKS.items() if changes])
def make_clipping(request):
    """A factory of one callback that changes what is learned."""
    return CALLBACKS[request.param][0]


@pytest.fixture
def set_policy():
    """Sets the precision of models made from here on."""
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy("float32")


def classifier(optimizer=None, *, strategy=None, **compile_arguments):
    """A compiled model with dense and sparse gradients, whose batches repeat rows."""
    keras.utils.set_random_seed(0)
    with strategy.scope() if strategy else contextlib.nullcontext():
        features, tokens = keras.Input((6,)), keras.Input((5,), dtype="int32")
        embedded = keras.layers.Flatten()(keras.layers.Embedding(9, 2)(tokens))
        hidden = keras.layers.Dense(10, activation="relu", name="hidden")(features)
        total = keras.layers.Add()([embedded, hidden])
        outputs = keras.layers.Dense(3, activation="softmax", dtype="float32", name="head")(total)
        model = keras.Model([features, tokens], outputs)
        model.compile(
            optimizer() if optimizer else keras.optimizers.SGD(0.5, momentum=0.9),
            "sparse_categorical_crossentropy",
            **compile_arguments,
        )
    return model


def train(model, *given, epochs=2, batch_size=8, inputs=INPUTS):
    fit = {"batch_size": batch_size, "epochs": epochs, "shuffle": False, "verbose": 0}
    model.fit([inputs, TOKENS], LABELS, callbacks=list(given), **fit)
    return model


def distance(one, other):
    return max(np.abs(a - b).max() for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_only_clipping_changes_what_is_learned(request):
    plain = train(classifier())
    for make, changes in CALLBACKS.values():
        moved = distance(train(classifier(), make()), plain)
        assert (moved > 1e-3) if changes else (moved == 0)


def test_two_devices_equal_one(make, two_devices):
    """A clipped sum over replicas is not the sum of what each clipped."""
    one = train(classifier(), make())
    assert distance(one, train(classifier(strategy=two_devices), make())) < 2e-6


@pytest.mark.parametrize("arguments", [{"jit_compile": True}, {"run_eagerly": True}])
def test_compiled_equals_eager(make, arguments):
    assert distance(train(classifier(), make()), train(classifier(**arguments), make())) < 2e-6


def test_accumulated_batches_equal_one_large_batch(make):
    def accumulating():
        return keras.optimizers.SGD(0.5, momentum=0.9, gradient_accumulation_steps=4)

    large = train(classifier(), make(), batch_size=16)
    assert distance(large, train(classifier(accumulating), make(), batch_size=4)) < 2e-6


def test_replicas_accumulate_batches(make, two_devices):
    """Keras alone raises here."""

    def accumulating():
        return keras.optimizers.AdamW(0.02, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.9)

    one = train(classifier(accumulating), make())
    assert distance(one, train(classifier(accumulating, strategy=two_devices), make())) < 2e-6


def test_loss_scale_does_not_matter(make):
    """Its gradients are 32768 times as large, which is exact in floating point."""

    def scaling():
        return keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5, momentum=0.9))

    assert distance(train(classifier(scaling), make()), train(classifier(), make())) < 1e-6


def test_works_in_mixed_precision(make, set_policy):
    plain = train(classifier(), make())
    set_policy("mixed_float16")
    model = train(classifier(), make())
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    # Where a unit of ReLU is nearly dead, rounding decides about it.
    assert distance(model, plain) < 0.05


def test_works_in_a_multi_optimizer(make):
    def several():
        head, others = keras.optimizers.SGD(0.1), keras.optimizers.Adam(0.01)
        return keras.optimizers.MultiOptimizer(lambda variable: head if "head" in variable.path else others)

    model = train(classifier(several), make())
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


def test_can_be_copied_used_again_and_leaves_nothing_behind(make):
    callback = make()
    first = train(classifier(), copy.deepcopy(callback))
    model = train(classifier(), callback)
    assert distance(first, model) == 0
    assert distance(first, train(classifier(), callback)) == 0
    copy.deepcopy(callback)
    # Training goes on as if the callback had never been there.
    plain = classifier()
    plain.set_weights(model.get_weights())
    plain.optimizer.build(plain.trainable_variables)
    for ours, theirs in zip(plain.optimizer.variables, model.optimizer.variables, strict=True):
        ours.assign(theirs)
    assert distance(train(model), train(plain)) == 0


def test_a_fit_that_broke_off_leaves_no_second_clipping(make_clipping):
    def interrupt(batch, logs):
        raise KeyboardInterrupt

    model, fresh = classifier(), classifier()
    start, state = model.get_weights(), [variable.numpy() for variable in model.optimizer.variables]
    with pytest.raises(KeyboardInterrupt):
        train(
            model,
            callbacks.GradientClipping("value", 1e-6),
            keras.callbacks.LambdaCallback(on_train_batch_end=interrupt),
        )
    model.set_weights(start)
    for variable, value in zip(model.optimizer.variables, state, strict=False):
        variable.assign(value)
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "sparse_categorical_crossentropy")
    assert distance(train(model, make_clipping()), train(fresh, make_clipping())) == 0


def test_optimizer_can_be_saved_while_training(make, tmp_path):
    model = train(classifier(), make(), keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras"), epochs=1)
    assert distance(keras.models.load_model(tmp_path / "1.keras"), model) == 0


def test_needs_a_compiled_model(make):
    callback = make()
    callback.set_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
    with pytest.raises(InvalidArgumentError, match="compile"):
        callback.on_train_begin()


@pytest.mark.parametrize(("name", "positional", "named", "message"), BAD_ARGUMENTS)
def test_bad_arguments(name, positional, named, message):
    with pytest.raises(InvalidArgumentError, match=message):
        getattr(callbacks, name)(*positional, **named)
