"""What `tfopt.prune_channels` returns, and what it refuses."""

import logging
import re

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.channels import ChannelPlan
from tfopt.errors import DataError, GoalError, InvalidArgumentError, UnsupportedModel

LOSS = "sparse_categorical_crossentropy"


@pytest.fixture
def wide_cnn(small_cnn):
    return small_cnn(width=16)


def _images(samples=64):
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 8, 8, 1)).astype("float32"), rng.integers(0, 10, samples)


def test_the_model_is_smaller_trains_and_is_saved_without_tfopt(wide_cnn, tmp_path):
    before = wide_cnn.get_weights()
    smaller = tfopt.prune_channels(wide_cnn, 0.5)
    assert all(np.array_equal(*pair) for pair in zip(before, wide_cnn.get_weights(), strict=True))
    assert smaller.get_layer("conv1").filters == smaller.get_layer("sep").filters == 8
    assert smaller.get_layer("hidden").units == 8
    assert smaller.output_shape == wide_cnn.output_shape
    assert smaller.count_params() < 0.35 * wide_cnn.count_params()
    assert {type(layer).__module__.split(".")[0] for layer in smaller.layers} == {"keras"}
    smaller.compile("adam", "sparse_categorical_crossentropy")
    smaller.fit(*_images(), verbose=0)
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.saving.load_model(tmp_path / "smaller.keras")
    np.testing.assert_allclose(loaded(_images()[0]), smaller(_images()[0]), atol=1e-6)


def test_removing_channels_that_are_zero_changes_nothing(wide_cnn):
    for layer, width in (("conv1", 16), ("hidden", 16)):
        kernel = wide_cnn.get_layer(layer).kernel
        kernel.assign(kernel.numpy() * (np.arange(width) % 2))
    pointwise = wide_cnn.get_layer("sep").pointwise_kernel
    pointwise.assign(pointwise.numpy() * (np.arange(16) % 2))
    smaller = tfopt.prune_channels(wide_cnn, 0.5, importance="taylor", data=_images(), loss=LOSS)
    x = _images()[0]
    np.testing.assert_allclose(smaller(x), wide_cnn(x), atol=1e-5)


def test_the_plan_is_data_and_does_what_it_says(wide_cnn, caplog):
    with caplog.at_level(logging.INFO, "tfopt"):
        plan = tfopt.prune_channels(wide_cnn, 0.5, dry_run=True)
    assert isinstance(plan, ChannelPlan)
    assert [(group.name, group.layers, group.before, group.after) for group in plan.groups] == [
        ("conv1", ("conv1", "sep"), 16, 8),
        ("hidden", ("hidden",), 16, 8),
    ]
    smaller = plan.apply()
    assert plan.costs == {
        "params": (wide_cnn.count_params(), smaller.count_params()),
        "macs": (tfopt.measure.macs(wide_cnn), tfopt.measure.macs(smaller)),
    }
    assert plan.removed == 16
    for line in (
        r"conv1 and 1 more +16 +8   0\.\d+ to 1\.\d+",
        "head stays: .*output",
        r"macs +39,072 +14,416   36.9%",
    ):
        assert re.search(line, plan.table())
    assert "small_cnn: 8 of 16 channels of conv1, sep stay" in caplog.text
    assert "small_cnn: all channels of head stay" in caplog.text


def test_rules_leave_groups_and_give_them_shares(wide_cnn):
    smaller = tfopt.prune_channels(wide_cnn, 0.5, rules={"sep": None})
    assert (smaller.get_layer("conv1").filters, smaller.get_layer("hidden").units) == (16, 8)
    smaller = tfopt.prune_channels(wide_cnn, rules={"hidden": 0.75}, round_to=1)
    assert (smaller.get_layer("conv1").filters, smaller.get_layer("hidden").units) == (16, 4)


def test_local_scope_takes_the_same_share_of_each_group(wide_cnn):
    wide_cnn.get_layer("hidden").kernel.assign(wide_cnn.get_layer("hidden").kernel.numpy() * 1e-4)
    smaller = tfopt.prune_channels(wide_cnn, 0.25, scope="local", round_to=4)
    assert (smaller.get_layer("conv1").filters, smaller.get_layer("hidden").units) == (12, 12)


