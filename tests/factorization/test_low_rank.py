"""`tfopt.low_rank`: the model, the plan, and what is refused."""

import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import tfopt
from tests.at_length import some
from tfopt.errors import GoalError, InvalidArgumentError, UnsupportedModel


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 8), name="image")
    x = layers.Conv2D(48, 3, strides=2, padding="same", use_bias=False, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.Conv2D(64, 1, activation="relu", name="pointwise")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    return keras.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x), name="net")


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).standard_normal((16, 12, 12, 8)).astype("float32")


def test_the_plan_tells_of_every_layer_with_a_kernel(model):
    plan = tfopt.low_rank(model, 0.3, dry_run=True)
    assert [layer.path for layer in plan.layers] == ["conv", "pointwise", "depthwise", "hidden", "head"]
    rows = {layer.path: layer for layer in plan.layers}
    assert (rows["conv"].method, rows["conv"].full, rows["conv"].ranks) == ("tucker", (8, 48), (3, 16))
    assert (rows["hidden"].method, rows["hidden"].full, rows["hidden"].ranks) == ("svd", (64,), (24,))
    assert rows["depthwise"].ranks is None
    assert "depthwise" in rows["depthwise"].reason
    assert "no gain: with rank 3 it has 0.35 of the MACs" in rows["head"].reason
    table = plan.table()
    assert table == str(plan)
    assert "full rank" in table.splitlines()[0]
    assert f"{plan.macs[0]:,} -> {plan.macs[1]:,}" in table.splitlines()[-1]
    json.dumps([layer.to_dict() for layer in plan.layers])


@pytest.mark.parametrize("method", some(("tucker", "svd", "spatial"), ("tucker",)))
def test_the_model_costs_what_the_plan_says(model, method):
    plan = tfopt.low_rank(model, 0.3, method=method, dry_run=True)
    small = tfopt.low_rank(model, 0.3, method=method)
    assert plan.macs == (tfopt.measure.macs(model), tfopt.measure.macs(small))
    assert plan.params == (model.count_params(), small.count_params())
    assert plan.macs[1] < plan.macs[0]
    assert plan.params[1] < plan.params[0]


def test_the_factors_are_plain_layers_of_readable_names(model, x):
    small = tfopt.low_rank(model, 0.3)
    assert [layer.name for layer in small.layers] == [
        "image", "conv_factor1", "conv_factor2", "conv", "norm", "relu", "pointwise_factor1", "pointwise",
        "depthwise", "pool", "hidden_factor1", "hidden", "head",
    ]  # fmt: skip
    assert "tfopt" not in small.to_json()
    first, core, last = (small.get_layer(name) for name in ("conv_factor1", "conv_factor2", "conv"))
    assert [each.kernel_size for each in (first, core, last)] == [(1, 1), (3, 3), (1, 1)]
    assert [each.strides for each in (first, core, last)] == [(1, 1), (2, 2), (1, 1)]
    assert small.get_layer("hidden_factor1").activation is keras.activations.linear
    assert small.get_layer("hidden_factor1").bias is None
    assert small.get_layer("hidden").activation is keras.activations.relu
    assert small.output_names == model.output_names
    assert model.get_layer("conv").kernel_size == (3, 3)


