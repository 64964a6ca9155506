import keras
import numpy as np
import pytest

import tfopt
from tfopt.callbacks.pruning_schedule import PruningSchedule
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pruning import Cubic, RigL
from tfopt.pruning.masks import masked

LAYERS = keras.layers


def _pruned(model):
    return {
        (entry.kernel.path, entry.kernel.variable.name): np.count_nonzero(~entry.mask.value)
        for entry in masked(model)
    }


def _zeros_hold(model):
    return all(not entry.weights[~entry.mask.value].any() for entry in masked(model))


def test_each_kernel_gets_the_asked_sparsity_and_the_model_is_left_alone(small_cnn):
    model = small_cnn()
    before = model.get_weights()
    pruned = tfopt.prune(model, 0.75)
    for entry in masked(pruned):
        assert np.count_nonzero(entry.weights == 0) == int(0.75 * entry.weights.size + 0.5)
    for old, new, variable in zip(before, pruned.get_weights(), pruned.weights, strict=True):
        np.testing.assert_array_equal(new, np.where(new == 0, 0, old))
        assert variable.name.endswith("kernel") or np.array_equal(old, new)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert masked(model) == []
    assert [w.path for w in pruned.weights] == [w.path for w in model.weights]


@pytest.mark.parametrize(
    ("shape", "layer", "count"),
    [
        ((12,), LAYERS.Dense(5), 1),
        ((6, 8), LAYERS.EinsumDense("abc,cd->abd", (6, 7)), 1),
        ((16, 3), LAYERS.Conv1D(4, 3), 1),
        ((8, 8, 3), LAYERS.Conv2D(4, 3), 1),
        ((5, 5, 5, 2), LAYERS.Conv3D(3, 2), 1),
        ((16, 3), LAYERS.Conv1DTranspose(4, 3), 1),
        ((8, 8, 3), LAYERS.Conv2DTranspose(4, 3), 1),
        ((4, 4, 4, 2), LAYERS.Conv3DTranspose(3, 2), 1),
        ((16, 3), LAYERS.DepthwiseConv1D(3), 1),
        ((8, 8, 3), LAYERS.DepthwiseConv2D(3), 1),
        ((16, 3), LAYERS.SeparableConv1D(4, 3), 2),
        ((8, 8, 3), LAYERS.SeparableConv2D(4, 3), 2),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, keras.Layer) else "",
)
def test_every_kind_of_kernel_survives_training_saving_and_cloning(tmp_path, shape, layer, count):
    inputs = keras.Input(shape)
    x = layer.__class__.from_config(layer.get_config())(inputs)
    model = keras.Model(inputs, LAYERS.Dense(1)(LAYERS.Flatten()(x)))
    model = tfopt.prune(model, 0.5, rules=dict.fromkeys(tfopt.pruning.left_out(model), 0.5))
    assert len(masked(model)) == count + 1
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    x = np.random.default_rng(0).normal(size=(8, *shape)).astype("float32")
    model.fit(x, np.ones((8, 1)), batch_size=4, verbose=0)
    assert _zeros_hold(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.fit(x, np.ones((8, 1)), batch_size=4, verbose=0)
    assert _zeros_hold(loaded)
    for copy in (loaded, keras.models.clone_model(model)):
        assert _pruned(copy) == _pruned(model)
        for old, new in zip(masked(model), masked(copy), strict=True):
            np.testing.assert_array_equal(old.mask.value, new.mask.value)


# What stands between the optimizer's step and the zeros. Each: optimizer, arguments of compile.
_TRAININGS = {
    "adam": lambda: (keras.optimizers.Adam(0.01), {}),
    "momentum and weight decay": lambda: (keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.01), {}),
    "nesterov": lambda: (keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), {}),
    "lion": lambda: (keras.optimizers.Lion(0.001), {}),
    "muon": lambda: (keras.optimizers.Muon(0.01), {}),
    "average overwrites while training": lambda: (
        keras.optimizers.Adam(use_ema=True, ema_overwrite_frequency=2),
        {},
    ),
    "gradient accumulation": lambda: (keras.optimizers.Adam(gradient_accumulation_steps=2), {}),
    "loss scaling": lambda: (keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam()), {}),
    "jit_compile": lambda: (keras.optimizers.Adam(), {"jit_compile": True}),
    "run_eagerly": lambda: (keras.optimizers.Adam(), {"run_eagerly": True}),
    "steps_per_execution": lambda: (keras.optimizers.Adam(), {"steps_per_execution": 3}),
}
_NEEDS_CALLBACK = {"average overwrites while training"}


