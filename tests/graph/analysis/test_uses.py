"""What a model does with the variables of layers: told from its graph."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from tfopt import graph
from tfopt.graph import Use

# What is done to (input, variable) -> what the variable is used for.
_USES = {
    "matmul": (lambda x, w: ops.matmul(x, w), {Use.PRODUCT}),
    "transposed": (lambda x, w: ops.matmul(x, ops.transpose(w)), {Use.PRODUCT}),
    "the other way round": (lambda x, w: ops.matmul(w, ops.transpose(x, (0, 2, 1))), {Use.PRODUCT}),
    "einsum": (lambda x, w: ops.einsum("bti,ij->btj", x, w), {Use.PRODUCT}),
    "cast and normalized": (lambda x, w: ops.matmul(x, ops.cast(w, "float32") / ops.norm(w)), {Use.PRODUCT}),
    "convolution": (lambda x, w: ops.conv(x, ops.reshape(w, (1, 6, 6)), padding="same"), {Use.PRODUCT}),
    "added": (lambda x, w: x + w, {Use.ELEMENTWISE}),
    "multiplied element by element": (lambda x, w: x * w, {Use.ELEMENTWISE}),
    "put before the sequence": (
        lambda x, w: ops.concatenate([ops.tile(w[None], (ops.shape(x)[0], 1, 1)), x], axis=1),
        {Use.ELEMENTWISE},
    ),
    "looked up": (lambda x, w: ops.take(w, ops.cast(x[..., 0] * 0, "int32"), axis=0), {Use.LOOKUP}),
    "looked up and projected by": (
        lambda x, w: ops.matmul(ops.take(w, ops.cast(x[..., 0] * 0, "int32"), axis=0), ops.transpose(w)),
        {Use.LOOKUP, Use.PRODUCT},
    ),
    "not read": (lambda x, _: x, set()),
}


class Using(L.Layer):
    def __init__(self, use, **kwargs):
        super().__init__(**kwargs)
        self.use = use

    def build(self, _):
        self.w = self.add_weight(name="w", shape=(6, 6))
        self.m = self.add_weight(name="m", shape=(6, 6))

    def call(self, x):
        return self.use(x, self.w) if self.use.__code__.co_argcount == 2 else self.use(x, self.w, self.m)


def _uses(layer, *variables):
    inputs = keras.Input((6, 6))
    model = keras.Model(inputs, L.Dense(2)(layer(inputs)))
    found = graph.uses(model, variables or [layer.w, layer.m])
    return [found[id(variable)] for variable in variables or [layer.w, layer.m]]


@pytest.mark.parametrize("name", _USES)
def test_a_variable_is_told_by_where_it_meets_the_data(name):
    use, expected = _USES[name]
    assert _uses(Using(use))[0] == expected


def test_of_two_variables_that_are_multiplied_the_first_are_rows_and_the_second_a_kernel():
    tokens, matrix = _uses(Using(lambda x, w, m: x + ops.matmul(w, m)))
    assert Use.PRODUCT not in tokens
    assert Use.PRODUCT in matrix


def test_loops_and_branches_are_followed():
    def body(x, w, m):
        def step(i, state):
            return i + 1, ops.tanh(ops.matmul(state, w) + x)

        _, state = ops.while_loop(lambda i, _: i < 3, step, (0, ops.zeros_like(x)))
        return ops.cond(ops.sum(x) > 0, lambda: ops.matmul(state, m), lambda: state)

    loop, branch = _uses(Using(body))
    assert Use.PRODUCT in loop
    assert Use.PRODUCT in branch


def test_a_subclassed_model_is_traced_by_the_shapes_that_it_was_built_for():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.words = L.Embedding(9, 6)
            self.inner = Using(lambda x, w: ops.matmul(x, w))

        def call(self, ids):
            return self.inner(self.words(ids))

    model = Model()
    model(np.zeros((2, 6), "int32"))
    assert graph.uses(model, [model.inner.w])[id(model.inner.w)] == {Use.PRODUCT}
    assert [path for path, _ in graph.tree(model)] == ["", model.words.name, model.inner.name]


def test_a_model_that_cannot_be_traced_is_told_so():
    class Model(keras.Model):
        def call(self, x):
            if isinstance(x, keras.KerasTensor):
                return x
            return x + float(x.numpy().sum())

    model = Model()
    model(np.zeros((2, 6), "float32"))
    assert graph.uses(model, []) is None


def test_the_tree_lists_every_layer_once_under_its_path():
    inputs = keras.Input((5, 6))
    shared = L.Dense(6, name="shared")
    block = keras.Sequential([keras.Input((5, 6)), shared], name="block")
    x = L.MultiHeadAttention(2, 3, name="mha")(block(inputs), shared(inputs))
    x = L.TimeDistributed(L.Dense(2, name="in"), name="td")(x)
    paths = [path for path, layer in graph.tree(keras.Model(inputs, x)) if layer.weights]
    assert paths == [
        "", "block", "block/shared", "mha", "mha/query", "mha/key", "mha/value", "mha/attention_output", "td",
        "td/in",
    ]  # fmt: skip