def test_it_saves_loads_and_trains(model, x, tmp_path):
    small = tfopt.low_rank(model, energy=0.7)
    small.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    np.testing.assert_array_equal(loaded(x), small(x))
    small.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    y = np.arange(16) % 10
    history = small.fit(x, y, epochs=4, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_all_of_the_energy_loses_nothing_where_the_kernels_are_of_low_rank(x):
    keras.utils.set_random_seed(0)
    source = keras.Sequential([keras.Input((12, 12, 8)), layers.Conv2D(64, 3, name="conv"), layers.Flatten()])
    generator = np.random.default_rng(0)
    parts = [generator.standard_normal(shape) for shape in ((8, 2), (3, 3, 2, 8), (8, 64))]
    source.get_layer("conv").kernel.assign(np.einsum("ip,hwpq,qo->hwio", *parts))
    plan = tfopt.low_rank(source, energy=1 - 1e-9, dry_run=True)
    assert plan.layers[0].ranks == (2, 8)
    np.testing.assert_allclose(tfopt.low_rank(source, energy=1 - 1e-9)(x), source(x), atol=2e-4, rtol=1e-4)


def test_rules_decide_by_layer(model):
    plan = tfopt.low_rank(
        model, 0.3, rules={"conv": (4, 8), "hidden": None, "pointwise": 5, "head": 0.1}, dry_run=True
    )
    rows = {layer.path: layer for layer in plan.layers}
    assert rows["conv"].ranks == (4, 8)
    assert rows["pointwise"].ranks == (5,)
    assert (rows["hidden"].ranks, rows["hidden"].reason) == (None, "a rule says so")
    assert rows["head"].ranks == (1,)


def test_shared_layers_become_shared_factors(x):
    keras.utils.set_random_seed(0)
    dense = layers.Dense(64, name="shared")
    a, b = keras.Input((64,), name="a"), keras.Input((64,), name="b")
    source = keras.Model([a, b], layers.Add(name="add")([dense(a), dense(dense(b))]))
    plan = tfopt.low_rank(source, rank=8, dry_run=True)
    assert plan.layers[0].macs == (3 * 64 * 64, 3 * 2 * 8 * 64)
    small = tfopt.low_rank(source, rank=8)
    assert [layer.name for layer in small.layers].count("shared_factor1") == 1
    assert small.count_params() == 2 * 8 * 64 + 64
    assert tfopt.measure.macs(small) == plan.macs[1]


def test_nested_models_are_flattened_and_reached_by_their_paths(x):
    keras.utils.set_random_seed(0)
    inner = keras.Sequential([keras.Input((64,)), layers.Dense(64, name="dense")], name="block")
    inputs = keras.Input((64,))
    source = keras.Model(inputs, layers.Dense(10, name="head")(inner(inner(inputs))))
    small = tfopt.low_rank(source, rank=8, rules={"block": 16})
    assert small.get_layer("block.dense_factor1").units == 16
    assert [layer.name for layer in small.layers].count("block.dense") == 1


def test_dtype_trainable_flag_and_regularizers_stay():
    keras.utils.set_random_seed(0)
    dense = layers.Dense(
        64, name="dense", dtype="mixed_bfloat16", kernel_regularizer="l2", activity_regularizer="l1"
    )
    source = keras.Sequential([keras.Input((64,)), dense])
    dense.trainable = False
    small = tfopt.low_rank(source, rank=8)
    first, last = small.layers[-2:]
    assert {each.dtype_policy.name for each in (first, last)} == {"mixed_bfloat16"}
    assert not first.trainable
    assert not last.trainable
    assert first.kernel_regularizer
    assert last.kernel_regularizer
    assert first.activity_regularizer is None
    assert last.activity_regularizer


def test_masks_of_sequences_pass(x):
    keras.utils.set_random_seed(0)
    words = keras.Input((12,), dtype="int32")
    y = layers.Embedding(50, 64, mask_zero=True, name="words")(words)
    y = layers.Dense(64, activation="relu", name="dense")(y)
    source = keras.Model(words, layers.LSTM(8, name="lstm")(y))
    small = tfopt.low_rank(source, rules={"dense": 16})
    product = small.get_layer("dense_factor1").kernel @ small.get_layer("dense").kernel
    source.get_layer("dense").kernel.assign(product)
    ids = np.array([[3, 4, 5] + [0] * 9, [7] * 12])
    np.testing.assert_allclose(small(ids), source(ids), atol=1e-5)


class _Own(layers.Dense):
    pass


def _reasons():
    pruned = tfopt.prune(keras.Sequential([keras.Input((64,)), layers.Dense(64, name="it")]), 0.5)
    yield "pruned", pruned, "its kernel is pruned"
    for name, layer, reason in (
        ("constraint", layers.Dense(64, kernel_constraint="non_neg", name="it"), "has the constraint NonNeg"),
        ("subclass", _Own(64, name="it"), "a subclass, whose code"),
        ("groups", layers.Conv1D(64, 3, groups=4, name="it"), "it has 4 groups"),
        ("transposed", layers.Conv1DTranspose(64, 3, name="it"), "Conv1DTranspose has no factorization"),
        ("separable", layers.SeparableConv1D(64, 3, name="it"), "depthwise"),
        ("wrapped", layers.TimeDistributed(layers.Dense(64), name="it"), "a part of another layer"),
        ("recurrent", layers.LSTM(64, return_sequences=True, name="it"), "a part of another layer"),
        ("batched", layers.EinsumDense("abc,bcd->abd", (8, 64), name="it"), "no plain matrix product"),
    ):
        shape = (64,) if isinstance(layer, layers.Dense) else (8, 64)
        yield name, keras.Sequential([keras.Input(shape), layer]), reason


@pytest.mark.parametrize(("name", "source", "reason"), [pytest.param(*row, id=row[0]) for row in _reasons()])
def test_what_is_left_alone_is_told_with_the_reason(name, source, reason):
    x = layers.Flatten()(source.outputs[0])
    whole = keras.Model(source.inputs, layers.Dense(64, name="other")(x))
    plan = tfopt.low_rank(whole, rank=8, dry_run=True)
    others = [layer for layer in plan.layers if layer.path != "other"]
    assert others
    assert all(layer.ranks is None for layer in others)
    assert all(reason in layer.reason for layer in others)
    tfopt.low_rank(whole, rank=8)  # and copies it


def test_a_kernel_that_two_layers_have_is_left_alone():
    first, second = layers.Dense(64, name="first"), layers.Dense(64, name="second")
    inputs = keras.Input((64,))
    second.build((None, 64))
    source = keras.Model(inputs, layers.Dense(64, name="other")(second(first(inputs))))
    tfopt.graph.replace_variable(second, second.kernel, first.kernel)
    plan = tfopt.low_rank(source, rank=8, dry_run=True)
    assert {layer.path for layer in plan.factorized} == {"other"}
    assert plan.layers[0].reason == "another layer has the same kernel"


def test_open_sizes_have_no_macs_in_the_plan_and_are_compared_all_the_same():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 16))
    source = keras.Model(inputs, layers.Conv2D(64, 3, padding="same", name="conv")(inputs))
    plan = tfopt.low_rank(source, 0.3, dry_run=True)
    assert plan.macs is None
    assert plan.layers[0].macs is None
    assert plan.layers[0].ranks == (5, 24)
    assert tfopt.low_rank(source, 0.3).output_shape == source.output_shape
    with pytest.raises(InvalidArgumentError, match="depend on a size that the model leaves open"):
        tfopt.low_rank(source, macs=0.5)