def _data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(48, 12)).astype("float32"), rng.integers(0, 10, 48)


def _mlp():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [keras.Input((12,)), LAYERS.Dense(16, "relu", name="hidden"), LAYERS.Dense(10, name="head")]
    )


_LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


_AT_ONCE = {"adam", "momentum and weight decay", "average overwrites while training"}
"""The trainings that `make test` runs without a schedule too: with one, a mask meets the same and moves."""


def _at_once_and_scheduled(training):
    marks = () if training in _AT_ONCE else pytest.mark.slow
    yield pytest.param(training, None, id=f"{training}-at once", marks=marks)
    yield pytest.param(training, Cubic(frequency=2), id=f"{training}-scheduled")


@pytest.mark.parametrize(
    ("training", "schedule"), [row for name in _TRAININGS for row in _at_once_and_scheduled(name)]
)
def test_zeros_hold_exactly_through(training, schedule, tmp_path):
    x, y = _data()
    model = tfopt.prune(_mlp(), 0.8, schedule=schedule)
    optimizer, arguments = _TRAININGS[training]()
    model.compile(optimizer, _LOSS, **arguments)
    keep = [PruningSchedule()] if schedule or training in _NEEDS_CALLBACK else []
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=keep)
    assert _zeros_hold(model)
    assert _pruned(model) == {("hidden", "kernel"): 154, ("head", "kernel"): 128}
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    keep = [PruningSchedule()] if training in _NEEDS_CALLBACK else []
    loaded.fit(x, y, batch_size=8, verbose=0, callbacks=keep)
    assert _zeros_hold(loaded)
    assert _pruned(loaded) == _pruned(model)
    assert not np.array_equal(loaded.get_weights()[0], model.get_weights()[0])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("schedule", [None, Cubic(frequency=2)], ids=["at once", "scheduled"])
def test_zeros_hold_exactly_in_low_precision(policy, schedule):
    x, y = _data()
    keras.config.set_dtype_policy(policy)
    try:
        model = tfopt.prune(_mlp(), 0.8, schedule=schedule)
    finally:
        keras.config.set_dtype_policy("float32")
    model.compile("adam", _LOSS)
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[PruningSchedule()])
    assert _zeros_hold(model)
    assert _pruned(model) == {("hidden", "kernel"): 154, ("head", "kernel"): 128}


@pytest.mark.parametrize("schedule", [None, Cubic(frequency=2)], ids=["at once", "scheduled"])
def test_two_devices_make_the_zeros_of_one(two_devices, schedule):
    x, y = _data()
    models = []
    for strategy in (None, two_devices):
        if strategy is None:
            model = _mlp()
        else:
            with strategy.scope():
                model = _mlp()
        model = tfopt.prune(model, 0.8, schedule=schedule)  # outside the scope: the model knows its own
        with model.distribute_strategy.scope():
            model.compile(keras.optimizers.SGD(0.1, momentum=0.9), _LOSS)
        callbacks = [PruningSchedule()]
        model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
        models.append(model)
    assert models[1].distribute_strategy.num_replicas_in_sync == 2
    assert _zeros_hold(models[1])
    for one, two in zip(masked(models[0]), masked(models[1]), strict=True):
        np.testing.assert_array_equal(one.mask.value, two.mask.value)
        np.testing.assert_allclose(one.weights, two.weights, atol=1e-6)


def test_rules_set_sparsity_by_layer(small_cnn):
    model = tfopt.prune(small_cnn(), 0.5, rules={"head": None, "conv*": 0.25})
    assert _pruned(model) == {
        ("conv1", "kernel"): 9,
        ("sep", "pointwise_kernel"): 8,
        ("hidden", "kernel"): 512,
    }


def test_depthwise_kernels_are_pruned_where_a_rule_says_so():
    class Own(LAYERS.Layer):
        def build(self, shape):
            self.kernel = self.add_weight(shape=(3, 3, shape[-1], 1), name="kernel")

        def call(self, x):
            return keras.ops.depthwise_conv(x, self.kernel, padding="same")

    inputs = keras.Input((8, 8, 4))
    x = LAYERS.SeparableConv2D(4, 3, name="sep")(Own(name="own")(inputs))
    model = keras.Model(inputs, LAYERS.DepthwiseConv2D(3, name="dw")(x))
    assert set(tfopt.pruning.left_out(model)) == {"own/kernel", "sep/depthwise_kernel", "dw"}
    assert all("depthwise" in reason for reason in tfopt.pruning.left_out(model).values())
    assert _pruned(tfopt.prune(model, 0.5)) == {("sep", "pointwise_kernel"): 8}
    pruned = tfopt.prune(model, 0.5, rules={"sep/depthwise_kernel": 0.25, "dw": 0.75, "own": 0.5})
    assert _pruned(pruned) == {
        ("own/kernel", "kernel"): 18,
        ("sep/depthwise_kernel", "depthwise_kernel"): 9,
        ("sep", "pointwise_kernel"): 8,
        ("dw", "kernel"): 27,
    }
    assert set(_pruned(tfopt.prune(model, 0.5, rules={"sep": 0.5}))) == {
        ("sep/depthwise_kernel", "depthwise_kernel"),
        ("sep", "pointwise_kernel"),
    }


