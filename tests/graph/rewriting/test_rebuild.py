"""Copying, replaying and lowering models."""

import keras
import numpy as np
import pytest

from tfopt import graph


def _nested_with_operators():
    block = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            keras.layers.Conv2D(3, 1, kernel_constraint=keras.constraints.MaxNorm(0.5), name="conv"),
            keras.layers.BatchNormalization(name="norm"),
        ],
        name="block",
    )
    left, right = keras.Input((4, 4, 3), name="left"), keras.Input((4, 4, 3), name="right")
    joined = keras.ops.relu(block(left) + block(right)) * 0.5
    frozen = keras.layers.Dense(2, trainable=False, name="head")
    pooled = keras.layers.GlobalAveragePooling2D(name="pool")(joined)
    return keras.Model({"left": left, "right": right}, {"head": frozen(pooled), "pool": pooled}, name="two")


@pytest.fixture
def two():
    keras.utils.set_random_seed(0)
    model = _nested_with_operators()
    model.set_weights([np.random.default_rng(0).uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


@pytest.fixture
def pair():
    x = np.random.default_rng(1).normal(size=(2, 3, 4, 4, 3)).astype("float32")
    return {"left": x[0], "right": x[1]}


@pytest.mark.parametrize("make", [graph.copy, graph.lower])
def test_the_new_model_gives_the_same_outputs_under_the_same_names(two, pair, make):
    new = make(two)
    expected, got = two(pair), new(pair)
    assert new.name == "two"
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_allclose(got[key], value, atol=1e-6)


@pytest.mark.parametrize("make", [graph.copy, graph.lower])
def test_the_new_model_shares_nothing_with_the_old(two, pair, make):
    new = make(two)
    before = [w.copy() for w in two.get_weights()]
    new.set_weights([w * 0 for w in new.get_weights()])
    for old, kept in zip(two.get_weights(), before, strict=True):
        np.testing.assert_array_equal(old, kept)


def test_a_copy_keeps_structure_constraints_and_trainable_flags(two):
    copied = graph.copy(two)
    layers = dict(graph.layers(copied))
    assert list(layers) == [path for path, _ in graph.layers(two)]
    assert isinstance(layers["block/conv"].kernel.constraint, keras.constraints.MaxNorm)
    assert not layers["head"].trainable
    assert layers["block/conv"].trainable


def test_copying_leaves_a_compiled_model_compiled(small_cnn):
    model = small_cnn()
    model.compile("adam", "sparse_categorical_crossentropy")
    copied = graph.copy(model)
    assert model.compiled
    assert not copied.compiled


def test_lowering_opens_nested_models_and_makes_float32(two):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        mixed = _nested_with_operators()
    finally:
        keras.config.set_dtype_policy("float32")
    lowered = graph.lower(mixed)
    assert {layer.compute_dtype for _, layer in graph.layers(lowered)} == {"float32"}
    assert "block.conv" in [path for path, _ in graph.layers(lowered)]


def test_a_shared_layer_stays_shared(two):
    convolutions = [node for node in graph.nodes(graph.lower(two)) if node.path == "block.conv"]
    assert len(convolutions) == 2
    assert convolutions[0].operation is convolutions[1].operation