def test_open_sizes_of_other_layers_leave_the_plan_without_macs():
    inputs = keras.Input((None,), dtype="int32")
    x = layers.LSTM(32)(layers.Embedding(50, 16)(inputs))
    source = keras.Model(inputs, layers.Dense(64, name="head")(x))
    plan = tfopt.low_rank(source, rank=4, dry_run=True)
    assert plan.macs is None
    assert [layer.path for layer in plan.factorized] == ["head"]
    assert plan.factorized[0].macs == (32 * 64, 32 * 4 + 4 * 64)
    assert tfopt.low_rank(source, rank=4).output_shape == (None, 64)


class TensorFlowMask(layers.Layer):
    """In functional models Keras calls `compute_mask` with symbolic tensors, which TensorFlow refuses."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embed = layers.Embedding(20, 48)

    def call(self, tokens):
        return self.embed(tokens)

    def compute_mask(self, tokens, mask=None):
        return tf.math.not_equal(tokens, 0)


def test_layers_of_subclassed_models_need_not_take_symbolic_tensors():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.embed, self.head = TensorFlowMask(), layers.Dense(64, name="head")

        def call(self, tokens):
            return self.head(self.embed(tokens))

    keras.utils.set_random_seed(0)
    source, tokens = Net(), np.arange(30).reshape(5, 6) % 20
    source(tokens)
    kernel = source.head.kernel
    kernel.assign(np.outer(*np.random.default_rng(0).normal(size=(2, 64)))[: kernel.shape[0]])
    small = tfopt.low_rank(source, rank=1)
    assert small.count_params() < source.count_params() - 40 * 64
    np.testing.assert_allclose(small.predict(tokens, verbose=0), source.predict(tokens, verbose=0), atol=1e-5)


class OwnAttention(layers.MultiHeadAttention):
    def _compute_attention(self, query, key, value, *args, **kwargs):
        return super()._compute_attention(query * 0.5, key, value, *args, **kwargs)


def test_sizes_are_known_after_attention_of_ones_own():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 32))
    x = OwnAttention(2, 16, name="attention")(inputs, inputs)
    source = keras.Model(inputs, layers.Dense(64, name="head")(layers.Flatten()(x)))
    plan = tfopt.low_rank(source, 0.5, dry_run=True)
    assert plan.macs is not None
    small = tfopt.low_rank(source, 0.5)
    assert tfopt.measure.macs(small) == plan.macs[1] < plan.macs[0] == tfopt.measure.macs(source)
    assert small.get_layer("head").kernel.shape[0] < 192


def test_a_part_of_a_layer_whose_code_cannot_be_read_is_told_as_such():
    class Eager(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = layers.Dense(64, name="hidden")

        def build(self, shape):
            self.hidden.build(shape)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

        def call(self, x):
            return self.hidden(x) if float(ops.convert_to_numpy(ops.sum(x))) > 0 else x

    inputs = keras.Input((64,))
    plan = tfopt.low_rank(
        keras.Model(inputs, layers.Dense(64, name="head")(Eager()(inputs))), rank=4, dry_run=True
    )
    assert [layer.path for layer in plan.factorized] == ["head"]
    assert "it is a part of Eager, whose code could not be read" in plan.layers[0].reason


def test_what_code_multiplies_by_a_number_stays_dense():
    """Keras takes such a product for sparse, and what it is given to fails."""

    class Scaled(layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.hidden = layers.Dense(64, name="hidden")

        def call(self, x):
            return self.hidden(x) * 4.0

    class Norm(layers.Layer):
        def call(self, x):
            return x * ops.rsqrt(ops.mean(ops.square(x), axis=-1, keepdims=True) + 1e-3)

    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    source = keras.Model(inputs, Norm()(Scaled()(inputs)))
    small = tfopt.low_rank(source, rank=8)
    assert not small.layers[-1].input.sparse
    assert small.count_params() < source.count_params()
    assert tfopt.to_tflite(small).verify(small, np.eye(64, dtype="float32")).passed


def test_a_layer_that_makes_sparse_tensors_still_says_so():
    inputs = keras.Input((1,), dtype="int32")
    x = layers.CategoryEncoding(64, sparse=True)(inputs)
    source = keras.Model(inputs, layers.Dense(64, name="head")(x))
    small = tfopt.low_rank(source, rank=8)
    assert small.get_layer("head_factor1").input.sparse == source.get_layer("head").input.sparse is True


@pytest.mark.parametrize("budget", [{"macs": 0.5}, {"params": 0.5}, {"macs": 0.6, "params": "9k"}])
def test_budgets_are_met_and_used(model, budget):
    small = tfopt.low_rank(model, **budget)
    found = {"macs": tfopt.measure.macs(small), "params": small.count_params()}
    whole = {"macs": tfopt.measure.macs(model), "params": model.count_params()}
    limits = tfopt.budgets.Budgets(**budget).of(whole)
    assert all(found[name] <= limit for name, limit in limits.items())
    assert max(found[name] / limit for name, limit in limits.items()) > 0.85


def test_budgets_leave_what_rules_decide(model):
    plan = tfopt.low_rank(model, macs=0.6, rules={"hidden": 8, "pointwise": None}, dry_run=True)
    rows = {layer.path: layer for layer in plan.layers}
    assert rows["hidden"].ranks == (8,)
    assert rows["pointwise"].ranks is None
    assert rows["conv"].ranks is not None
    assert plan.macs[1] <= 0.6 * plan.macs[0]


@pytest.mark.slow
def test_a_budget_of_bytes_is_that_of_the_file(model):
    whole = len(tfopt.to_tflite(model, "float16"))
    small = tfopt.low_rank(model, bytes=0.7, scheme="float16")
    assert 0.9 * 0.7 * whole < len(tfopt.to_tflite(small, "float16")) <= 0.7 * whole


def test_losses_that_are_measured_spare_the_layer_that_matters(x):
    """The first of two alike layers is followed by a scale that makes it count for nothing."""
    keras.utils.set_random_seed(0)
    a, b = keras.Input((64,), name="a"), keras.Input((64,), name="b")
    quiet = layers.Rescaling(1e-3, name="quiet")(layers.Dense(64, name="unheard")(a))
    source = keras.Model([a, b], layers.Add(name="sum")([quiet, layers.Dense(64, name="heard")(b)]))
    generator = np.random.default_rng(0)
    data = {name: generator.standard_normal((32, 64)).astype("float32") for name in "ab"}
    plan = tfopt.low_rank(source, macs=0.7, data=data, dry_run=True)
    assert {layer.path for layer in plan.factorized} == {"unheard"}


def test_a_budget_out_of_reach_is_refused_with_what_can_be_reached(model):
    with pytest.raises(GoalError, match=r"macs can be from [\d,]+ to [\d,]+, and .* was asked for") as error:
        tfopt.low_rank(model, macs=0.001)
    least = int(str(error.value).split("can be from ")[1].split(" to ")[0].replace(",", ""))
    assert tfopt.measure.macs(tfopt.low_rank(model, macs=least)) <= least


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 0}, "ratio to be a finite number in"),
        ({"ratio": 1.5}, "ratio to be"),
        ({"energy": 2.0}, "energy to be"),
        ({"rank": 0}, "rank to be a whole number >= 1"),
        ({"ratio": 0.5, "energy": 0.5}, "one of ratio, energy, rank and budgets, got ratio and energy"),
        ({"ratio": 0.5, "macs": 0.5}, "got ratio and macs"),
        ({"macs": -1}, "budget macs=-1"),
        ({"method": "cp"}, "method to be one of 'tucker', 'spatial', 'svd'"),
        ({"scheme": "int3"}, "scheme must be one of"),
        ({"dry_run": 1}, "dry_run"),
        ({"rules": {"nothing": None}}, "matches no layer"),
        ({"rules": {"hidden": 0}}, "the rule 'hidden' to be None, a share of the energy"),
        ({"rules": {"hidden": "much"}}, "the rule 'hidden'"),
        ({"rules": {"hidden": (3, 4)}}, "'hidden' is factorized by 'svd' and takes one rank"),
    ],
)
def test_bad_arguments_are_refused(model, arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.low_rank(model, **arguments)


def test_models_that_have_nothing_to_factorize_are_refused():
    depthwise = keras.Sequential([keras.Input((8, 8, 3)), layers.DepthwiseConv2D(3, name="it")])
    with pytest.raises(InvalidArgumentError, match=r"no layer to factorize.*'it': depthwise"):
        tfopt.low_rank(depthwise)
    relu = keras.Sequential([keras.Input((8,)), layers.ReLU()])
    with pytest.raises(InvalidArgumentError, match="no layer to factorize"):
        tfopt.low_rank(relu)


def test_a_model_in_which_nothing_gains_is_copied_with_a_warning():
    small = keras.Sequential([keras.Input((8,)), layers.Dense(4, name="dense")])
    with pytest.warns(UserWarning, match="Nothing is factorized"):
        copied = tfopt.low_rank(small)
    assert [layer.name for layer in copied.layers][-1] == "dense"


def test_quantization_aware_models_and_those_never_called_are_refused():
    with pytest.raises(InvalidArgumentError, match=r"is quantization-aware.*then quantize_aware"):
        tfopt.low_rank(tfopt.quantize_aware(keras.Sequential([keras.Input((8,)), layers.Dense(4)])))

    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UnsupportedModel, match=r"subclassed.*has no weights yet: call it once"):
        tfopt.low_rank(Own())


class Block(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wide, self.narrow = (
            layers.Dense(64, activation="relu", name="wide"),
            layers.Dense(48, name="narrow"),
        )

    def call(self, x):
        return x + self.narrow(self.wide(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.block, self.head = Block(name="block"), layers.Dense(3, name="head")

    def call(self, x):
        return self.head(self.block(x))


def _with_a_block():
    inputs = keras.Input((48,))
    return keras.Model(inputs, layers.Dense(3, name="head")(Block(name="block")(inputs)))


def _subclassed():
    made = Subclassed()
    made(np.zeros((1, 48), "float32"))
    return made


@pytest.mark.parametrize("make", [_with_a_block, _subclassed])
def test_layers_in_layers_of_ones_own_are_factorized(make, tmp_path):
    keras.utils.set_random_seed(0)
    made = make()
    x = np.random.default_rng(0).standard_normal((5, 48)).astype("float32")
    for layer in (made.get_layer("block").wide, made.get_layer("block").narrow):
        left = np.random.default_rng(1).standard_normal((layer.kernel.shape[0], 8))
        right = np.random.default_rng(2).standard_normal((8, layer.kernel.shape[1]))
        layer.kernel.assign(left @ right / 20)
    before = made.get_weights()
    smaller = tfopt.low_rank(made, rank=8)
    np.testing.assert_allclose(smaller(x), made(x), atol=1e-4)
    for weight, value in zip(made.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    factors = [each.name for each in smaller.layers if each.name.startswith("block.") and each.weights]
    assert factors == ["block.wide_factor1", "block.wide", "block.narrow_factor1", "block.narrow"]
    plan = tfopt.low_rank(made, rank=8, dry_run=True)
    assert plan.macs == (tfopt.measure.macs(made), tfopt.measure.macs(smaller))
    smaller.save(tmp_path / "smaller.keras")
    loaded = keras.models.load_model(tmp_path / "smaller.keras")  # of layers of Keras alone
    np.testing.assert_array_equal(loaded(x), smaller(x))


@pytest.mark.parametrize("pattern", ["block", "block/*", "block.wide", "*/narrow"])
def test_rules_reach_layers_in_layers_of_ones_own(pattern):
    left = {
        each.path
        for each in tfopt.low_rank(_with_a_block(), rank=8, rules={pattern: None}, dry_run=True).layers
        if each.ranks is None
    }
    inside = {"block.wide", "block.narrow"}
    assert left & inside == (inside if pattern in ("block", "block/*") else {pattern.replace("*/", "block.")})


def test_a_kernel_with_nan_is_refused():
    broken = keras.Sequential([keras.Input((64,)), layers.Dense(64, name="dense")])
    broken.get_layer("dense").kernel.assign(np.full((64, 64), np.nan))
    with pytest.raises(InvalidArgumentError, match="kernel of 'dense' holds NaN"):
        tfopt.low_rank(broken)


def test_the_log_tells_each_layer(model, caplog):
    with caplog.at_level(logging.INFO, "tfopt.factorization"):
        tfopt.low_rank(model, 0.3)
    assert "conv: ranks (3, 16) of (8, 48)" in caplog.text
    assert "depthwise: left alone: depthwise" in caplog.text


@pytest.mark.slow
def test_the_int8_file_of_the_factors_is_smaller_and_agrees(model, x):
    small = tfopt.low_rank(model, 0.3)
    files = [tfopt.to_tflite(each, "int8", x) for each in (model, small)]
    assert len(files[1]) < len(files[0])
    assert files[1].verify(small, x).passed