def test_the_loss_is_that_of_the_compiled_model(wide_cnn):
    wide_cnn.compile("sgd", LOSS)
    compiled = tfopt.prune_channels(wide_cnn, 0.5, importance="taylor", data=_images(), dry_run=True)
    given = tfopt.prune_channels(wide_cnn, 0.5, importance="taylor", data=_images(), loss=LOSS, dry_run=True)
    assert np.array_equal(compiled.keep, given.keep)


def test_several_inputs_and_outputs_are_scored_by_all_losses():
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((6,), name="a"), keras.Input((4,), name="b")]
    x = L.Concatenate()([L.Dense(8, name="left")(inputs[0]), L.Dense(8, name="right")(inputs[1])])
    model = keras.Model(inputs, [L.Dense(3, name="one")(x), L.Dense(1, name="two")(x)])
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(32, n)).astype("float32") for n in (6, 4)]
    y = [rng.integers(0, 3, 32), rng.normal(size=(32, 1)).astype("float32")]
    losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True), "mse"]
    smaller = tfopt.prune_channels(model, 0.5, importance="taylor", data=(x, y), loss=losses)
    assert [tuple(output.shape) for output in smaller(x)] == [(32, 3), (32, 1)]
    assert smaller.get_layer("left").units + smaller.get_layer("right").units == 8


@pytest.mark.parametrize("allocation", ["global", "uniform", "sensitivity"])
def test_a_budget_is_met(wide_cnn, allocation):
    before = tfopt.measure.macs(wide_cnn)
    smaller = tfopt.prune_channels(
        wide_cnn, macs=0.5, allocation=allocation, rules={"conv1": 0.5, "head": None}
    )
    assert 0.4 * before < tfopt.measure.macs(smaller) <= 0.5 * before
    assert smaller.get_layer("conv1").filters >= 8


@pytest.mark.parametrize("loss", [LOSS, [LOSS], None])
def test_sensitivity_is_measured_on_data(wide_cnn, loss):
    """All units of `hidden` but one do nothing, and those of `conv1` do."""
    kernel = wide_cnn.get_layer("head").kernel
    kernel.assign(kernel.numpy() * 10 * (np.arange(16) == 3)[:, None])
    x, y = _images()
    options = {"params": 0.6, "allocation": "sensitivity", "loss": loss}
    smaller = tfopt.prune_channels(wide_cnn, **options, data=x if loss is None else (x, y))
    assert smaller.get_layer("conv1").filters == 16
    assert smaller.get_layer("hidden").units < 10


def test_a_budget_of_the_file_is_met(wide_cnn):
    limit = 0.6 * len(bytes(tfopt.to_tflite(wide_cnn, "int8", _images()[0])))
    plan = tfopt.prune_channels(wide_cnn, bytes=0.6, scheme="int8", data=_images(), dry_run=True)
    assert len(bytes(tfopt.to_tflite(plan.apply(), "int8", _images()[0]))) <= limit
    assert plan.costs["bytes"][1] <= limit
    assert "bytes" in plan.table()