def test_a_model_with_nothing_that_is_pruned_unasked_warns_and_the_advice_works():
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, LAYERS.DepthwiseConv2D(3, name="dw")(inputs))
    with pytest.warns(UserWarning, match=r"Nothing is pruned.*rules=\{'dw': 0.5\}"):
        assert _pruned(tfopt.prune(model, 0.5)) == {}
    assert _pruned(tfopt.prune(model, 0.5, rules={"dw": 0.5})) == {("dw", "kernel"): 18}


def test_embeddings_are_pruned_where_a_rule_says_so():
    inputs = keras.Input((4,), dtype="int32")
    x = LAYERS.Flatten()(LAYERS.Embedding(10, 6, name="words")(inputs))
    model = keras.Model(inputs, LAYERS.Dense(2, name="head")(x))
    assert _pruned(tfopt.prune(model, 0.5)) == {("head", "kernel"): 24}
    pruned = tfopt.prune(model, 0.5, rules={"words": 0.9})
    assert _pruned(pruned) == {("words", "embeddings"): 54, ("head", "kernel"): 24}


def test_global_scope_prunes_the_smallest_weights_of_the_model(small_cnn):
    model = small_cnn()
    model.get_layer("head").kernel.assign(100 * model.get_layer("head").kernel)
    pruned = tfopt.prune(model, 0.8, scope="global", rules={"conv1": 0.25})
    entries = {entry.kernel.path + entry.kernel.variable.name: entry for entry in masked(pruned)}
    assert np.count_nonzero(~entries.pop("conv1kernel").mask.value) == 9
    total = sum(entry.weights.size for entry in entries.values())
    assert sum(np.count_nonzero(~entry.mask.value) for entry in entries.values()) == int(0.8 * total + 0.5)
    head, hidden = entries["headkernel"], entries["hiddenkernel"]
    assert head.mask.value.mean() > 0.9 > hidden.mask.value.mean()
    smallest_left = min(np.abs(entry.weights[entry.mask.value]).min() for entry in entries.values())
    original = model.get_layer("hidden").kernel.numpy()
    assert np.abs(original[~hidden.mask.value]).max() <= smallest_left


def test_nested_and_shared_layers_are_pruned_once():
    shared = LAYERS.Dense(8, name="shared")
    block_input = keras.Input((8,))
    block = keras.Model(block_input, LAYERS.Dense(8, name="inner")(block_input), name="block")
    a, b = keras.Input((8,)), keras.Input((8,))
    model = keras.Model([a, b], LAYERS.Add()([block(shared(a)), shared(b)]))
    pruned = tfopt.prune(model, 0.5, rules={"block/*": 0.75})
    assert _pruned(pruned) == {("shared", "kernel"): 32, ("block/inner", "kernel"): 48}


def test_pruning_again_adds_to_the_zeros(small_cnn):
    once = tfopt.prune(small_cnn(), 0.5)
    twice = tfopt.prune(once, 0.8)
    less = tfopt.prune(twice, 0.3)
    assert sum(_pruned(twice).values()) == pytest.approx(
        0.8 * sum(x.weights.size for x in masked(twice)), rel=0.01
    )
    assert _pruned(less) == _pruned(twice)
    for first, second in zip(masked(once), masked(twice), strict=True):
        assert not second.mask.value[~first.mask.value].any()
        assert second.mask.constraint is None  # one mask, not a mask in a mask


def test_the_users_constraint_goes_on_working():
    x, y = _data()
    inputs = keras.Input((12,))
    hidden = LAYERS.Dense(16, kernel_constraint=keras.constraints.UnitNorm(axis=0), name="hidden")
    model = tfopt.prune(keras.Model(inputs, LAYERS.Dense(10)(hidden(inputs))), 0.5)
    model.compile(keras.optimizers.SGD(1.0), _LOSS)
    model.fit(x, y, verbose=0)
    assert _zeros_hold(model)
    norms = np.linalg.norm(model.get_layer("hidden").kernel, axis=0)
    assert np.all(norms <= 1 + 1e-6)


