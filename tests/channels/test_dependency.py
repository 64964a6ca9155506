"""What can be removed from a model, and why the rest stays."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.errors import InvalidArgumentError


def _found(body, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return dependencies(keras.Model(inputs, body(*inputs)))


def _sizes(found):
    return {group.name: len(group.units) for group in found.groups}


def test_a_residual_block_is_one_group():
    def body(x):
        x = L.Conv2D(6, 3, padding="same", name="stem")(x)
        y = L.Conv2D(6, 3, padding="same", name="branch")(L.BatchNormalization(name="norm")(x))
        return L.Conv2D(2, 1, name="head")(L.Add()([x, y]))

    found = _found(body, (8, 8, 3))
    assert _sizes(found) == {"stem": 6}
    axes = {(each.layer, each.variable.name, each.axis, each.made) for each in found.slices}
    assert axes == {
        ("stem", "kernel", 3, True),
        ("stem", "bias", 0, True),
        ("norm", "gamma", 0, False),
        ("norm", "beta", 0, False),
        ("norm", "moving_mean", 0, False),
        ("norm", "moving_variance", 0, False),
        ("branch", "kernel", 2, False),
        ("branch", "kernel", 3, True),
        ("branch", "bias", 0, True),
        ("head", "kernel", 2, False),
    }
    assert found.frozen == {"head": "They are an output of the model, that of 'head'."}


def test_units_are_in_the_order_of_the_channels():
    found = _found(lambda x: L.Dense(2)(L.Dense(4)(x)), (3,))
    assert found.groups[0].units.tolist() == [0, 1, 2, 3]
    made = next(each for each in found.slices if each.made)
    assert made.units.tolist() == [0, 1, 2, 3]
    assert made.kept(np.array([True, False, True, False])).tolist() == [0, 2]


def test_what_is_concatenated_stays_apart_and_what_is_added_to_an_input_stays():
    def body(x):
        joined = L.Concatenate()([L.Dense(4, name="a")(x), x, L.Dense(5, name="b")(x)])
        return L.Dense(2)(joined), L.Dense(2)(L.Add(name="sum")([x, L.Dense(3, name="c")(x)]))

    found = _found(body, (3,))
    assert _sizes(found) == {"a": 4, "b": 5}
    assert found.frozen["c"] == "sum (Add) joins them with channels that stay"


def test_statistics_over_channels_make_a_group_inexact():
    def body(x):
        x = L.Dense(5, name="normed")(x)
        return L.Dense(2)(L.Dense(6, name="plain")(L.LayerNormalization()(x)))

    exact = {group.name: group.exact for group in _found(body, (3,)).groups}
    assert exact == {"normed": False, "plain": True}


def test_a_sum_of_what_is_not_zero_is_inexact():
    def body(x):
        gate, linear = L.Dense(5, "sigmoid", name="gate")(x), L.Dense(6, name="linear")(x)
        return ops.sum(gate, -1, keepdims=True), ops.sum(linear, -1, keepdims=True)

    exact = {group.name: group.exact for group in _found(body, (3,)).groups}
    assert exact == {"gate": False, "linear": True}


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda x: x * 2.0, True),
        (lambda x: x + 1.0, False),
        (lambda x: 1.0 - x, False),
        (lambda x: ops.maximum(x, 0.5), False),
        (lambda x: ops.where(x > 0, x, 0.1), False),
        (lambda x: ops.where(x > 0, x, 0.0), True),
        (lambda x: x**2, True),
        (lambda x: x * np.arange(5.0, dtype="float32"), True),
        (lambda x: x + np.arange(5.0, dtype="float32"), False),
        (lambda x: ops.exp(x), False),
        (lambda x: ops.sigmoid(x) * x, True),
        (lambda x: L.Dense(1)(x) + x, False),
        (lambda x: x / (1.0 + ops.abs(x)), True),
        (lambda x: 1.0 / (1.0 + ops.abs(x)), False),
        (lambda x: ops.log(x), False),
    ],
)
def test_what_is_zero_is_known(function, exact):
    """A sum of what is made of zero channels changes when these go, unless they still are zero."""
    found = _found(lambda x: ops.sum(function(L.Dense(5)(x)), -1, keepdims=True), (3,))
    assert [group.exact for group in found.groups] == [exact]


def test_groups_of_a_convolution_are_units():
    def body(x):
        return L.Conv2D(2, 1)(L.Conv2D(12, 1, groups=3, name="grouped")(L.Conv2D(6, 1, name="before")(x)))

    found = _found(body, (4, 4, 3))
    assert _sizes(found) == {"before": 3}
    grouped = next(each for each in found.slices if each.layer == "grouped" and each.axis == 3)
    assert grouped.units.tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_channels_inside_of_a_few_wide_groups_are_units():
    def body(x):
        return L.Conv2D(2, 1)(L.Conv2D(12, 1, groups=2, name="grouped")(L.Conv2D(6, 1, name="before")(x)))

    found = _found(body, (4, 4, 3))
    assert _sizes(found) == {"before": 3, "grouped": 6}
    made = next(each for each in found.slices if each.layer == "grouped" and each.axis == 3)
    assert made.units.tolist() == [*range(3, 9)] * 2
    smaller = cut(found, np.isin(np.arange(9), [0, 2, 3, 5, 6, 8]))
    grouped = smaller.get_layer("grouped")
    assert (grouped.groups, grouped.filters, smaller.get_layer("before").filters) == (2, 8, 4)


def test_groups_that_read_what_stays_lose_channels_inside():
    def body(x):
        return L.Conv2D(2, 1)(L.Conv2D(12, 1, groups=4, name="grouped")(x))

    found = _found(body, (4, 4, 8))
    assert _sizes(found) == {"grouped": 3}
    smaller = cut(found, np.array([True, False, True]))
    assert (smaller.get_layer("grouped").groups, smaller.get_layer("grouped").filters) == (4, 8)


@pytest.mark.parametrize(
    ("layer", "units"),
    [
        (lambda: L.MultiHeadAttention(3, 2, name="a"), 3),
        (lambda: L.GroupQueryAttention(2, 6, 3, name="a"), 3),
    ],
)
def test_heads_are_units(layer, units):
    found = _found(lambda x: L.Dense(2)(layer()(x, x)), (5, 4))
    heads = found.groups[0]
    assert len(heads.units) == units
    assert heads.name == "a"


def test_places_inside_of_heads_are_units_and_scores_keep_their_scale():
    found = _found(lambda x: L.Dense(2)(L.MultiHeadAttention(2, 4, 6, name="a")(x, x)), (5, 3))
    assert [len(group.units) for group in found.groups] == [2, 4, 6, 3]  # heads, keys, values, outputs
    keep = np.ones(found.count, bool)
    keep[found.groups[1].units[:2]] = False
    keep[found.groups[2].units[1:4]] = False
    smaller = cut(found, keep)
    old, new = found.model.get_layer("a"), smaller.get_layer("a")
    assert (new.num_heads, new.key_dim, new.value_dim) == (2, 2, 3)
    kernels = {weight.path.split("/", 1)[1]: weight for weight in new.weights}
    query = old.weights[0].numpy()[..., 2:]
    np.testing.assert_allclose(kernels["query/kernel"], query * np.sqrt(2 / 4), rtol=1e-6)
    np.testing.assert_array_equal(kernels["key/kernel"], old.weights[2].numpy()[..., 2:])


def test_heads_of_reshapes_are_units():
    def body(x):
        q, k, v = (
            ops.transpose(ops.reshape(L.Dense(12, name=name)(x), (-1, 5, 3, 4)), (0, 2, 1, 3))
            for name in "qkv"
        )
        scores = ops.softmax(ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))))
        y = ops.reshape(ops.transpose(ops.matmul(scores, v), (0, 2, 1, 3)), (-1, 5, 12))
        return L.Dense(2)(y)

    found = _found(body, (5, 4))
    assert [len(group.units) for group in found.groups] == [3]
    assert not found.frozen.keys() & set("qkv")


def test_queries_keys_and_values_of_one_layer_are_not_taken_for_heads():
    """Three stand along the first of the new axes; the heads along the second, which are tried next."""

    def body(x):
        y = ops.transpose(ops.reshape(L.Dense(24, name="all")(x), (-1, 5, 3, 2, 4)), (2, 0, 3, 1, 4))
        scores = ops.softmax(ops.einsum("bhqd,bhkd->bhqk", y[0], y[1]))
        y = ops.einsum("bhqk,bhkd->bqhd", scores, y[2])
        return L.Dense(2)(ops.reshape(y, (-1, 5, 8)))

    assert _sizes(_found(body, (5, 4))) == {"all": 2}


def test_halves_of_a_shuffle_go_together():
    def body(x):
        y = ops.reshape(L.Conv2D(8, 1, name="conv")(x), (-1, 4, 4, 2, 4))
        return L.Conv2D(2, 1)(ops.reshape(ops.transpose(y, (0, 1, 2, 4, 3)), (-1, 4, 4, 8)))

    found = _found(body, (4, 4, 3))
    made = next(each for each in found.slices if each.layer == "conv")
    assert made.units.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]


def test_some_of_each_half_of_a_split_stay():
    def body(x):
        one, other = ops.split(L.Dense(8, name="dense")(x), 2, axis=-1)
        return L.Dense(2)(ops.relu(one)), L.Dense(2)(other)

    assert [(group.name, len(group.units)) for group in _found(body, (3,)).groups] == [("dense", 4)] * 2


def test_an_unknown_operation_lets_its_inputs_stay_and_is_named():
    found = _found(lambda x: L.Dense(2)(ops.fft((L.Dense(4, name="d")(x), x))[0]), (4,))
    assert "fft (FFT) has no rule by which its channels could be followed" in found.frozen["d"]


def test_a_layer_of_ones_own_is_decomposed_and_a_subclassed_model_too():
    class Gate(L.Layer):
        def build(self, shape):
            self.inner = L.Dense(6, name="inner")
            self.scale = self.add_weight(shape=(6,), name="scale")

        def call(self, x):
            return ops.sigmoid(self.inner(x)) * self.scale

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.gate, self.head = Gate(name="gate"), L.Dense(2, name="head")

        def call(self, x):
            return self.head(self.gate(x))

    model = Net()
    model(np.zeros((1, 3), "float32"))
    assert _sizes(dependencies(model)) == {"gate.inner": 6}


def test_a_layer_that_two_layers_share_a_variable_with_stays():
    first, second = L.Dense(4, use_bias=False, name="first"), L.Dense(4, use_bias=False, name="second")
    first.build((None, 4))
    second.build((None, 4))
    tfopt.graph.replace_variable(second, second.kernel, first.kernel)
    found = _found(lambda x: L.Dense(2)(second(first(x))), (4,))
    assert not found.groups
    assert "share" in found.frozen["first"]


def test_a_quantized_model_is_refused():
    inputs = keras.Input((4,))
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(2)(L.Dense(3)(inputs))))
    with pytest.raises(InvalidArgumentError, match=r"quantization-aware.*Prune the float model"):
        dependencies(model)


def test_shapes_are_told():
    inputs = keras.Input((4,))
    found = dependencies(keras.Model(inputs, L.Dense(2)(L.Dense(3)(inputs))))
    keep = np.array([True, False, True])
    hidden = found.model.layers[1].output
    assert found.shape(hidden, keep) == (None, 2)
    assert found.shape(found.model.outputs[0], keep) == (None, 2)