def test_random_goes_by_its_seed(wide_cnn):
    plans = [
        tfopt.prune_channels(wide_cnn, 0.5, importance="random", seed=seed, dry_run=True)
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(plans[0].keep, plans[1].keep)
    assert not np.array_equal(plans[0].keep, plans[2].keep)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, InvalidArgumentError, "there is no goal: give ratio=.*macs=0.5"),
        ({"rules": {"conv1": None}}, InvalidArgumentError, "there is no goal"),
        ({"ratio": 0}, InvalidArgumentError, r"ratio to be a finite number in \(0, 1\), got 0"),
        ({"ratio": 1.0}, InvalidArgumentError, r"ratio to be a finite number in \(0, 1\), got 1.0"),
        ({"ratio": 0.5, "importance": "snip"}, InvalidArgumentError, "importance to be one of 'l1'"),
        ({"ratio": 0.5, "macs": 0.5}, InvalidArgumentError, "are two goals"),
        (
            {"ratio": 0.5, "allocation": "uniform"},
            InvalidArgumentError,
            "how a budget is met, and there is none",
        ),
        ({"macs": 0.5, "allocation": "milp"}, InvalidArgumentError, "allocation to be one of 'global'"),
        ({"macs": 0.5, "scheme": "int9"}, InvalidArgumentError, "scheme must be one of"),
        ({"macs": 1e-4}, GoalError, "What can be reached is macs: least"),
        ({"macs": 1.0}, InvalidArgumentError, "meets the budget already"),
        ({"bytes": -1}, InvalidArgumentError, "The budget bytes=-1"),
        ({"ratio": 0.5, "min_share": 0}, InvalidArgumentError, "min_share to be"),
        ({"ratio": 0.5, "rules": [("conv1", None)]}, InvalidArgumentError, "rules to be a dict such as"),
        ({"ratio": 0.5, "scope": "layer"}, InvalidArgumentError, "scope to be one of 'global', 'local'"),
        ({"ratio": 0.5, "normalization": "sum"}, InvalidArgumentError, "normalization to be one of"),
        ({"ratio": 0.5, "round_to": 0}, InvalidArgumentError, "round_to to be a whole number >= 1"),
        ({"ratio": 0.5, "rules": {"convolution": None}}, InvalidArgumentError, "matches no layer"),
        ({"ratio": 0.5, "rules": {"conv1": 0.2, "sep": 0.4}}, InvalidArgumentError, "Give them one share"),
        (
            {"ratio": 0.5, "rules": {"*": None}},
            InvalidArgumentError,
            "the rules leave all groups whole: conv1",
        ),
        ({"ratio": 0.02}, InvalidArgumentError, "ratio=0.02 removes nothing.*round_to=1"),
        (
            {"ratio": 0.5, "importance": "taylor"},
            InvalidArgumentError,
            "looks at samples, and there are none",
        ),
        (
            {"ratio": 0.5, "importance": "activation", "data": _images(8)[0]},
            DataError,
            "a batch of 32 samples at least, got 8",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(wide_cnn, options, error, message):
    with pytest.raises(error, match=message):
        tfopt.prune_channels(wide_cnn, **options)


def test_the_advice_on_small_ratios_works(wide_cnn):
    assert tfopt.prune_channels(wide_cnn, 0.05, round_to=1, dry_run=True).removed == 2


def test_a_model_with_nothing_to_prune_is_refused_with_the_reasons():
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="head")])
    with pytest.raises(InvalidArgumentError, match=r"nothing to prune.*head: .*output of the model"):
        tfopt.prune_channels(model, 0.5)
    model = keras.Sequential([keras.Input((4,)), L.ReLU()])
    with pytest.raises(InvalidArgumentError, match=r"nothing to prune.*no layer that makes channels"):
        tfopt.prune_channels(model, 0.5)


def test_a_quantization_aware_model_is_refused(wide_cnn):
    with pytest.raises(InvalidArgumentError, match=r"is quantization-aware.*then call tfopt.quantize_aware"):
        tfopt.prune_channels(tfopt.quantize_aware(wide_cnn), 0.5)
    tfopt.quantize_aware(tfopt.prune_channels(wide_cnn, 0.5))


def test_a_model_that_was_not_called_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedModel, match="call it once"):
        tfopt.prune_channels(Own(), 0.5)
    with pytest.raises(InvalidArgumentError, match="Expected a Keras 3 model"):
        tfopt.prune_channels("model.keras", 0.5)


class Decoder(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first = keras.layers.MultiHeadAttention(2, 4, name="first")
        self.second = keras.layers.MultiHeadAttention(2, 4, name="second")
        self.wide = keras.layers.Dense(24, name="wide")

    def call(self, x):
        return self.wide(self.second(self.first(x, x), x))


def _with_a_decoder():
    inputs = keras.Input((5, 12))
    x = Decoder(name="decoder")(keras.layers.Dense(16, name="stem")(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("pattern", ["decoder", "decoder/*", "decoder/wide", "decoder.wide", "*/wide"])
def test_rules_reach_layers_in_layers_of_ones_own_as_those_of_other_functions_do(pattern):
    plan = tfopt.prune_channels(_with_a_decoder(), 0.5, rules={pattern: None}, dry_run=True)
    widths = {group.name: (group.before, group.after) for group in plan.groups}
    assert widths["decoder.wide"] == (24, 24)
    assert widths["stem"] == (16, 8)


def test_layers_in_layers_keep_their_names_and_rules_of_later_stages_match():
    smaller = tfopt.prune_channels(_with_a_decoder(), 0.5)
    for name in ("decoder.first", "decoder.second"):
        inner = {each.name for each in smaller.get_layer(name)._flatten_layers(include_self=False)}
        assert {"query", "key", "value", "attention_output"} <= inner
    pruned = tfopt.prune(smaller, 0.5, rules={"decoder/*/query": None})
    full = {each.layer for each in tfopt.measure.layer_table(pruned) if each.sparsity < 0.1}
    assert full == {"decoder.first/query", "decoder.second/query"}