def test_the_same_model_gives_the_same_masks(small_cnn):
    for first, second in zip(masked(tfopt.prune(small_cnn())), masked(tfopt.prune(small_cnn())), strict=True):
        np.testing.assert_array_equal(first.mask.value, second.mask.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.0}, r"sparsity must be a share of zeros in \[0, 1\)"),
        ({"sparsity": -0.1}, "sparsity must be"),
        ({"sparsity": 80}, "sparsity must be"),
        ({"sparsity": float("nan")}, "sparsity must be"),
        ({"sparsity": "80%"}, "sparsity must be"),
        ({"pattern": "2x"}, "Expected pattern to be"),
        ({"pattern": "2:4", "sparsity": 0.8}, "makes 0.5 of the weights zero.*leave sparsity out"),
        ({"pattern": "2:4", "scope": "global"}, "nothing to distribute"),
        ({"pattern": "2:4", "distribution": "erk"}, "nothing to distribute"),
        ({"pattern": "2:4", "schedule": RigL()}, "take ConstantSparsity"),
        ({"criterion": "magnitud"}, "Did you mean 'magnitude'"),
        ({"criterion": "movement"}, "measured while training: give a schedule"),
        ({"criterion": "movement", "schedule": Cubic(initial_sparsity=0.1)}, "without initial_sparsity"),
        ({"criterion": "movement", "schedule": Cubic(regrow=True)}, r"take Cubic\(\) or OneShot\(\)"),
        ({"criterion": "movement", "schedule": RigL()}, "grows by gradient"),
        ({"criterion": "snip", "schedule": Cubic()}, "prunes at once: leave schedule out"),
        ({"criterion": "snip"}, r"'snip' is measured on data: give data=\(x, y\)"),
        ({"criterion": "random", "seed": -1}, "seed"),
        ({"distribution": "sensitivity"}, "measured on data: give data"),
        ({"distribution": "erc"}, "Did you mean 'erk'"),
        ({"distribution": "erk", "scope": "global"}, "leave scope out"),
        (
            {"rules": {"conv1": {"pattern": "2:4", "sparsity": 0.8}}},
            "The rule for 'conv1'.*leave sparsity out",
        ),
        ({"rules": {"conv1": {"share": 0.8}}}, "may hold 'sparsity' and 'pattern'"),
        ({"pattern": "2:4", "rules": {"conv1": 0.8}}, "The rule for 'conv1'.*leave sparsity out"),
        ({"engine": "torch"}, "engine to be one of 'keras', 'tfmot', got 'torch'"),
        ({"scope": "model"}, 'scope must be "layer" or "global"'),
        ({"schedule": 0.5}, "schedule must be a tfopt.pruning.Cubic"),
        ({"sparsity": 0.3, "schedule": Cubic(initial_sparsity=0.5)}, "lower initial_sparsity"),
        ({"rules": {"nowhere": 0.5}}, "'nowhere'.*conv1, sep/depthwise_kernel, sep, hidden, head"),
        ({"rules": {"bn1": 0.5}}, "'bn1'"),
        ({"rules": {"conv1": 1.5}}, "'conv1' must be a share"),
    ],
)
def test_bad_arguments(small_cnn, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.prune(small_cnn(), **arguments)


def test_a_model_without_kernels_is_an_error():
    inputs = keras.Input((4,))
    with pytest.raises(InvalidArgumentError, match="no kernel to prune"):
        tfopt.prune(keras.Model(inputs, LAYERS.ReLU()(inputs)))


def test_a_model_without_weights_yet_is_told_to_be_called():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedModel, match="call it once on a batch"):
        tfopt.prune(Subclassed())


def test_the_log_says_what_gets_a_mask_and_what_is_left_whole(caplog):
    words = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            LAYERS.Embedding(5, 4, name="words"),
            LAYERS.Flatten(),
            LAYERS.Dense(4, name="hidden"),
            LAYERS.Dense(4, name="wide"),
            LAYERS.Dense(2, name="head"),
        ],
        name="words_model",
    )
    with caplog.at_level("DEBUG", "tfopt.pruning"):
        tfopt.prune(words, 0.5, rules={"wide": 0.75, "head": None})
    assert [record.getMessage() for record in caplog.records if record.name.startswith("tfopt")] == [
        "words is left whole: an embedding, and no rule names it",
        "head is left whole: a rule says so",
        "hidden gets a mask: sparsity 0.5 by default, scope layer",
        "wide gets a mask: sparsity 0.75 by a rule, scope layer",
        "words_model: 2 of 4 kernels get a mask",
    ]
